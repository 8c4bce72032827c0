"""Ask whether networks of another initialisation or optimiser are as connected.

Protocols 2.E and 2.F, moons: Kaiming's normal and uniform initialisation with AdamW and RMSprop;
the epsilon-loss within and between the four families in the frame of the best network, in that of
the best of every family, and with every pair matched on its own. The paper's code draws the weights
again, and leaves the biases as PyTorch draws them. Beside the paper: the test losses on other draws
of the moons, since its own are not available.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from otlmc import data, networks, plotting
from otlmc.connectivity import PathsReport
from otlmc.data import Dataset
from otlmc.networks import Architecture, Schedule, Stack, TrainConfig, TrainResult, train
from otlmc.networks.config import OptimiserName
from otlmc.networks.initialisation import Initialisation
from validation.pairwise import families, protocol
from validation.pairwise.initialisation_claims import claims
from validation.pairwise.protocol import Name, Options, Rows

__all__ = ["DATASETS", "claims", "configurations", "draw", "measured", "summarise"]

DATASETS: tuple[Name, ...] = ("moons",)
INITIALISATIONS: tuple[Initialisation, ...] = ("kaiming_normal", "kaiming_uniform")
OPTIMISERS: tuple[OptimiserName, ...] = ("adamw", "rmsprop")
FAMILIES = tuple(product(INITIALISATIONS, OPTIMISERS))
DRAWS = 8
"""Draws of the moons on which the families are trained: the paper's is not available."""
KINDS = {
    ("adamw", "adamw"): "both AdamW",
    ("adamw", "rmsprop"): "AdamW and RMSprop",
    ("rmsprop", "rmsprop"): "both RMSprop",
}
FRAMES = {"none": "as they are", "best": "best\nnetwork", "pairwise": "each pair\non its own"}


@dataclass(frozen=True)
class Families:
    """Networks of one width, ``models`` of each family."""

    dataset: str
    width: int
    models: int
    epochs: int
    seed: int


def configurations(options: Options) -> list[Families]:
    """Return the only task: all families, since they are compared with each other."""
    full = options.preset == "full"
    width = min(512 if full else 256, options.widest or 512)
    models = options.models or (10 if full else 4)
    return [Families(options.dataset, width, models, protocol.EPOCHS["moons"], options.seed)]


def measured(config: Families, *, data_dir: Path | None, device: str) -> Rows:
    """Train the four families and measure the paths between all networks in every frame."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    results = {
        (initialisation, optimiser): _train(config, initialisation, optimiser, dataset, device)
        for initialisation, optimiser in FAMILIES
    }
    for (initialisation, optimiser), result in results.items():
        names = {"initialisation": initialisation, "optimiser": optimiser}
        yield from protocol.network_rows(result, **names)
    yield from _draws(config, device)
    labels = {
        "family": [f"{i} {o}" for i, o in results for _ in range(config.models)],
        "optimiser": [o for _, o in results for _ in range(config.models)],
    }
    for frame, report in _frames(list(results.values()), labels["family"], dataset):
        for by, names in labels.items():
            yield from (
                {"by": by, **row} for row in families.family_rows(report, names, frame=frame)
            )


def _draws(config: Families, device: str) -> Rows:
    """Yield the test losses of every family on every draw of the data, the usual one first."""
    for number in range(DRAWS):
        dataset = data.load("moons", rng=number).to(device)
        for initialisation, optimiser in FAMILIES:
            losses = _train(config, initialisation, optimiser, dataset, device).test_loss
            names = {"initialisation": initialisation, "optimiser": optimiser, "draw": number}
            yield {**names, "quantity": "test_loss of a draw", **protocol.statistics(losses)}


def _frames(
    results: list[TrainResult], labels: list[str], dataset: Dataset
) -> Iterator[tuple[str, PathsReport]]:
    stack = Stack.concatenate([result.stack for result in results])
    yield "none", protocol.common_paths(stack, dataset)
    references = {"best": families.best(results)}
    for number, result in enumerate(results):
        first = number * len(result.stack)
        references[labels[first]] = first + families.best([result])
    for name, reference in references.items():
        moved = protocol.aligned(stack, reference=reference)
        yield name, protocol.common_paths(moved, dataset)
    yield "pairwise", protocol.direct_paths(stack, dataset)


def _train(
    config: Families,
    initialisation: Initialisation,
    optimiser: OptimiserName,
    dataset: Dataset,
    device: str,
) -> TrainResult:
    training = TrainConfig(
        optimiser=optimiser,
        lr=0.1,
        weight_decay=1e-4,
        batch_size=256,
        epochs=config.epochs,
        schedule=Schedule(shape="cosine_epoch"),
    )
    # Networks of two families have no weights and no batch in common.
    number = FAMILIES.index((initialisation, optimiser))
    seeds, others = (
        protocol.seeds_of(config.seed, config.models, first=k * config.models)
        for k in (number, number + len(FAMILIES))
    )
    shape = protocol.architecture(dataset, config.width)
    initial = drawn(shape, initialisation, weights=seeds, biases=others)
    return train(shape, dataset, training, seeds, initial=initial, device=device)


def drawn(
    shape: Architecture, initialisation: Initialisation, *, weights: range, biases: range
) -> Stack:
    """Return networks with the weights of an initialisation, and biases as PyTorch draws them."""
    chosen = networks.draw(shape, weights, initialisation=initialisation).tensors
    default = networks.draw(shape, biases).tensors
    tensors = {n: chosen[n] if n.endswith("weight") else default[n] for n in shape.shapes}
    return Stack(shape, tensors)


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw epsilon by optimiser and frame."""
    rows = _by_optimiser(table)
    family = r"kaiming_(\w+) (\w+)"
    frames = rows["frame"].str.replace(family, r"reference:\n\1\n\2", regex=True)
    rows = rows.assign(frame=frames.replace(FRAMES))
    with plotting.style():
        figure, (ax,) = plotting.panels(1, 1)
        figure.set_size_inches(8.0, 4.4)
        plotting.plot_groups(rows, "frame", "pair", ylabel="epsilon of the test loss", ax=ax)
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set_ylim(bottom=-0.002)
        ax.set_title(f"moons, width {table['width'].iloc[0]}: pairs of networks, by their frame")
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean epsilon by frame, and by optimisers of the pair."""
    rows = _by_optimiser(table)
    wide = rows.pivot(index="frame", columns="pair", values="measured")
    return wide.loc[list(dict.fromkeys(rows["frame"])), list(KINDS.values())].reset_index()


def _by_optimiser(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[(table["quantity"] == "epsilon_loss") & (table["by"] == "optimiser")]
    pairs = zip(rows["first"], rows["second"], strict=True)
    return rows.assign(pair=[KINDS[pair] for pair in pairs])
