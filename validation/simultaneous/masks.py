"""Ask whether the mask of a pruned network serves another one, once its units are permuted.

Sharma et al. (2024): the mask that network A has at a level of its pruning is carried over to
network B, which is then trained from its own rewinding point. Beside it, B's own mask, A's mask as
it is, and the largest weights that B has at the rewinding point. All arms see the same batches.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from otlmc import data, plotting
from otlmc.matching import match
from otlmc.networks import MLP, Stack, TrainResult, train
from otlmc.networks.pruning import Masks, PruningLevel, magnitude_masks, transport_masks
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous.imp import PrunedPair, levels_of, pruned, rewind_step
from validation.simultaneous.masks_claims import DENSE, NAIVE, ONE_SHOT, OWN, SPARSE, claims
from validation.simultaneous.protocol import MATCHINGS, Options, Rows, select

__all__ = ["claims", "configurations", "draw", "measured", "summarise"]

STRIDE = 2
"""B is trained with the masks of every second level."""

Arm = tuple[str, str, int]
"""The mask, the matching that permuted it, and the level."""


def configurations(options: Options) -> list[PrunedPair]:
    """Return the pairs of a preset, one more than for the other experiments, with all levels."""
    return pruned(options, width=64, levels=20, more=1)


def measured(config: PrunedPair, *, data_dir: Path | None, device: str) -> Rows:
    """Prune both networks of a pair, train B with every mask, and measure how well it does."""
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    levels = levels_of(config, dataset, device=device)
    for number in range(0, len(levels), STRIDE):
        yield from _row((OWN, "none", number), levels, levels[number].result, 1)
    arms = masks(levels, Sets.of(dataset))
    result = train(
        config.architecture(dataset),
        dataset,
        config.training(),
        [config.seeds[1]] * len(arms),
        initial=Stack.concatenate([levels[0].rewound[1:]] * len(arms)),
        first_step=rewind_step(config, dataset),
        masks={name: torch.stack([m[name] for m in arms.values()]) for name in levels[0].masks},
        device=device,
    )
    for place, arm in enumerate(arms):
        yield from _row(arm, levels, result, place)


def masks(levels: Sequence[PruningLevel], sets: Sets) -> Mapping[Arm, Masks]:
    """Return the masks with which B is trained at every level, but for its own."""
    start = levels[0].rewound[1:]
    donors = [{name: mask[0] for name, mask in level.masks.items()} for level in levels]
    found: dict[Arm, Masks] = {}
    shown = range(STRIDE, len(levels), STRIDE)
    for number in shown:
        shot = magnitude_masks(start, 1 - levels[number].left)
        found[NAIVE, "none", number] = donors[number]
        found[ONE_SHOT, "none", number] = {name: mask[0] for name, mask in shot.items()}
    for matching in MATCHINGS:
        permutations = {
            number: match(*_ends(levels[number]), sets.inputs["train"], method=matching).permutation
            for number in (0, *shown)
        }
        for number in shown:
            for mask, permutation in ((DENSE, permutations[0]), (SPARSE, permutations[number])):
                found[mask, matching, number] = transport_masks(donors[number], permutation)
    return found


def _ends(level: PruningLevel) -> tuple[MLP, MLP]:
    """Return A and B as trained at a level."""
    return level.result.stack[0], level.result.stack[1]


def _row(arm: Arm, levels: Sequence[PruningLevel], result: TrainResult, place: int) -> Rows:
    mask, matching, level = arm
    named: dict[str, Any] = {
        "mask": mask,
        "matching": matching,
        "level": level,
        "left": round(levels[level].left, 4),
    }
    for on in ("train", "test"):
        for quantity in ("loss", "error"):
            measured = float(getattr(result, f"{on}_{quantity}")[place])
            yield {**named, "on": on, "quantity": quantity, "measured": measured}


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw test loss and error of B by mask, and what they are beyond those with its own mask."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        shown = select(table, on="test")
        _draw(shown[shown["matching"] != "weight"], axes)
    return figure


def beyond_own(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much more than with B's own mask is measured, pair by pair and level by level."""
    index = ["repetition", "level", "on", "quantity"]
    own = select(rows, mask=OWN).set_index(index)["measured"]
    base = own.loc[pd.MultiIndex.from_frame(rows[index])].to_numpy()
    return rows.assign(measured=rows["measured"] - base)


def _draw(rows: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    beyond = beyond_own(rows)
    panels = (
        (rows, "loss", "test loss (nats)", "Loss of B trained with every mask"),
        (rows, "error", "test error", "Error of B (permutations from activation matching)"),
        (
            beyond,
            "loss",
            "test loss beyond that of the own mask (nats)",
            "What a mask costs in loss",
        ),
        (beyond, "error", "test error beyond that of the own mask", "What a mask costs in error"),
    )
    for (values, quantity, label, title), ax in zip(panels, axes, strict=True):
        paper = theirs() if ax is axes[3] else None
        shown = select(values, quantity=quantity)
        plotting.plot_series(shown, x="left", series="mask", published=paper, ax=ax)
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set(xlabel="part of the prunable weights that is left", ylabel=label, title=title)
    axes[0].set_yscale("log")


def theirs() -> pd.DataFrame:
    """Return by how much the published test errors are beyond those with the own mask.

    ResNet-20 on CIFAR-10 is that of Adnan et al. (2025).
    """
    paper = published("sharma2024_masks")
    paper = paper[paper["architecture"].isin(["VGG-16", "ResNet-20 x4"])]
    index = ["architecture", "task", "left"]
    own = select(paper, mask=OWN).set_index(index)["value"]
    base = own.loc[pd.MultiIndex.from_frame(paper[index])].to_numpy()
    beyond = paper.assign(value=paper["value"] - base)
    names = {"VGG-16": "VGG-16", "ResNet-20 x4": "ResNet-20 x4 (Adnan et al.)"}
    return beyond[beyond["mask"] != OWN].replace({"architecture": names})


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the test losses by mask and level."""
    rows = select(table, quantity="loss", on="test")
    moved = rows["matching"] != "none"
    rows = rows.assign(line=rows["mask"] + (", " + rows["matching"]).where(moved, ""))
    wide = rows.pivot_table(index=["level", "left"], columns="line", values="measured", sort=False)
    return wide.round(3).reset_index()
