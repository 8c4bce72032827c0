"""Ask whether the dimension of the neurons' support decides how well two networks connect.

Part one draws neurons from a k-dimensional subspace of a larger space and measures the cost of
matching two samples of m of them, beside both bounds and the rate. Part two trains pairs of
networks over a ladder of learning rates (Ferbach et al. 2024, Figure 2), matches their hidden units
in three spaces, and measures the path between them, the dimension of every layer, and the
matching cost beside what the bounds predict for Gaussian neurons of the measured spectrum.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from otlmc import bounds, cli, data, laws, plotting, sweep, wasserstein
from otlmc.matching import match
from otlmc.matching.cost import SPACES, matching_costs
from otlmc.networks import MLP
from otlmc.pairs import Pairs, ladder, measure, train_pairs
from otlmc.results import Comparison

AMBIENT = 32
"""Dimension of the space in which the synthetic neurons live."""


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the main job."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Data on which the networks are trained; mnist is read from --data-dir."""


@dataclass(frozen=True)
class Ladder:
    """One support dimension, over a ladder of widths."""

    k: int
    widths: tuple[int, ...]
    repetitions: int
    seed: int


def synthetic(config: Ladder) -> Iterator[dict[str, Any]]:
    """Measure the matching cost of neurons supported in a random k-dimensional subspace."""
    seeds = np.random.SeedSequence([config.seed, config.k])
    frame, *draws = (np.random.default_rng(s) for s in seeds.spawn(1 + len(config.widths)))
    basis = np.linalg.qr(frame.standard_normal((AMBIENT, config.k)))[0]
    law = laws.Gaussian(covariance=basis @ basis.T)
    costs = []
    for width, rng in zip(config.widths, draws, strict=True):
        values = wasserstein.two_sample_costs(law, width, repetitions=config.repetitions, rng=rng)
        costs.append(values)
        best = bounds.upper(law, width)
        row = Comparison(
            quantity="matching cost E W_2^2",
            measured=float(values.mean()),
            stderr=float(values.std(ddof=1) / np.sqrt(len(values))),
            lower=float(bounds.lower(law, width)),
            upper=float(best),
            kind="two-sided",
            reference=f"upper: {best.method}; lower: {bounds.lower(law, width).method}",
        )
        yield {"width": width, **row.to_record()}
    fit = wasserstein.fit_rate(config.widths, costs)
    # Below k = 2 the mean of the sample, which no matching moves, keeps the cost at order 1 / m.
    rate = -min(1.0, 2 / config.k)
    row = Comparison(
        quantity="exponent of the width",
        measured=fit.exponent,
        stderr=(fit.high - fit.low) / 4,
        lower=rate,
        upper=rate,
        kind="rate",
        reference="m^(-2/k), and 1/m up to logarithms for k <= 2",
    )
    yield {"width": None, **row.to_record()}


def trained(config: Pairs, *, data_dir: Path | None, device: str) -> Iterator[dict[str, Any]]:
    """Train the pairs of one learning rate; match and measure each."""
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    for repetition, (a, b) in enumerate(train_pairs(config, dataset, device=device)):
        for row in measure_pair(a, b, dataset):
            yield {"repetition": repetition, **row}


def measure_pair(a: MLP, b: MLP, dataset: data.Dataset) -> Iterator[dict[str, Any]]:
    """Match two networks in every space, and measure paths, dimensions and costs."""
    inputs = dataset.train_inputs
    for matching in ("none", *SPACES):
        aligned = match(a, b, inputs, method=matching).permutation.apply(b)
        yield from measure(a, aligned, dataset, matching=matching)
        if matching == "none":
            continue
        for layer, cost in enumerate(
            matching_costs(a, aligned, inputs, space=matching).values(), start=1
        ):
            law = laws.Gaussian(spectrum=cost.spectrum)
            row = Comparison(
                quantity="matching cost",
                measured=cost.cost,
                lower=float(bounds.lower(law, cost.width)),
                upper=float(bounds.upper(law, cost.width)),
                kind="prediction",
                reference="independent Gaussian neurons of the measured spectrum",
            )
            random = 2 * float(cost.spectrum.sum())
            yield {"matching": matching, "layer": layer, "random": random, **row.to_record()}


def configurations(options: Options) -> tuple[list[Ladder], list[Pairs]]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    widths = tuple(2**e for e in range(4, 12 if full else 10))
    ladders = [Ladder(k, widths, 64 if full else 40, options.seed) for k in (1, 2, 3, 5, 10)]
    return ladders, ladder(options.dataset, full=full, seed=options.seed)


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the four panels of the main job."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table, axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    ladder = table[table["part"] == "synthetic"].dropna(subset="width")
    plotting.plot_ladder(ladder, ax=axes[0])
    axes[0].set_title("Two samples of neurons in a k-dimensional subspace")

    pairs = table[table["part"] == "trained"]
    midpoint = pairs[pairs["quantity"] == "midpoint_loss"]
    ends = pairs[pairs["quantity"] == "mean loss of the ends"].assign(matching="networks A and B")
    both = pd.concat([midpoint, ends])
    plotting.plot_against_rate(both, "matching", ylabel="test cross-entropy (nats)", ax=axes[1])
    axes[1].set_title("Loss of the midpoint between two trained networks")

    costs = pairs[pairs["quantity"] == "matching cost"]
    plotting.plot_predicted_cost(costs, ax=axes[2])
    axes[2].set_title("Matching cost: measured and predicted")

    dimensions = pairs[(pairs["quantity"] == "approximate dimension") & (pairs["layer"] == 2)]
    plotting.plot_against_rate(
        dimensions, "matching", ylabel=r"(tr S)$^2$ / tr S$^2$ of layer 2", ax=axes[3]
    )
    axes[3].set_title("Approximate dimension of the matched units")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return midpoint losses by learning rate and matching, the table printed at the end."""
    chosen = table["quantity"].isin(["midpoint_loss", "mean loss of the ends"])
    rows = table[chosen].assign(
        matching=lambda t: t["matching"].where(t["quantity"] == "midpoint_loss", "ends")
    )
    wide = rows.pivot_table(index="learning_rate", columns="matching", values="measured")
    return wide.reindex(columns=["ends", "none", *SPACES]).reset_index()


def main(options: Options) -> None:
    """Support dimension against linear connectivity: synthetic neurons and trained networks."""
    start = time.perf_counter()
    provenance = data.load(options.dataset, data_dir=options.data_dir).provenance
    ladders, pairs = configurations(options)
    run = partial(sweep.run, jobs=options.jobs, scheduler=options.scheduler, resume=options.resume)
    parts = {"synthetic": run(synthetic, ladders, folder=options.out / "synthetic")}
    task = partial(trained, data_dir=options.data_dir, device=str(options.torch_device))
    parts["trained"] = run(task, pairs, folder=options.out / "trained")
    table = pd.concat(parts, names=["part"]).reset_index("part").reset_index(drop=True)
    seconds = time.perf_counter() - start
    manifest = cli.manifest(options, seconds=seconds, data=provenance)
    cli.write_outputs(options.out, table, manifest, draw(table), summary=summarise(table))


if __name__ == "__main__":
    cli.run(main, Options)
