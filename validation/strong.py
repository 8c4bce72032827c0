"""Ask whether one permutation for each network connects all of them: strong linear connectivity.

Sharma et al. (2024): among four networks the pair A, B is joined after matching B to A, or after
matching both to a third, C, against the width; and permutations are composed along paths and
cycles of networks. Beside the paper: no matching at all, one common frame for all four networks
(universe matching, which is consistent along cycles), and the average of three aligned networks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from otlmc import cli, data, plotting
from otlmc.connectivity import PlaneReport
from otlmc.networks import Architecture, Schedule, TrainConfig, train
from validation.claims import published
from validation.sets import Sets
from validation.strong_claims import claims
from validation.strong_routes import NETWORKS, measure

__all__ = ["claims", "configurations", "draw", "main", "measured", "summarise"]

SHOWN = ("no permutation", "pair", "via one", "universe", "mean of three")
"""The arrangements that are drawn and printed, under weight matching."""


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the experiment."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Data on which the networks are trained; mnist is read from --data-dir."""
    repetitions: int | None = None
    """Groups of four networks for every width [default: 2, on mnist 1; full: 4]."""
    widest: int | None = None
    """The largest of the widths 16, 32, ... [default: 128; full: 512]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.at_least("repetitions", self.repetitions, 1)
        cli.at_least("widest", self.widest, 16)


@dataclass(frozen=True)
class Group:
    """Four networks of one width, trained alike.

    Attributes
    ----------
    setup : str
        ``"main"``, or ``"deeper"``: one more hidden layer, half the rate, fewer epochs.
    points : int
        Values of t on every path.
    plane : bool
        Whether the loss is mapped on the plane of the first three networks.
    """

    setup: str
    dataset: str
    hidden_layers: int
    width: int
    learning_rate: float
    batch_size: int
    epochs: int
    points: int
    repetition: int
    seed: int
    plane: bool


def measured(config: Group, *, data_dir: Path | None, device: str) -> Iterator[dict[str, Any]]:
    """Train the four networks as one stack, and measure what lies between them."""
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    hidden = [config.width] * config.hidden_layers
    training = TrainConfig(
        lr=config.learning_rate,
        batch_size=config.batch_size,
        epochs=config.epochs,
        schedule=Schedule(shape="cosine"),
    )
    first = 2**16 * config.seed + NETWORKS * config.repetition
    stack = train(
        Architecture(widths=(dataset.input_dim, *hidden, dataset.output_dim)),
        dataset,
        training,
        range(first, first + NETWORKS),
        device=device,
    ).stack
    sets = Sets.of(dataset)
    yield from measure(list(stack), sets, points=config.points, with_plane=config.plane)


def configurations(options: Options) -> list[Group]:
    """Return the tasks of a preset, the widest networks first."""
    full, digits = options.preset == "full", options.dataset == "digits"
    widest = options.widest or (512 if full else 128)
    widths = [w for w in (512, 256, 128, 64, 32, 16) if w <= widest]
    repetitions = options.repetitions or (4 if full else 2 if digits else 1)
    setups = {"main": (2, 0.1, 50, 100) if digits else (3, 0.05, 128, 10)}
    if full and digits:
        setups["deeper"] = (3, 0.05, 50, 60)
    return [
        Group(
            setup=setup,
            dataset=options.dataset,
            hidden_layers=layers,
            width=width,
            learning_rate=rate,
            batch_size=batch,
            epochs=epochs,
            points=25 if full else 11,
            repetition=repetition,
            seed=options.seed,
            plane=(setup, width, repetition) == ("main", widths[0], 0),
        )
        for setup, (layers, rate, batch, epochs) in setups.items()
        for width in widths
        for repetition in range(repetitions)
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw barriers against width, compositions, and the loss plane before and after matching."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table[table["setup"] == "main"], axes)
    return figure


def _draw(main: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    errors = _errors(main)
    paper = published("sharma2024_width").query(
        "matching == 'weight' and on == 'train' and quantity == 'error_barrier'"
    )
    plotting.plot_barrier_against_width(
        errors[errors["arrangement"].isin(SHOWN)],
        "arrangement",
        ylabel="barrier of the training error",
        published=paper,
        ax=axes[0],
    )
    axes[0].set(yscale="log", title="Weight matching (published: CIFAR-10, base width)")
    plotting.plot_composition(errors, published("sharma2024_composition"), ax=axes[1])
    axes[1].set_title("Composed permutations (published: base width 64)")
    maps = {name: plane_of(main, name) for name in ("none", "weight")}
    top = float(maps["none"].loss.max())
    for (name, report), ax in zip(maps.items(), axes[2:], strict=True):
        plotting.plot_loss_plane(report, limit=top, ax=ax)
        ax.set_title(f"Three networks of width {main['width'].max()}, matching: {name}")


def _errors(main: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training error, by arrangement under weight matching."""
    rows = main[(main["on"] == "train") & (main["quantity"] == "error_barrier")]
    still = (rows["matching"] == "none") & (rows["arrangement"] == "pair")
    names = rows["arrangement"].where(~still, "no permutation")
    return rows.assign(arrangement=names)[still | (rows["matching"] == "weight")]


def plane_of(table: pd.DataFrame, matching: str) -> PlaneReport:
    """Read a loss plane back from the table."""
    rows = table[(table["arrangement"] == "plane") & (table["matching"] == matching)]
    losses = rows[rows["quantity"] == "loss"].pivot(index="y", columns="x", values="measured")
    corners = rows[rows["quantity"] != "loss"].sort_values("quantity")
    return PlaneReport(
        x=losses.columns.to_numpy(dtype=float),
        y=losses.index.to_numpy(dtype=float),
        loss=losses.to_numpy(),
        error=np.full(losses.shape, np.nan),
        corners=corners[["x", "y"]].to_numpy(),
        on="training",
        samples=0,
    )


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training error by width and arrangement, weight matching."""
    errors = _errors(table[table["setup"] == "main"])
    wide = errors.pivot_table(index="width", columns="arrangement", values="measured")
    return wide.reindex(columns=list(SHOWN)).reset_index()


def main(options: Options) -> None:
    """Strong linear connectivity: four networks, one permutation each, against the width."""
    configs = configurations(options)
    cli.perform_on_data(options, measured, configs, draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, Options)
