"""Ask whether one permutation joins two networks at every level of their pruning.

Sharma et al. (2024): both networks are pruned by magnitude, each by its own masks, rewound and
trained again, level after level. The dense permutation is found once, before anything is pruned;
the sparse one is found anew at every level. Both are applied to the trained networks of a level
and to the rewound ones that they were trained from.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from otlmc import data, plotting
from otlmc.matching import Permutation, infer_spec, match
from otlmc.networks import MLP
from otlmc.networks.pruning import PruningLevel, iterative_magnitude_pruning
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous.imp_claims import claims
from validation.simultaneous.protocol import MATCHINGS, Options, Pair, Rows, barriers, pairs, select

__all__ = ["claims", "configurations", "draw", "measured", "summarise"]

FRACTION = 0.2
"""What goes at every level, of the weights that are left; the output layer stays whole."""
REWIND = 0.05
"""The step to which networks are rewound, as a part of training: 3 of 60 epochs."""


@dataclass(frozen=True)
class PrunedPair(Pair):
    """Two networks that are pruned level by level."""

    levels: int


def configurations(options: Options) -> list[PrunedPair]:
    """Return the pairs of a preset."""
    return pruned(options, width=96, levels=20 if options.preset == "full" else 12)


def pruned(options: Options, *, width: int, levels: int, more: int = 0) -> list[PrunedPair]:
    """Return the pairs of a preset, and some more, with two hidden layers."""
    return [
        PrunedPair(**dataclasses.asdict(pair), levels=levels)
        for pair in pairs(options, hidden_layers=2, width=width, more=more)
    ]


def rewind_step(config: PrunedPair, dataset: data.Dataset) -> int:
    """Return the step to which networks are rewound."""
    steps = config.epochs * config.training().steps_per_epoch(len(dataset.train_labels))
    return round(REWIND * steps)


def levels_of(config: PrunedPair, dataset: data.Dataset, *, device: str) -> list[PruningLevel]:
    """Prune both networks of a pair; the first level is dense."""
    return iterative_magnitude_pruning(
        config.architecture(dataset),
        dataset,
        config.training(),
        config.seeds,
        levels=config.levels,
        rewind_step=rewind_step(config, dataset),
        fraction=FRACTION,
        device=device,
    )


def measured(config: PrunedPair, *, data_dir: Path | None, device: str) -> Rows:
    """Prune the pair, match it before and at every level, and measure the barriers.

    Yields
    ------
    dict
        ``permutation`` is ``"none"``, ``"dense"`` or ``"sparse"``; ``place`` is ``"end"`` for the
        trained networks of a level, ``"rewound"`` for those that they were trained from.
    """
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    sets = Sets.of(dataset)
    levels = levels_of(config, dataset, device=device)
    yield from _networks(levels)
    a, b = ([level.result.stack[side] for level in levels] for side in (0, 1))
    identity = Permutation.identity(infer_spec(a[0]))
    yield from _applied([identity] * len(levels), "none", "none", levels, sets, config.points)
    for matching in MATCHINGS:
        found = [
            match(one, other, sets.inputs["train"], method=matching).permutation
            for one, other in zip(a, b, strict=True)
        ]
        dense = [found[0]] * len(levels)
        for name, chosen in (("dense", dense), ("sparse", found)):
            yield from _applied(chosen, name, matching, levels, sets, config.points)
        for level, permutation in enumerate(found):
            agreement = np.mean(list(permutation.agreement(found[0]).values()))
            fields = {"place": None, "on": None, "quantity": "agreement"}
            yield {
                **_named("sparse", matching, level, levels),
                **fields,
                "measured": float(agreement),
            }


def _named(
    permutation: str, matching: str, level: int, levels: Sequence[PruningLevel]
) -> dict[str, Any]:
    return {
        "permutation": permutation,
        "matching": matching,
        "level": level,
        "left": round(levels[level].left, 4),
    }


def _applied(
    found: Sequence[Permutation],
    name: str,
    matching: str,
    levels: Sequence[PruningLevel],
    sets: Sets,
    points: int,
) -> Rows:
    """Measure the barriers at every level after B was permuted."""
    ends: dict[tuple[int, str], tuple[MLP, MLP]] = {}
    for number, (level, permutation) in enumerate(zip(levels, found, strict=True)):
        for place, stack in (("end", level.result.stack), ("rewound", level.rewound)):
            ends[number, place] = stack[0], permutation.apply(stack[1])
    for (number, place), fields in barriers(ends, sets, points=points):
        yield {**_named(name, matching, number, levels), "place": place, **fields}


def _networks(levels: Sequence[PruningLevel]) -> Rows:
    """Take the mean loss and error of the two networks at the end of every level."""
    for number, level in enumerate(levels):
        for on in ("train", "test"):
            for quantity in ("loss", "error"):
                values = getattr(level.result, f"{on}_{quantity}")
                yield {
                    **_named("networks", "none", number, levels),
                    "place": "end",
                    "on": on,
                    "quantity": quantity,
                    "measured": float(values.mean()),
                }


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw barriers against what is left, at the end and rewound, and the agreement."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(lines(table), axes)
    return figure


def lines(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of barriers and agreements with a name for each curve."""
    rows = table[table["permutation"] != "networks"]
    names = rows["permutation"] + " (" + rows["matching"] + ")"
    return rows.assign(line=names.where(rows["permutation"] != "none", "no permutation"))


def _draw(rows: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    panels = (
        ("loss_barrier", "end", "At the end of every level"),
        ("loss_barrier", "rewound", "At the rewinding point"),
        ("error_barrier", "end", "At the end of every level"),
    )
    for (quantity, place, title), ax in zip(panels, axes, strict=False):
        shown = select(rows, quantity=quantity, place=place, on="train")
        plotting.plot_series(shown, x="left", series="line", ax=ax)
        unit = " (nats)" if quantity == "loss_barrier" else ""
        ax.set(ylabel=f"barrier of the training {quantity.partition('_')[0]}{unit}", title=title)
        ax.set_ylim(bottom=0)
    plotting.plot_series(
        select(rows, quantity="agreement"),
        x="left",
        series="matching",
        published=published("sharma2024_imp"),
        ax=axes[3],
    )
    axes[3].set(ylabel="fraction of units", title="Agreement of sparse and dense permutation")
    for ax in axes:
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set_xlabel("part of the prunable weights that is left")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training loss at the end of every level, by curve."""
    rows = select(lines(table), quantity="loss_barrier", place="end", on="train")
    wide = rows.pivot_table(index=["level", "left"], columns="line", values="measured", sort=False)
    return wide.round(3).reset_index()
