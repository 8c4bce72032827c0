"""Ask whether dropping half of a network hurts as much as the middle of a path to another one.

Ferbach et al. (2024, appendix B.14) relate the two: with f L-Lipschitz in its neurons, the dropout
error is at most L W_1 between the kept half and the whole network, and the error of the midpoint at
most (L / 2) W_1 between the two networks, distances of the same rate. The errors themselves, their
exponents and the difference of these are measurements, on independent Gaussian neurons and on
neurons trained by one-pass SGD in mean-field scaling.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from otlmc import cli, laws, plotting, wasserstein
from otlmc.networks.mean_field import NEURONS, Neuron, Teacher, train_mean_field
from otlmc.results import Comparison

Array = NDArray[np.float64]
Neurons = Literal["independent", "trained"]
Activation = Literal["relu", "tanh"]

EXAMPLES = 1000
"""Inputs over which errors are root mean squares."""
PAIRS = {
    "errors": ("dropout error", "midpoint error"),
    "distances": ("dropout distance", "midpoint distance"),
}
NOTES = {
    "errors": "filled: dropout; hollow: midpoint; dotted: L W_2 of the dropout",
    "distances": "filled: kept half to whole; hollow: A to B",
}


@dataclass(frozen=True)
class Ladder:
    """Pairs of networks over a ladder of widths."""

    neurons: Neurons
    activation: Activation
    dim: int
    widths: tuple[int, ...]
    repetitions: int
    seed: int


def pairs(config: Ladder) -> Iterator[dict[str, Any]]:
    """Measure both errors and both distances over the widths, and fit their exponents."""
    neuron = NEURONS[config.activation]
    seeds = np.random.SeedSequence([config.seed, config.dim]).spawn(1 + len(config.widths))
    rng = np.random.default_rng(seeds[0])
    teacher = Teacher.draw(config.dim, rng=rng)
    inputs, _ = teacher(EXAMPLES, rng=rng)
    rungs = []
    for width, seed in zip(config.widths, seeds[1:], strict=True):
        rng = np.random.default_rng(seed)
        shape = 2 * config.repetitions, width, config.dim
        networks = laws.Gaussian(dim=config.dim).sample(shape[0] * width, rng).reshape(shape)
        if config.neurons == "trained":
            step = 0.2 * config.widths[0] / width
            networks = train_mean_field(
                networks, teacher, neuron=neuron, step=step, time=20.0, rng=rng
            )
        measured = [
            measure(neuron, a, b, inputs)
            for a, b in zip(networks[::2], networks[1::2], strict=True)
        ]
        rungs.append({name: np.array([pair[name] for pair in measured]) for name in measured[0]})
    for width, rung in zip(config.widths, rungs, strict=True):
        for row in compare(neuron, rung):
            yield {"width": width, "low": None, "high": None, **row.to_record()}
    for row, (low, high) in exponents(config, rungs):
        yield {"width": None, "low": low, "high": high, **row.to_record()}


def measure(neuron: Neuron, a: Array, b: Array, inputs: Array) -> dict[str, float]:
    """Drop the second half of A, and walk halfway to B.

    Neurons are exchangeable, so that the first half is as good as a random one.
    """
    half = a[: len(a) // 2]
    best = wasserstein.distance(a, b)
    dropped = neuron.output(half, inputs) - neuron.output(a, inputs)
    middle = neuron.deviation(a, b[best.permutation], inputs)
    return {
        "dropout error": float(np.sqrt(np.mean(dropped**2))),
        "midpoint error": float(np.sqrt(np.mean(middle**2))),
        "dropout distance": wasserstein.distance(half, a).value,
        "midpoint distance": best.value,
    }


def compare(neuron: Neuron, rung: dict[str, Array]) -> Iterator[Comparison]:
    """Return the means over the pairs of one width; the errors beside what the distances allow."""
    factors = {"dropout error": neuron.lipschitz, "midpoint error": neuron.lipschitz / 2}
    for quantity, values in rung.items():
        factor = factors.get(quantity)
        distance = rung[quantity.replace("error", "distance")]
        yield Comparison(
            quantity=quantity,
            measured=float(values.mean()),
            stderr=float(values.std(ddof=1) / np.sqrt(len(values))),
            upper=None if factor is None else float(factor * distance.mean()),
            kind="measurement" if factor is None else "upper",
            reference="" if factor is None else f"{factor:g} W_2, as W_1 is at most W_2",
        )


def exponents(
    config: Ladder, rungs: list[dict[str, Array]]
) -> Iterator[tuple[Comparison, tuple[float, float]]]:
    """Fit the exponent of every quantity, and the difference of two, each with its interval."""
    ladders = {name: np.array([rung[name] for rung in rungs]) for name in rungs[0]}
    for quantity, values in ladders.items():
        known = quantity == "dropout error" and config.neurons == "independent"
        fit = wasserstein.fit_rate(config.widths, values)
        row = Comparison(
            quantity=f"exponent of the {quantity}",
            measured=fit.exponent,
            stderr=(fit.high - fit.low) / 4,
            lower=-0.5 if known else None,
            upper=-0.5 if known else None,
            kind="rate" if known else "measurement",
            reference="the mean of m / 2 among m has variance of order 1 / m" if known else "",
        )
        yield row, (fit.low, fit.high)
    for name, (dropout, midpoint) in PAIRS.items():
        value, half = difference(config.widths, ladders[dropout], ladders[midpoint])
        row = Comparison(quantity=f"difference of the {name}", measured=value, stderr=half / 2)
        yield row, (value - half, value + half)


def difference(widths: tuple[int, ...], x: Array, y: Array) -> tuple[float, float]:
    """Return the exponent of ``x`` less that of ``y``, and half of its interval at 0.95.

    Column i of both belongs to one pair of networks, so that the jackknife leaves out both.
    """
    count = x.shape[1]

    def value(keep: NDArray[np.bool_]) -> float:
        first, second = (wasserstein.fit_rate(widths, z[:, keep]).exponent for z in (x, y))
        return first - second

    jackknife = [value(np.arange(count) != left_out) for left_out in range(count)]
    stderr = np.sqrt(np.var(jackknife) * (count - 1))
    return value(np.full(count, True)), float(stderr * stats.t.ppf(0.975, count - 1))


def configurations(options: cli.Options) -> list[Ladder]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    widths = tuple(2**e for e in range(4, 12 if full else 10))
    repetitions = 64 if full else 16
    kinds: tuple[tuple[Neurons, Activation], ...] = (
        ("independent", "relu"),
        ("independent", "tanh"),
        ("trained", "tanh"),
    )
    return [
        Ladder(neurons, activation, dim, widths, repetitions, options.seed)
        for neurons, activation in kinds
        for dim in (2, 5, 10)
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the errors of every kind of network; distances and differences of exponents below."""
    table = table.assign(kind_of_neurons=table["neurons"] + " " + table["activation"])
    rungs, fits = table.dropna(subset="width"), table[table["width"].isna()]
    shown = [(kind, "errors") for kind in table["kind_of_neurons"].unique()]
    shown += [(kind, "distances") for kind in ("independent tanh", "trained tanh")]
    labels = {"errors": "root mean square error of the output", "distances": "distance $W_2$"}
    with plotting.style():
        figure, axes = plotting.panels(2, 3)
        for (kind, name), ax in zip(shown, axes, strict=False):
            rows = rungs[rungs["kind_of_neurons"] == kind]
            plotting.plot_two_quantities(
                rows, PAIRS[name], x="width", series="dim", note=NOTES[name], ax=ax
            )
            ax.set_xscale("log", base=2)
            ax.set(xlabel="width m", ylabel=labels[name], title=f"{kind} neurons: {name}")
        plotting.plot_two_quantities(
            fits.rename(columns={"kind_of_neurons": "neurons", "neurons": "source"}),
            ("difference of the errors", "difference of the distances"),
            x="dim",
            series="neurons",
            note="filled: errors; hollow: distances; bars: intervals at 95 %",
            ax=axes[-1],
        )
        axes[-1].set(xscale="linear", yscale="linear", xlabel="dimension of a neuron")
        axes[-1].set_ylabel("exponent of dropout less that of the midpoint")
        axes[-1].set_title("Do both fall at one rate?")
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents and their differences, with the intervals of the latter."""
    fits = table[table["width"].isna()]
    index = ["neurons", "activation", "dim"]
    wide = fits.pivot_table(index=index, columns="quantity", values="measured", sort=False)
    intervals = fits[fits["quantity"].str.startswith("difference")].assign(
        interval=lambda t: t["low"].map("{:.3f}".format) + " .. " + t["high"].map("{:.3f}".format)
    )
    shown = intervals.pivot(index=index, columns="quantity", values="interval")
    return wide.join(shown.add_suffix(": interval")).reset_index()


def main(options: cli.Options) -> None:
    """Dropout stability beside linear connectivity: the rates of both errors and distances."""
    cli.perform(options, pairs, configurations(options), draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, cli.Options)
