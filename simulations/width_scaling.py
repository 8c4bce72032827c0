"""Ask how wide two random two-layer networks must be, and how wide theory says they must be.

The neurons w of f(x) = (1/m) sum_i activation(w_i . x) are independent standard Gaussians, so that
the constants of the theorems are known exactly. The deviation along the path is taken over all
inputs of the unit ball, or in the mean over inputs drawn from the unit sphere. B is permuted by the
matching that is optimal for the distance of the best statement: W_2 for tanh, which is smooth, and
for ReLU where its kink is used, W_1 where only its Lipschitz constant is. Beside the deviation
stand the bound, its version at a confidence, and the certificate of the pair: the smooth or the
Lipschitz statement with the measured W_p in place of its expectation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otlmc import bounds, cli, laws, plotting, wasserstein
from otlmc.networks.mean_field import NEURONS, Neuron
from otlmc.results import Comparison

Array = NDArray[np.float64]

CONFIDENCE = 0.95
TOLERANCES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005)

GIVEN_INPUTS = 500
"""Inputs of a mean."""

Inputs = Literal["all", "mean"]


@dataclass(frozen=True)
class Ladder:
    """One kind of neuron and of deviation in one dimension, over a ladder of widths."""

    neuron: Literal["relu", "tanh"]
    inputs: Inputs
    dim: int
    widths: tuple[int, ...]
    repetitions: int
    seed: int


def largest_deviation(
    neuron: Neuron, a: Array, b: Array, *, rng: np.random.Generator, candidates: int = 512
) -> float:
    """Return the largest deviation found over the unit ball and the path, from below.

    The best of random inputs at the middle of the path climb by projected gradient ascent in x
    and t at once; what is found never exceeds the supremum.
    """
    x = rng.standard_normal((candidates, a.shape[1]))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = neuron.deviation(a, b, x)
    best = np.abs(found).argsort()[-8:]
    x, t = x[best], np.full((len(best), 1), 0.5)
    sign = np.sign(found[best])[:, None]
    largest = float(np.abs(found).max())
    for pace in np.geomspace(0.3, 0.003, 40):
        u, v = x @ a.T, x @ b.T
        w = (1 - t) * u + t * v
        middle, at_a, at_b = (neuron.slope(z) for z in (w, u, v))
        towards = (1 - t) * ((middle - at_a) @ a) + t * ((middle - at_b) @ b)
        value = neuron.value(w) - (1 - t) * neuron.value(u) - t * neuron.value(v)
        largest = max(largest, float(np.abs(value.mean(1)).max()))
        along = (middle * (v - u) + neuron.value(u) - neuron.value(v)).mean(1, keepdims=True)
        norm = np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-300)
        x = x + pace * sign * towards / norm
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1.0)
        t = np.clip(t + 0.3 * pace * np.sign(sign * along), 0.0, 1.0)
    return largest


def mean_deviation(neuron: Neuron, a: Array, b: Array, inputs: Array) -> float:
    """Return the mean over inputs of the largest deviation on a grid of the path, from below."""
    path = np.linspace(0.0, 1.0, 33)[1:-1]
    return float(np.abs(neuron.deviation(a, b, inputs, t=path)).max(axis=0).mean())


def random_pairs(config: Ladder) -> Iterator[dict[str, Any]]:
    """Measure deviation and certificate over the widths, and the widths that tolerances ask for."""
    neuron, law = NEURONS[config.neuron], laws.Gaussian(dim=config.dim)
    constants = {name: value for name in bounds.ORDERS if (value := getattr(neuron, name))}
    root = np.random.SeedSequence([config.seed, config.dim])
    given, *seeds = root.spawn(1 + len(config.widths))
    inputs = metric = None
    if config.inputs == "mean":
        inputs = np.random.default_rng(given).standard_normal((GIVEN_INPUTS, config.dim))
        inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
        # that of the kink is the same but for a factor, as all inputs have one length
        metric = inputs.T @ inputs / len(inputs)
    network = bounds.TwoLayer(law, inputs=inputs, **constants)
    statement = "smoothness" if neuron.smoothness else "lipschitz"
    certified = bounds.TwoLayer(law, inputs=inputs, **{statement: constants[statement]})
    p, factor = (2, constants[statement] / 8) if neuron.smoothness else (1, neuron.lipschitz / 2)
    measured = np.empty((2, len(config.widths), config.repetitions))
    for index, (width, seed) in enumerate(zip(config.widths, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        order = bounds.ORDERS[network.deviation(width).method]
        ratios = np.empty(config.repetitions)
        for repetition in range(config.repetitions):
            a, b = law.sample(width, rng), law.sample(width, rng)
            best = wasserstein.distance(a, b, p=p, metric=metric)
            measured[1, index, repetition] = factor * best.cost
            if order != p:
                best = wasserstein.distance(a, b, p=order, metric=metric)
            b = b[best.permutation]
            if inputs is None:
                found = largest_deviation(neuron, a, b, rng=rng)
                distances = np.linalg.norm(a - b, axis=1)
            else:
                found = mean_deviation(neuron, a, b, inputs)
                distances = np.sqrt((((a - b) @ inputs.T) ** 2).mean(axis=1))
            measured[0, index, repetition] = found
            ratios[repetition] = found / (factor * np.mean(distances**p))
        deviation, certificate = measured[:, index]
        for row in compare(network, certified, width, deviation, certificate, ratios):
            yield {"tolerance": None, "width": width, "low": None, "high": None, **row.to_record()}
    for quantity, theorem, values in zip(
        ("deviation", "certificate"), (network, certified), measured, strict=True
    ):
        fit = wasserstein.fit_rate(config.widths, values)
        row = Comparison(
            quantity=f"exponent of the {quantity}",
            measured=fit.exponent,
            stderr=(fit.high - fit.low) / 4,
            reference="fitted over all widths",
        )
        yield {
            "tolerance": None,
            "width": None,
            "low": fit.low,
            "high": fit.high,
            **row.to_record(),
        }
        for tolerance in TOLERANCES:
            reached = width_reached(config.widths, values, tolerance)
            if reached is None:
                continue
            limits = bounds.min_width(theorem, tolerance)
            row = Comparison(
                quantity=f"width of the {quantity}",
                measured=reached[0],
                stderr=reached[1],
                lower=2**limits.log2_lower if quantity == "certificate" else None,
                upper=2**limits.log2_upper,
                kind="two-sided" if quantity == "certificate" else "upper",
                reference=limits.reference,
            )
            yield {"tolerance": tolerance, "width": None, "low": None, "high": None} | (
                row.to_record()
            )


def compare(
    network: bounds.TwoLayer,
    certified: bounds.TwoLayer,
    width: int,
    deviation: Array,
    certificate: Array,
    ratios: Array,
) -> Iterator[Comparison]:
    """Hold the deviations and the certificates of the pairs of one width against the theorems."""
    upper, certain = network.deviation(width), certified.deviation(width)
    repetitions = len(deviation)
    error = np.sqrt(repetitions)
    yield Comparison(
        quantity="deviation",
        measured=float(deviation.mean()),
        stderr=float(deviation.std(ddof=1) / error),
        upper=float(upper),
        kind="upper",
        reference=f"{upper.method}: {network.reference}",
    )
    yield Comparison(
        quantity="certificate",
        measured=float(certificate.mean()),
        stderr=float(certificate.std(ddof=1) / error),
        lower=float(certified.matching_shortfall(width)),
        upper=float(certain),
        kind="two-sided",
        reference=f"{certain.method}: {certified.reference}",
    )
    yield Comparison(
        quantity="largest deviation / certificate of a pair",
        measured=float(ratios.max()),
        upper=1.0,
        kind="upper",
        reference=certified.reference,
    )
    level = float(network.deviation(width, confidence=CONFIDENCE))
    yield Comparison(
        quantity=f"largest deviation of a pair / bound at {CONFIDENCE}",
        measured=float(deviation.max() / level),
        reference="exceeds 1 in at most one pair of twenty",
    )


def width_reached(
    widths: Sequence[int], values: Array, tolerance: float
) -> tuple[float, float] | None:
    """Return where the mean first meets the tolerance, between two widths, and its standard error.

    The mean is interpolated as a power of the width; ``None`` where the ladder does not hold the
    crossing.
    """
    means = values.mean(1)
    met = np.flatnonzero(means <= tolerance)
    if not len(met) or met[0] == 0:
        return None
    after = met[0]
    pair = [after - 1, after]
    x, y = np.log(np.asarray(widths, dtype=float)[pair]), np.log(means[pair])
    slope = (y[1] - y[0]) / (x[1] - x[0])
    width = float(np.exp(x[0] + (np.log(tolerance) - y[0]) / slope))
    relative = (values[pair].std(1, ddof=1) / means[pair]).max() / np.sqrt(values.shape[1])
    return width, float(width * relative / abs(slope))


def configurations(options: cli.Options) -> list[Ladder]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    widths = tuple(2**e for e in range(3, 12 if full else 11))
    repetitions = 64 if full else 20
    kinds: tuple[tuple[Literal["relu", "tanh"], Inputs], ...] = tuple(TITLES)
    return [
        Ladder(neuron, inputs, dim, widths, repetitions, options.seed)
        for neuron, inputs in kinds
        for dim in ((2, 3, 5, 10, 20) if full else (2, 5, 10))
    ]


TITLES: dict[tuple[Literal["relu", "tanh"], Inputs], str] = {
    ("relu", "all"): "ReLU, largest over the unit ball",
    ("relu", "mean"): "ReLU, mean over the unit sphere",
    ("tanh", "all"): "tanh, largest over the unit ball",
    ("tanh", "mean"): "tanh, mean over the unit sphere",
}


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw deviations and certificates with their bounds against the width."""
    rows = table.dropna(subset="width")
    dims = sorted(rows["dim"].unique())
    rows = rows[rows["dim"].isin([dims[0], dims[len(dims) // 2], dims[-1]])]  # all in the table
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        for (kind, title), ax in zip(TITLES.items(), axes, strict=True):
            plotting.plot_two_quantities(
                rows[(rows["neuron"] == kind[0]) & (rows["inputs"] == kind[1])],
                ("deviation", "certificate"),
                x="width",
                series="dim",
                note="filled: measured, dotted: bound; hollow: certificate, dash-dotted: bound",
                ax=ax,
            )
            ax.set_xscale("log", base=2)
            ax.set(xlabel="width m", ylabel="deviation along the path", title=title)
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for every tolerance, the width that meets it and the one that is enough, in bits."""
    rows = table[table["quantity"] == "width of the deviation"].copy()
    rows["reached at"] = np.log2(rows["measured"])
    rows["min_width"] = np.log2(rows["upper"])
    columns = ["neuron", "inputs", "dim", "tolerance", "reached at", "min_width"]
    return rows[columns].reset_index(drop=True)


def compare_with_bounds(table: pd.DataFrame) -> pd.DataFrame:
    """Return bound / measured at the ends of the ladder, and both exponents over its upper half."""
    rows = table[table["quantity"] == "deviation"].dropna(subset="width")
    found = []
    for (neuron, inputs, dim), ladder in rows.groupby(["neuron", "inputs", "dim"]):
        ladder = ladder.sort_values("width")
        ratio = ladder["upper"] / ladder["measured"]
        upper_half = np.log(ladder[["width", "measured", "upper"]].iloc[len(ladder) // 2 :])
        slopes = [
            np.polyfit(upper_half["width"], upper_half[column], 1)[0]
            for column in ("measured", "upper")
        ]
        found.append((neuron, inputs, dim, ratio.iloc[0], ratio.iloc[-1], *slopes))
    ends = [f"bound / measured at {width:.0f}" for width in rows["width"].agg(["min", "max"])]
    columns = ["neuron", "inputs", "dim", *ends, "exponent measured", "exponent of the bound"]
    return pd.DataFrame(found, columns=columns)


def main(options: cli.Options) -> None:
    """Width of random two-layer networks: deviation, certificate, bound and min_width."""
    cli.perform(options, random_pairs, configurations(options), draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, cli.Options)
