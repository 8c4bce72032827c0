"""Ask how connected independent networks are, against width, as they are and once aligned.

Protocols 2.A and 2.B: the model zoo by width; the epsilon-loss between all pairs, as the networks
are and after every one has been matched to the first; the loss along the paths; and how similar
the features of the first hidden layer are (the direction of incoming weights and bias of a unit).
Beside the paper: alignment by the units' outputs.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from otlmc import plotting
from otlmc.networks import Stack
from validation.claims import published
from validation.pairwise import protocol
from validation.pairwise.protocol import Name, Options, Rows, Zoo, statistics
from validation.pairwise.zoo_claims import claims

__all__ = ["DATASETS", "claims", "configurations", "draw", "measured", "summarise"]

DATASETS: tuple[Name, ...] = ("moons", "mnist")
MATCHINGS = ("none", "weight", "activation_centred")
"""As the networks are, the paper's alignment, and one by the units' outputs beside it."""
LABELS = {
    "none": "as they are",
    "weight": "weight matching",
    "activation_centred": "activation matching",
}
FEATURES = {
    "nearest unit": "cosine to the nearest",
    "redundant units": "of those, above 0.99",
    "unit in the same place": "cosine to another network",
}
"""What is said of the units' directions, and how the figure calls it."""
MATCHED = 10_000
"""Examples on which outputs are compared."""


def configurations(options: Options) -> list[Zoo]:
    """Return one task for every width."""
    return protocol.zoos(options)


def measured(config: Zoo, *, data_dir: Path | None, device: str) -> Rows:
    """Train the networks of a width and measure what lies between all of them."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    result = protocol.train_zoo(config, dataset, device=device)
    yield from protocol.network_rows(result)
    yield from _within(result.stack)
    for matching in MATCHINGS:
        inputs = dataset.train_inputs[:MATCHED]
        stack = protocol.aligned(result.stack, method=matching, inputs=inputs)
        report = protocol.common_paths(stack, dataset)
        yield from protocol.path_rows(report, curves=True, matching=matching)
        yield from _between(stack, matching)


def directions(stack: Stack) -> torch.Tensor:
    """Return incoming weights and bias of every unit of the first layer, normalised."""
    tensors = [stack.tensors["layers.0.weight"], stack.tensors["layers.0.bias"][..., None]]
    return torch.nn.functional.normalize(torch.cat(tensors, dim=-1).double(), dim=-1)


def _within(stack: Stack) -> Rows:
    """Compare the units of every network among themselves."""
    units = directions(stack)
    cosines = units @ units.mT
    cosines.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
    nearest = cosines.amax(-1)
    redundant = (nearest > protocol.SAME_FEATURE).double().mean(-1)
    for quantity, values in (("nearest unit", nearest.mean(-1)), ("redundant units", redundant)):
        yield {"quantity": quantity, **statistics(values.cpu())}


def _between(stack: Stack, matching: str) -> Rows:
    """Compare the units that stand in one place of two networks, for every pair."""
    units = directions(stack).flatten(1)
    cosines = (units @ units.T / stack.architecture.widths[1]).cpu().numpy()
    i, j = np.triu_indices(len(stack), 1)
    found = statistics(cosines[i, j], pairs=np.stack([i, j], axis=1))
    yield {"matching": matching, "quantity": "unit in the same place", **found}


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the losses, epsilon and features against width, and the loss along the paths."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table, axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    dataset, widest = table["dataset"].iloc[0], table["width"].max()
    paper = published("kalaivanan_zoo")
    paper = paper[paper["dataset"] == dataset]
    losses = table[table["quantity"].isin(["train_loss", "test_loss"])]
    plotting.plot_beside_published(
        losses, paper, "quantity", ylabel="cross-entropy (nats)", ax=axes[0]
    )
    axes[0].set(yscale="log", title=f"{dataset}: {table['models'].iloc[0]} networks a width")
    axes[0].set_ylim(bottom=losses["measured"].min() / 2)
    shown = table.assign(matching=table["matching"].map(LABELS))
    epsilon = shown[shown["quantity"] == "epsilon_loss"]
    plotting.plot_spread(
        epsilon, "width", "matching", ylabel="epsilon of the test loss", ax=axes[1]
    )
    axes[1].set_yscale("symlog", linthresh=0.01)
    axes[1].set_ylim(bottom=-0.002)
    axes[1].set_title("All pairs of networks of one width")
    curves = shown[(shown["quantity"] == "loss") & shown["width"].isin([8, widest])]
    curves = curves[curves["matching"] != LABELS["activation_centred"]]
    names = curves["matching"] + ", width " + curves["width"].astype(str)
    curves = curves.assign(path=names).sort_values("width", kind="stable")
    plotting.plot_spread(curves, "t", "path", ylabel="test loss (nats)", whiskers=False, ax=axes[2])
    axes[2].set_title("Test loss between two networks")
    units = table[table["quantity"].isin(FEATURES) & (table["matching"] != "activation_centred")]
    matched = units["matching"] == "weight"
    names = units["quantity"].map(FEATURES) + matched.map({True: ", matched", False: ""})
    plotting.plot_spread(units.assign(units=names), "width", "units", ylabel="", ax=axes[3])
    axes[3].set(title="Features of the first hidden layer", ylim=(-0.25, 1.05))


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return losses and the median epsilon by width."""
    rows = table[table["quantity"].isin(["train_loss", "test_loss", "epsilon_loss"])]
    names = rows["quantity"].str.replace("_loss", "") + rows["matching"].map(
        {"none": ", as they are", "weight": ", weight", "activation_centred": ", activation"}
    ).fillna("")
    wide = rows.assign(name=names).pivot(index="width", columns="name", values="q50")
    return wide[list(dict.fromkeys(names))].reset_index()
