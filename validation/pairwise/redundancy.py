"""Ask whether networks are still connected once their redundant units have been merged.

Protocol 2.D, moons: units with nearly one direction of incoming weights and bias are merged, so
that few different features are left; the reduced networks, padded with empty units to one width,
are joined as before. The published algorithm carries two faults (see ``reduce_redundancy``): the
correct one is measured, and the published one beside it. Beside the paper: the reduced networks
after alignment.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from otlmc import plotting
from otlmc.data import Dataset
from otlmc.networks import MLP, Stack, evaluate
from otlmc.networks.redundancy import pad, reduce_redundancy
from validation.claims import published
from validation.pairwise import protocol
from validation.pairwise.protocol import Name, Options, Rows, Zoo, statistics
from validation.pairwise.redundancy_claims import claims

__all__ = ["DATASETS", "claims", "configurations", "draw", "measured", "summarise"]

DATASETS: tuple[Name, ...] = ("moons",)
SHOWN = {"full": "whole networks", "reduced": "reduced", "published": "reduced as published"}


def configurations(options: Options) -> list[Zoo]:
    """Return one task for every width."""
    return protocol.zoos(options)


def measured(config: Zoo, *, data_dir: Path | None, device: str) -> Rows:
    """Train the networks of a width, reduce them, and measure what lies between all of them."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    whole = protocol.train_zoo(config, dataset, device=device).stack
    yield from _measure("full", list(whole), whole, dataset)
    for name, as_published in (("reduced", False), ("published", True)):
        reduced = [reduce_redundancy(network, as_published=as_published) for network in whole]
        yield from _measure(name, reduced, whole, dataset)


def _measure(name: str, networks: Sequence[MLP], whole: Stack, dataset: Dataset) -> Rows:
    """Compare networks with the whole ones, and measure the paths between them."""
    widths = [network.architecture.widths[1] for network in networks]
    stack = Stack.of([pad(network, max(widths)) for network in networks])
    inputs = dataset.test_inputs
    found = evaluate(stack, inputs, dataset.test_labels)
    same = ((stack(inputs) > 0) == (whole(inputs) > 0)).double().mean((-2, -1)).cpu()
    of_networks = {
        "width_left": np.array(widths),
        "test_loss": found.loss,
        "test_accuracy": 1 - found.error,
        "same predictions": same,
    }
    for quantity, values in of_networks.items():
        yield {"networks": name, "quantity": quantity, **statistics(values)}
    for matching, moved in (("none", stack), ("weight", protocol.aligned(stack))):
        report = protocol.common_paths(moved, dataset)
        yield from protocol.path_rows(report, networks=name, matching=matching)


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the reduced width, the test loss and epsilon before and after alignment."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table.assign(networks=table["networks"].map(SHOWN)), axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    paper = published("kalaivanan_reduction")
    paper["networks"] = paper["networks"].map(
        {"full": SHOWN["full"], "reduced": SHOWN["published"]}
    )
    plotting.plot_beside_published(
        table[table["quantity"] == "width_left"],
        paper[paper["quantity"] == "width"],
        "networks",
        ylabel="units left",
        ax=axes[0],
    )
    axes[0].set_yscale("log", base=2)
    axes[0].set_title("Merging units that compute the same feature")
    losses = table[table["quantity"] == "test_loss"]
    of_paper = paper[paper["quantity"] == "test_loss"]
    plotting.plot_beside_published(
        losses, of_paper, "networks", ylabel="test cross-entropy (nats)", ax=axes[1]
    )
    axes[1].set(
        yscale="log", ylim=(losses["measured"].min() / 2, None), title="Loss of the networks"
    )
    epsilon = table[table["quantity"] == "epsilon_loss"]
    titles = {"none": "All pairs, as they are", "weight": "All pairs, weight matching"}
    for (matching, title), ax in zip(titles.items(), axes[2:], strict=True):
        rows = epsilon[epsilon["matching"] == matching]
        plotting.plot_spread(rows, "width", "networks", ylabel="epsilon of the test loss", ax=ax)
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set(ylim=(-0.002, None), title=title)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return units left, test loss and median epsilon by width, whole and correctly reduced."""
    rows = table[table["networks"] != "published"]
    rows = rows[rows["matching"].isna() | (rows["matching"] == "none")]
    rows = rows[rows["quantity"].isin(["width_left", "test_loss", "epsilon_loss"])]
    wide = rows.pivot(index="width", columns=["quantity", "networks"], values="q50")
    wide.columns = [f"{quantity}, {networks}" for quantity, networks in wide.columns]
    return wide.drop(columns="width_left, full").reset_index()
