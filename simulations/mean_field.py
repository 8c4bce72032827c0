"""Ask whether two-layer networks that SGD has trained connect better the wider they are.

Theorem 3.1 of Ferbach et al. (2024) says that, after the best permutation, the deviation along the
path between two networks of N neurons vanishes as N grows and the step shrinks, for noiseless and
for noisy one-pass SGD in mean-field scaling. It names no rate, so the exponents here are
measurements. What is proved for every pair is the certificate from its own W_2. A third series
keeps the step of the narrowest networks at every width.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otlmc import cli, laws, plotting, wasserstein
from otlmc.networks.mean_field import TANH, Teacher, train_mean_field
from otlmc.results import Comparison

Array = NDArray[np.float64]
Training = Literal["noiseless", "noisy", "fixed step"]

# name of a measured quantity -> one value per width and repetition
Measured = dict[str, Array]

EXAMPLES = 2000
"""Inputs over which the deviation is maximised and the loss averaged."""
POWER_LAWS = ("deviation", "W_2^2", "W_2^2 at the start")


@dataclass(frozen=True)
class Ladder:
    """Pairs of trained networks over a ladder of widths N.

    ``step`` is that of the narrowest networks; it falls as 1/N unless the training says otherwise.
    """

    training: Training
    dim: int
    widths: tuple[int, ...]
    repetitions: int
    step: float
    duration: float
    seed: int


def trained_pairs(config: Ladder) -> Iterator[dict[str, Any]]:
    """Train the pairs of every width, match them, and measure the paths between them."""
    seeds = np.random.SeedSequence([config.seed, config.dim]).spawn(1 + len(config.widths))
    rng = np.random.default_rng(seeds[0])
    teacher = Teacher.draw(config.dim, rng=rng)
    examples = teacher(EXAMPLES, rng=rng)
    rungs = [
        measure(config, width, teacher, examples, np.random.default_rng(seed))
        for width, seed in zip(config.widths, seeds[1:], strict=True)
    ]
    for width, rung in zip(config.widths, rungs, strict=True):
        for row in compare(rung):
            yield {"width": width, "low": None, "high": None, **row.to_record()}
    for quantity in POWER_LAWS:
        fit = wasserstein.fit_rate(config.widths, [rung[quantity] for rung in rungs])
        predicted = -2 / config.dim if "W_2" in quantity and config.dim > 2 else None
        row = Comparison(
            quantity=f"exponent of {quantity}",
            measured=fit.exponent,
            stderr=(fit.high - fit.low) / 4,
            lower=predicted,
            upper=predicted,
            kind="measurement" if predicted is None else "prediction",
            reference="N^(-2/d) of independent neurons" if predicted else "no rate is stated",
        )
        yield {"width": None, "low": fit.low, "high": fit.high, **row.to_record()}


def measure(
    config: Ladder,
    width: int,
    teacher: Teacher,
    examples: tuple[Array, Array],
    rng: np.random.Generator,
) -> Measured:
    """Train the pairs of one width and return every quantity, one value per pair."""
    law = laws.Gaussian(dim=config.dim)
    drawn = law.sample(2 * config.repetitions * width, rng)
    start = drawn.reshape(2 * config.repetitions, width, config.dim)
    shrink = 1.0 if config.training == "fixed step" else config.widths[0] / width
    noise = {"temperature": 0.02, "decay": 0.02} if config.training == "noisy" else {}
    end = train_mean_field(
        start,
        teacher,
        neuron=TANH,
        step=config.step * shrink,
        time=config.duration,
        rng=rng,
        **noise,
    )
    inputs, targets = examples
    t = np.linspace(0, 1, 9)

    def loss(weights: Array) -> float:
        return float(np.mean((TANH.output(weights, inputs) - targets) ** 2))

    measured = []
    for a, b, a_start, b_start in zip(end[::2], end[1::2], start[::2], start[1::2], strict=True):
        best = wasserstein.distance(a, b)
        matched = b[best.permutation]
        measured.append(
            {
                "deviation": np.abs(TANH.deviation(a, matched, inputs, t=t)).max(),
                "deviation, not matched": np.abs(TANH.deviation(a, b, inputs, t=t)).max(),
                "W_2^2": best.cost,
                "W_2^2 at the start": wasserstein.distance(a_start, b_start).cost,
                "loss of the start": (loss(a_start) + loss(b_start)) / 2,
                "loss of the ends": (loss(a) + loss(b)) / 2,
                "loss of the midpoint": loss((a + matched) / 2),
                "loss of the midpoint, not matched": loss((a + b) / 2),
            }
        )
    return {name: np.array([pair[name] for pair in measured]) for name in measured[0]}


def compare(rung: Measured) -> Iterator[Comparison]:
    """Return the means over the pairs of one width; the deviation beside its certificate."""
    constant = (TANH.smoothness or 0.0) / 8
    for quantity, values in rung.items():
        proved = quantity == "deviation"
        yield Comparison(
            quantity=quantity,
            measured=float(values.mean()),
            stderr=float(values.std(ddof=1) / np.sqrt(len(values))),
            upper=float(constant * rung["W_2^2"].mean()) if proved else None,
            kind="upper" if proved else "measurement",
            reference="certificate (beta / 8) W_2^2 of the pairs" if proved else "",
        )


def configurations(options: cli.Options) -> list[Ladder]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    widths = tuple(2**e for e in range(4, 12 if full else 10))
    repetitions, duration = (32, 50.0) if full else (10, 20.0)
    trainings: tuple[Training, ...] = ("noiseless", "noisy", "fixed step")
    return [
        Ladder(training, dim, widths, repetitions, 0.2, duration, options.seed)
        for dim in (2, 5)
        for training in trainings
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw deviation, distance and loss against the width, one row for each dimension."""
    columns = (
        ("deviation", "deviation, not matched", "largest deviation along the path"),
        ("W_2^2", "W_2^2 at the start", "squared distance of the matched neurons"),
        ("loss of the ends", "loss of the midpoint", "squared loss"),
    )
    notes = (
        "filled: matched; hollow: not matched; dotted: certificate",
        "filled: trained; hollow: before training",
        "filled: networks A and B; hollow: midpoint, matched",
    )
    dims = table["dim"].unique()
    with plotting.style():
        figure, axes = plotting.panels(len(dims), 3)
        for row, dim in enumerate(dims):
            rows = table[table["dim"] == dim].dropna(subset="width")
            for column, ((filled, hollow, label), note) in enumerate(
                zip(columns, notes, strict=True)
            ):
                ax = axes[3 * row + column]
                plotting.plot_two_quantities(
                    rows, (filled, hollow), x="width", series="training", note=note, ax=ax
                )
                ax.set_xscale("log", base=2)
                ax.set(xlabel="width N", ylabel=label, title=f"neurons in dimension {dim}")
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the fitted exponents with their intervals."""
    rows = table[table["width"].isna()]
    return rows[["dim", "training", "quantity", "measured", "low", "high"]]


def main(options: cli.Options) -> None:
    """Connect two-layer networks trained by one-pass SGD in mean-field scaling."""
    cli.perform(options, trained_pairs, configurations(options), draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, cli.Options)
