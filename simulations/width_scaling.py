"""Ask how wide two random two-layer networks must be, and how wide theory says they must be.

The neurons w of f(x) = (1/m) sum_i activation(w_i . x) are independent standard Gaussians, and
|x| <= 1, so that the constants of the theorem are known exactly. B is permuted by the optimal
matching: of W_1 for ReLU, which is Lipschitz, and of W_2 for tanh, which is smooth. Beside the
largest deviation along the path stand the certificate of the pair (its measured W_p in place of the
expectation), the bound, and its version at a confidence.
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

BITS = (2, 4, 8, 16, 32, 64, 128)
"""Ticks of the axis of widths, which is logarithmic in their binary logarithm."""


@dataclass(frozen=True)
class Ladder:
    """One kind of neuron in one dimension, over a ladder of widths."""

    neuron: Literal["relu", "tanh"]
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


def random_pairs(config: Ladder) -> Iterator[dict[str, Any]]:
    """Measure deviation and certificate over the widths, and the widths that tolerances ask for."""
    neuron, law = NEURONS[config.neuron], laws.Gaussian(dim=config.dim)
    smooth = neuron.smoothness is not None
    network = (
        bounds.TwoLayer(law, smoothness=neuron.smoothness)
        if smooth
        else bounds.TwoLayer(law, lipschitz=neuron.lipschitz)
    )
    p, factor = (2, (neuron.smoothness or 0.0) / 8) if smooth else (1, neuron.lipschitz / 2)
    seeds = np.random.SeedSequence([config.seed, config.dim, p]).spawn(len(config.widths))
    measured = np.empty((2, len(config.widths), config.repetitions))
    for index, (width, seed) in enumerate(zip(config.widths, seeds, strict=True)):
        rng = np.random.default_rng(seed)
        for repetition in range(config.repetitions):
            a, b = law.sample(width, rng), law.sample(width, rng)
            best = wasserstein.distance(a, b, p=p)
            measured[0, index, repetition] = largest_deviation(
                neuron, a, b[best.permutation], rng=rng
            )
            measured[1, index, repetition] = factor * best.cost
        for row in compare(network, width, *measured[:, index]):
            yield {"tolerance": None, "width": width, "low": None, "high": None, **row.to_record()}
    for quantity, values in zip(("deviation", "certificate"), measured, strict=True):
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
            found = width_reached(config.widths, values, tolerance)
            if found is None:
                continue
            limits = bounds.min_width(network, tolerance)
            row = Comparison(
                quantity=f"width of the {quantity}",
                measured=found[0],
                stderr=found[1],
                lower=2**limits.log2_lower if quantity == "certificate" else None,
                upper=2**limits.log2_upper,
                kind="two-sided" if quantity == "certificate" else "upper",
                reference=limits.reference,
            )
            yield {"tolerance": tolerance, "width": None, "low": None, "high": None} | (
                row.to_record()
            )


def compare(
    network: bounds.TwoLayer, width: int, deviation: Array, certificate: Array
) -> Iterator[Comparison]:
    """Hold the deviations and the certificates of the pairs of one width against the theorem."""
    upper = network.deviation(width)
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
        lower=float(network.matching_shortfall(width)),
        upper=float(upper),
        kind="two-sided",
        reference=f"{upper.method}: {network.reference}",
    )
    yield Comparison(
        quantity="largest deviation / certificate of a pair",
        measured=float((deviation / certificate).max()),
        upper=1.0,
        kind="upper",
        reference=network.reference,
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
    neurons: tuple[Literal["relu", "tanh"], ...] = ("relu", "tanh")
    return [
        Ladder(neuron, dim, widths, repetitions, options.seed)
        for neuron in neurons
        for dim in ((2, 3, 5, 10, 20) if full else (2, 5, 10))
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw deviations against the width, and widths, in bits, against the tolerance."""
    titles = {"relu": "ReLU neurons (Lipschitz)", "tanh": "tanh neurons (smooth)"}
    bits = table.dropna(subset="tolerance").assign(
        measured=lambda t: np.log2(t["measured"]),
        stderr=lambda t: t["stderr"] / (np.log(2) * table["measured"]),
        upper=lambda t: np.log2(t["upper"]),
    )
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        for (neuron, title), above, below in zip(titles.items(), axes[:2], axes[2:], strict=True):
            plotting.plot_two_quantities(
                table[table["neuron"] == neuron],
                ("deviation", "certificate"),
                x="width",
                series="dim",
                note="filled: measured; hollow: certificate; dotted: bound",
                ax=above,
            )
            above.set_xscale("log", base=2)
            above.set(xlabel="width m", ylabel="largest deviation along the path", title=title)
            plotting.plot_two_quantities(
                bits[bits["neuron"] == neuron],
                ("width of the deviation", "width of the certificate"),
                x="tolerance",
                series="dim",
                note="filled: measured; hollow: certificate; dotted: min_width",
                ax=below,
            )
            below.set_yscale("log", base=2)
            below.set_yticks(BITS, [str(tick) for tick in BITS])
            below.set(xlabel="tolerance", ylabel="binary logarithm of the width that meets it")
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for every tolerance, the width that meets it and the widths that are enough."""
    rows = table.dropna(subset="tolerance")
    wide = rows.pivot_table(
        index=["neuron", "dim", "tolerance"], columns="quantity", values="measured"
    )
    wide["min_width"] = rows.groupby(["neuron", "dim", "tolerance"])["upper"].max()
    return wide.reset_index()


def main(options: cli.Options) -> None:
    """Width of random two-layer networks: deviation, certificate, bound and min_width."""
    cli.perform(options, random_pairs, configurations(options), draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, cli.Options)
