"""Ask whether deeper networks of other optimisers, on richer data, are as connected.

Protocol 2.H: networks with LayerNorm under AdamW, SGD, RMSprop and Adagrad; the epsilon-loss of
all pairs as they are, in the frame of the best network, and with every pair matched on its own;
the predictions on which two networks disagree, and the largest difference of a parameter. The
paper's images are CIFAR-10 under AutoAugment, which is left out here.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from otlmc import plotting
from otlmc.data import Dataset
from otlmc.networks import Schedule, Stack, TrainConfig, TrainResult, train
from otlmc.networks.config import OptimiserName
from validation.claims import Claim, verdict
from validation.pairwise import families, protocol
from validation.pairwise.protocol import Name, Options, Rows, statistics

Array = NDArray[Any]

DATASETS: tuple[Name, ...] = ("digits", "mnist", "cifar10")
WEIGHT_DECAYS: dict[OptimiserName, float] = {
    "adamw": 0.1,
    "sgd": 0.01,
    "rmsprop": 0.0,
    "adagrad": 0.01,
}
RATE = 0.01
"""Peak of the cycle, but of RMSprop."""
FRAMES = {"none": "as they are", "best": "matched to the best", "pairwise": "each pair matched"}


@dataclass(frozen=True)
class Families:
    """Networks of one width, ``models`` of each optimiser, trained on the first ``examples``."""

    dataset: str
    width: int
    models: int
    epochs: int
    examples: int
    rmsprop_rate: float
    seed: int


def configurations(options: Options) -> list[Families]:
    """Return the only task: all optimisers, since their networks are compared with each other."""
    full, digits = options.preset == "full", options.dataset == "digits"
    # The paper's rate of RMSprop moves no parameter by more than 0.1 in its 12 000 steps.
    return [
        Families(
            dataset=options.dataset,
            width=min(512 if full else 64 if digits else 128, options.widest or 512),
            models=options.models or (10 if full else 4),
            epochs=60 if full or digits else 10,
            examples=60_000 if full else 10_000,
            rmsprop_rate=1e-5 if full and not digits else 1e-3,
            seed=options.seed,
        )
    ]


def measured(config: Families, *, data_dir: Path | None, device: str) -> Rows:
    """Train the networks of all optimisers and measure all pairs."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    dataset = dataclasses.replace(
        dataset,
        train_inputs=dataset.train_inputs[: config.examples],
        train_labels=dataset.train_labels[: config.examples],
    )
    results = [
        _train(config, number, dataset, device=device) for number in range(len(WEIGHT_DECAYS))
    ]
    labels = [name for name in WEIGHT_DECAYS for _ in range(config.models)]
    for name, result in zip(WEIGHT_DECAYS, results, strict=True):
        yield from protocol.network_rows(result, optimiser=name)
    stack = Stack.concatenate([result.stack for result in results])
    frames = {"none": stack, "best": protocol.aligned(stack, reference=families.best(results))}
    reports = {name: protocol.common_paths(moved, dataset) for name, moved in frames.items()}
    reports["pairwise"] = protocol.direct_paths(stack, dataset)
    for frame, report in reports.items():
        yield from families.family_rows(report, labels, frame=frame)
        yield from _matrix(
            report.pairs, report.epsilon_loss, quantity="epsilon of a pair", frame=frame
        )
    pairs = reports["none"].pairs
    for frame, moved in frames.items():
        largest = statistics(_largest_difference(moved, pairs), pairs=pairs)
        yield {"frame": frame, "quantity": "largest difference of a parameter", **largest}
    apart = _disagreement(stack, dataset, pairs)
    yield from _matrix(pairs, apart, quantity="disagreement of a pair", frame="none")


def _train(config: Families, number: int, dataset: Dataset, *, device: str) -> TrainResult:
    name = list(WEIGHT_DECAYS)[number]
    training = TrainConfig(
        optimiser=name,
        lr=config.rmsprop_rate if name == "rmsprop" else RATE,
        weight_decay=WEIGHT_DECAYS[name],
        batch_size=256,
        epochs=config.epochs,
        schedule=Schedule(shape="onecycle"),
    )
    # Networks of two optimisers have no weights and no batch in common.
    seeds = protocol.seeds_of(config.seed, config.models, first=number * config.models)
    shape = protocol.architecture(dataset, config.width)
    return train(shape, dataset, training, seeds, device=device)


def _matrix(pairs: Array, values: Array, **fields: str) -> Rows:
    """Yield what was measured of every pair."""
    for (i, j), value in zip(pairs.tolist(), values.tolist(), strict=True):
        yield {**fields, "i": i, "j": j, "measured": value}


def _largest_difference(stack: Stack, pairs: Array) -> Array:
    """Return for every pair the largest absolute difference of a parameter."""
    flat = torch.cat([tensor.flatten(1) for tensor in stack.tensors.values()], dim=1)
    return np.array([float((flat[i] - flat[j]).abs().max()) for i, j in pairs])


def _disagreement(stack: Stack, dataset: Dataset, pairs: Array) -> Array:
    """Return for every pair the fraction of test examples on which the two networks disagree."""
    with torch.no_grad():
        classes = torch.stack([network(dataset.test_inputs).argmax(-1) for network in stack])
    return np.array([float((classes[i] != classes[j]).double().mean()) for i, j in pairs])


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the epsilon of all pairs in three frames, and the predictions that differ."""
    models = int(table["models"].iloc[0])
    labels = [name for name in WEIGHT_DECAYS for _ in range(models)]
    epsilon = {title: _square(table, "epsilon of a pair", f) for f, title in FRAMES.items()}
    limit = float(np.nanmax(epsilon[FRAMES["none"]]))
    dataset, width = table[["dataset", "width"]].iloc[0]
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        for (title, matrix), ax in zip(epsilon.items(), axes[:3], strict=True):
            label = "epsilon of the test loss"
            plotting.plot_pairs(matrix, labels, label=label, limit=limit, ax=ax)
            ax.set_title(f"{dataset}, width {width}: {title}")
        apart = _square(table, "disagreement of a pair", "none")
        label = "fraction of test examples"
        plotting.plot_pairs(apart, labels, label=label, ax=axes[3])
        axes[3].set_title("Predictions that differ")
    return figure


def _square(table: pd.DataFrame, quantity: str, frame: str) -> Array:
    return protocol.square(table[(table["quantity"] == quantity) & (table["frame"] == frame)])


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean epsilon by the optimisers of the pair and the frame."""
    return means(table).reset_index().rename_axis(columns=None)


def means(table: pd.DataFrame, value: str = "measured") -> pd.DataFrame:
    """Return a statistic of epsilon, one row for a pair of optimisers and one column a frame."""
    rows = table[table["quantity"] == "epsilon_loss"]
    return rows.pivot(index=["first", "second"], columns="frame", values=value)[list(FRAMES)]


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of richer data, beside what the table says."""
    wide = means(table)
    below = wide["best"] < wide["none"]
    errors = table[table["quantity"] == "test_error"].set_index("optimiser")["measured"]
    accuracy = ", ".join(f"{name} {1 - error:.3f}" for name, error in errors.items())
    return [
        Claim(
            paper="kalaivanan",
            where="robustness to the complexity of the data",
            statement="Alignment connects networks of other optimisers on richer data too (here: "
            "matched to the best network, mean epsilon falls for every pair of optimisers).",
            published="no number",
            measured=f"falls for {below.sum()} of {len(below)} pairs of optimisers, from "
            f"{wide['none'].min():.2g}..{wide['none'].max():.2g} to "
            f"{wide['best'].min():.2g}..{wide['best'].max():.2g}; accuracy {accuracy}",
            verdict=verdict(bool(below.all())),
        )
    ]
