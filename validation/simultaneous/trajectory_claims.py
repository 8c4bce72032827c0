"""What Sharma et al. (2024) claim of one permutation along training, read off a table."""

import numpy as np
import pandas as pd

from validation.claims import Claim, published, spread, verdict
from validation.simultaneous.protocol import claim, select

LAST_THREE, FIRST_THREE = "last three", "first three"
SUITES = {
    LAST_THREE: slice(-3, None),
    "last four": slice(-4, None),
    "last six": slice(-6, None),
    FIRST_THREE: slice(None, 3),
}
"""Which of the kept epochs (without the start) are matched together."""
WHERE = "connectivity along the trajectory"


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claims on the trajectory, each beside what the table says."""
    readers = (_serves_all, _late_is_better, _early_fails, _many_are_good, _several, _several_early)
    return [read(table) for read in readers]


def chosen(table: pd.DataFrame, permutation: str, **fields: object) -> pd.DataFrame:
    """Return the barriers of the training error after one permutation, weight matching."""
    matching = "none" if permutation == "none" else "weight"
    fields = {"permutation": permutation, "matching": matching, **fields}
    return select(table, on="train", quantity="error_barrier", **fields)


def along(table: pd.DataFrame, permutation: str, **fields: object) -> "pd.Series[float]":
    """Return the same by epoch, averaged over the pairs."""
    return chosen(table, permutation, **fields).groupby("epoch")["measured"].mean()


def at_the_end(table: pd.DataFrame) -> "pd.Series[float]":
    """Return the barrier at the last epoch, by the epoch at which the permutation was found."""
    rows = chosen(table, "one", epoch=table["epoch"].max())
    return rows.groupby("found_at")["measured"].mean()


def _paper(figure: str = "matrix", **fields: object) -> pd.DataFrame:
    fields = {"architecture": "VGG-16", "on": "train", **fields}
    return select(published("sharma2024_trajectory"), figure=figure, **fields)


def _range(values: "pd.Series[float]") -> str:
    return f"{values.min():.2g} to {values.max():.2g}"


def _serves_all(table: pd.DataFrame) -> Claim:
    last = table["epoch"].max()
    ours, none = along(table, "one", found_at=last), along(table, "none")
    theirs, printed = _paper(found_at=150)["value"], _paper("text")["value"].iloc[0]
    return claim(
        WHERE,
        "Networks are simultaneously connected along training: the permutation of the last epoch "
        "serves at every epoch (its largest barrier is less than half of the smallest without).",
        published=f"{_range(theirs)}, without {printed:.2g} at the end",
        measured=f"{_range(ours)}, without {_range(none)}",
        verdict=verdict(bool(ours.max() < 0.5 * none.min())),
    )


def _late_is_better(table: pd.DataFrame) -> Claim:
    ours = at_the_end(table)
    texts = []
    for name in ("VGG-16", "ResNet-20"):
        rows = _paper("end", architecture=name, permutation="one").sort_values("found_at")
        texts.append(f"{name} {rows['value'].iloc[0]:.2g} -> {rows['value'].iloc[-1]:.2g}")
    return claim(
        WHERE,
        "The later a permutation was found, the lower its barrier at the end of training (the "
        "last against the first).",
        published=", ".join(texts),
        measured=f"{ours.iloc[0]:.2g} -> {ours.iloc[-1]:.2g}",
        verdict=verdict(bool(ours.iloc[-1] < ours.iloc[0])),
    )


def _early_fails(table: pd.DataFrame) -> Claim:
    ours, none = at_the_end(table), along(table, "none").iloc[-1]
    early = ours[ours.index > 0].iloc[0]
    theirs = _paper("end", permutation="one", found_at=1)["value"].iloc[0]
    return claim(
        WHERE,
        "A permutation that was found after the first epoch does little at the end of training "
        "(more than half of the barrier without any is left).",
        published=f"{theirs:.2g} of {_paper('text')['value'].iloc[0]:.2g} (391 steps)",
        measured=f"{early:.2g} of {none:.2g} (the first kept epoch)",
        verdict=verdict(bool(early > 0.5 * none)),
    )


def _many_are_good(table: pd.DataFrame) -> Claim:
    rows = select(table, quantity="agreement", matching="weight", permutation="one")
    agreement = rows.groupby("found_at")["measured"].mean()
    ours, none = at_the_end(table), along(table, "none").iloc[-1]
    same = agreement.to_numpy()
    best = int(np.where(same < 0.5, ours.to_numpy(), np.inf).argmin())
    lowest = ours.iloc[best]
    paper = select(published("sharma2024_trajectory"), architecture="VGG-16", found_at=50)
    theirs = select(paper, figure="agreement")["value"].iloc[0]
    end = select(paper, figure="end", on="train")["value"].iloc[0]
    last = _paper("end", permutation="one", found_at=150)["value"].iloc[0]
    return claim(
        "agreement of permutations",
        "Many permutations are good enough: one that places less than half of the units as the "
        "last one does lowers the barrier at the end by at least 0.9 of what the last one does.",
        published=f"{theirs:.2g} of the units at epoch 50, barriers {end:.2g} and {last:.2g}",
        measured=f"{same[best]:.2g} of the units at epoch {ours.index[best]:g}, barriers "
        f"{lowest:.2g} and {ours.iloc[-1]:.2g} (without {none:.2g})",
        verdict=verdict(bool(none - lowest >= 0.9 * (none - ours.iloc[-1]))),
    )


def _several(table: pd.DataFrame) -> Claim:
    index = ["repetition", "epoch"]
    alone = chosen(table, "one", found_at=table["epoch"].max()).set_index(index)["measured"]
    together = chosen(table, LAST_THREE).set_index(index)["measured"]
    less = (together - alone).groupby("repetition").mean()
    better = (together - alone).groupby("epoch").mean() < 0
    clear = len(less) > 1 and abs(less.mean()) > 2 * float(less.std() / len(less) ** 0.5)
    theirs = (
        _paper(permutation="last several").set_index("epoch")["value"]
        - _paper(found_at=150).set_index("epoch")["value"]
    )
    return claim(
        "several checkpoints at once",
        "One permutation for several late checkpoints is better than that of the last one alone, "
        "over all epochs together.",
        published=f"{theirs.mean():.2g}; lower at {(theirs < 0).sum()} of {len(theirs)} epochs",
        measured=f"{spread(less)}; lower at {better.sum()} of {len(better)} epochs",
        verdict=verdict(bool(less.mean() < 0)) if clear else "not comparable",
        reason="" if clear else "the difference is not two standard errors from 0",
    )


def _several_early(table: pd.DataFrame) -> Claim:
    last = table["epoch"].max()
    late = float(chosen(table, LAST_THREE, epoch=last)["measured"].mean())
    early = float(chosen(table, FIRST_THREE, epoch=last)["measured"].mean())
    paper = _paper(epoch=150).set_index("permutation")["value"]
    return claim(
        "several checkpoints at once",
        "Several early checkpoints do not serve the end of training: more than twice the barrier "
        "of several late ones is left.",
        published=f"{paper['first several']:.2g} against {paper['last several']:.2g}",
        measured=f"{early:.2g} against {late:.2g}",
        verdict=verdict(bool(early > 2 * late)),
    )
