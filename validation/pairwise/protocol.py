"""What the experiments share: the paper's networks, their alignment, and rows of statistics.

Kalaivanan et al.: many networks of one architecture, and the epsilon-loss between all of them,
max_t L(theta(t)) - max(L(theta(0)), L(theta(1))) on the test set, with 11 values of t.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from otlmc import cli, data
from otlmc.connectivity import PathsReport, all_paths
from otlmc.data import Dataset
from otlmc.matching import match_all
from otlmc.networks import Architecture, Schedule, Stack, TrainConfig, TrainResult, train

Rows = Iterator[dict[str, Any]]
Name = Literal["moons", "digits", "mnist", "cifar10"]

WIDTHS = (2, 4, 8, 16, 32, 64, 128, 256, 512)
NARROW = 8
"""The least width that every experiment has."""
EPOCHS = {"moons": 100, "mnist": 60}
"""Of the paper's zoo."""
MODELS = 50
"""Networks of a width in the paper's zoo."""
POINTS = 11
SAME_FEATURE = 0.99
"""The cosine above which two units of one network count as one feature."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
MEASURES = ("epsilon_loss", "epsilon_error", "loss_barrier", "midpoint_loss", "midpoint_error")
NETWORK_MEASURES = ("train_loss", "test_loss", "train_error", "test_error")


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the experiments."""

    experiment: Literal[
        "all", "zoo", "clusters", "redundancy", "reference", "initialisation", "swa", "optimisers"
    ] = "all"
    """One experiment, or all."""
    dataset: Name = "moons"
    """Data; an experiment that is not made for it takes its own. Files are read from --data-dir."""
    models: int | None = None
    """Networks of one kind [default: 4 to 8; full: as in the paper, up to 50]."""
    widest: int | None = None
    """The largest width [default: that of the preset]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.at_least("models", self.models, 3)
        cli.at_least("widest", self.widest, NARROW)


@dataclass(frozen=True)
class Zoo:
    """Networks of one width, trained as in the paper's model zoo."""

    dataset: str
    width: int
    models: int
    epochs: int
    seed: int


def zoos(options: Options) -> list[Zoo]:
    """Return the zoo of a preset, the widest networks first."""
    full, moons = options.preset == "full", options.dataset == "moons"
    widths = WIDTHS if full or moons else WIDTHS[2:7]
    return [
        Zoo(
            dataset=options.dataset,
            width=width,
            models=options.models or (MODELS if full else 8),
            epochs=EPOCHS[options.dataset] if full or moons else 10,
            seed=options.seed,
        )
        for width in reversed(widths)
        if options.widest is None or width <= options.widest
    ]


def load(name: str, *, data_dir: Path | None, device: str) -> Dataset:
    """Load a data set as in the paper: images standardised, moons standardised, digits / 16."""
    normalisation = "standard" if name in ("mnist", "cifar10") else None
    return data.load(name, data_dir=data_dir, normalisation=normalisation).to(device)


def architecture(dataset: Dataset, width: int) -> Architecture:
    """Return the paper's networks: one hidden layer on moons, three with LayerNorm on images.

    The slides do not say where LayerNorm stands. Before the activation, the losses of the zoo are
    the published ones; behind it, networks of up to 32 units train worse and spread more.
    """
    layers = 1 if dataset.name == "moons" else 3
    return Architecture(
        widths=(dataset.input_dim, *[width] * layers, dataset.output_dim), layer_norm=layers > 1
    )


def train_zoo(config: Zoo, dataset: Dataset, *, device: str) -> TrainResult:
    """Train the networks of one width: AdamW at 0.1 with a cosine, or one cycle on images."""
    training = TrainConfig(
        optimiser="adamw",
        lr=0.1,
        weight_decay=0.01,
        batch_size=256,
        epochs=config.epochs,
        schedule=Schedule(shape="cosine_epoch" if dataset.name == "moons" else "onecycle"),
    )
    seeds = seeds_of(config.seed, config.models)
    return train(architecture(dataset, config.width), dataset, training, seeds, device=device)


def seeds_of(seed: int, count: int, *, first: int = 0) -> range:
    """Return seeds of networks; those of different runs do not meet."""
    start = 2**16 * seed + first
    return range(start, start + count)


def aligned(
    stack: Stack,
    *,
    reference: int | Literal["universe"] = 0,
    method: str = "weight",
    inputs: Tensor | None = None,
) -> Stack:
    """Return the networks in the frame of one of them, or in a common one."""
    networks = list(stack)
    found = match_all(networks, inputs, reference=reference, method=method)
    moved = [p.apply(network) for p, network in zip(found.permutations, networks, strict=True)]
    return Stack.of(moved)


def common_paths(stack: Stack, dataset: Dataset) -> PathsReport:
    """Measure test loss and error along the paths between all networks as they stand."""
    return all_paths(stack, dataset.test_inputs, dataset.test_labels, points=POINTS)


def direct_paths(stack: Stack, dataset: Dataset) -> PathsReport:
    """Measure the same with every pair matched on its own, the second network to the first."""
    reports = []
    for i in range(len(stack) - 1):
        pairs = [(0, k) for k in range(1, len(stack) - i)]
        moved = aligned(stack[i:])
        inputs, labels = dataset.test_inputs, dataset.test_labels
        reports.append(all_paths(moved, inputs, labels, pairs=pairs, points=POINTS))
    return joined(reports, np.concatenate([r.pairs + i for i, r in enumerate(reports)]))


def joined(reports: Sequence[PathsReport], pairs: NDArray[np.int64]) -> PathsReport:
    """Return many reports as one, with other names of the networks of every pair."""
    return replace(
        reports[0],
        pairs=pairs,
        loss=np.concatenate([report.loss for report in reports]),
        error=np.concatenate([report.error for report in reports]),
    )


def path_rows(report: PathsReport, *, curves: bool = False, **fields: Any) -> Rows:
    """Yield the measures of many paths, and their losses at every t where ``curves`` are wanted."""
    for quantity in MEASURES:
        values = getattr(report, quantity)
        yield {**fields, "quantity": quantity, **statistics(values, pairs=report.pairs)}
    if not curves:
        return
    for t, losses in zip(report.t.tolist(), report.loss.T, strict=True):
        yield {**fields, "quantity": "loss", "t": t, **statistics(losses, pairs=report.pairs)}


def network_rows(result: TrainResult, **fields: Any) -> Rows:
    """Yield losses and errors of the networks."""
    for quantity in NETWORK_MEASURES:
        yield {**fields, "quantity": quantity, **statistics(getattr(result, quantity))}


def statistics(values: ArrayLike, *, pairs: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Return mean, deviation, standard error of the mean, quantiles and count.

    Where the values belong to ``pairs`` of networks they depend on each other; the standard error
    is then the jackknife's, which leaves out one network with all of its pairs.

    Examples
    --------
    >>> round(statistics([1.0, 2.0, 3.0])["stderr"], 4)
    0.5774
    """
    array = np.asarray(values, dtype=np.float64)
    names = [f"q{100 * level:02.0f}" for level in LEVELS]
    return {
        "measured": float(array.mean()),
        "deviation": float(array.std(ddof=1)) if len(array) > 1 else 0.0,
        "stderr": _standard_error(array, pairs),
        **dict(zip(names, np.quantile(array, LEVELS).tolist(), strict=True)),
        "count": len(array),
    }


def square(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return what was measured of every pair i < j as a symmetric matrix with diagonal 0."""
    i, j = (rows[name].to_numpy(dtype=np.int64) for name in "ij")
    matrix = np.zeros((j.max() + 1,) * 2)
    matrix[i, j] = matrix[j, i] = rows["measured"]
    return matrix


def _standard_error(values: NDArray[np.float64], pairs: NDArray[np.int64] | None) -> float | None:
    if pairs is None:
        return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    without = []
    for network in np.unique(pairs):
        others = (pairs != network).all(axis=1)
        if not others.any():
            return None
        without.append(values[others].mean())
    return float(np.std(without) * (len(without) - 1) ** 0.5)
