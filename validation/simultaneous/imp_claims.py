"""What Sharma et al. (2024) claim of one permutation along pruning, read off a table."""

import pandas as pd

from validation.claims import Claim, published, verdict
from validation.simultaneous.protocol import claim, select

WHERE = "connectivity along iterative magnitude pruning"
NO_CURVES = "no number (the curves are not in the paper's repository)"
LATE = 8
"""The level from which the sparse permutation is compared with the dense one."""
SHOWN = 12
"""The level up to which the dense permutation is claimed to serve: 6.9 % are left."""


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claims on pruning, each beside what the table says."""
    found = [_serves(table, SHOWN)]
    if table["level"].max() > SHOWN:
        found.append(_serves(table, int(table["level"].max())))
    return [*found, _sparse_is_better(table), _agreement(table)]


def along(
    table: pd.DataFrame, permutation: str, *, matching: str = "weight", place: str = "end"
) -> "pd.Series[float]":
    """Return the barrier of the training loss by level, averaged over the pairs."""
    matching = "none" if permutation == "none" else matching
    fields = {"permutation": permutation, "matching": matching, "place": place}
    rows = select(table, on="train", quantity="loss_barrier", **fields)
    return rows.groupby("level")["measured"].mean()


def left(table: pd.DataFrame, level: int) -> float:
    """Return the part of the weights that is left at a level."""
    return float(table.loc[table["level"] == level, "left"].iloc[0])


def _serves(table: pd.DataFrame, last: int) -> Claim:
    dense, none = (along(table, name).loc[:last] for name in ("dense", "none"))
    ratio = dense / none
    return claim(
        WHERE,
        "The networks are simultaneously connected along pruning: the dense permutation serves at "
        f"every level, here down to {left(table, last):.2g} of the weights (barrier of the loss "
        "below 0.4 of that without).",
        published=NO_CURVES,
        measured=f"{ratio.min():.2g} to {ratio.max():.2g} of that without; at the last level "
        f"{dense.iloc[-1]:.2g} against {none.iloc[-1]:.2g}",
        verdict=verdict(bool((ratio < 0.4).all())),
    )


def _sparse_is_better(table: pd.DataFrame) -> Claim:
    dense, sparse = (along(table, name).loc[LATE:].mean() for name in ("dense", "sparse"))
    return claim(
        WHERE,
        f"When little is left (level {LATE} on), permutations found at the level itself are better "
        "than the dense one.",
        published=NO_CURVES,
        measured=f"{sparse:.2g} against {dense:.2g}, mean over the levels",
        verdict=verdict(bool(sparse < dense)),
    )


def _agreement(table: pd.DataFrame) -> Claim:
    rows = select(table, quantity="agreement", matching="weight")
    rows = rows[rows["level"] > 0]
    ours = rows.groupby("left")["measured"].mean().sort_index(ascending=False)
    theirs = published("sharma2024_imp").set_index("left")["value"].sort_index(ascending=False)
    return claim(
        "agreement of sparse and dense permutations",
        "The less is left, the fewer units does the permutation of the level place as the dense "
        "one.",
        published=f"{theirs.iloc[0]:.2g} at {theirs.index[0]:.2g} left -> {theirs.iloc[-1]:.2g} at "
        f"{theirs.index[-1]:.2g}",
        measured=f"{ours.iloc[0]:.2g} at {ours.index[0]:.2g} left -> {ours.iloc[-1]:.2g} at "
        f"{ours.index[-1]:.2g}",
        verdict=verdict(bool(ours.iloc[-1] < ours.iloc[0])),
    )
