"""What Sharma et al. (2024) claim of masks that are carried over, read off a table."""

import pandas as pd

from validation.claims import Claim, published, spread, verdict
from validation.simultaneous.protocol import claim, select

OWN, NAIVE, ONE_SHOT = "own", "not permuted", "one-shot"
DENSE, SPARSE = "permuted (dense)", "permuted (sparse)"
WHERE = "transport of masks"
LATE = 10
"""The level from which the masks are compared: 11 % are left."""


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claims on masks, each beside what the table says."""
    return [
        _less(table, DENSE, NAIVE, "The permuted mask is better than the same mask not permuted"),
        _less(table, OWN, DENSE, "The mask that the network found itself is better still"),
    ]


def losses(table: pd.DataFrame, mask: str, matching: str = "activation") -> pd.DataFrame:
    """Return the test losses from :data:`LATE` on, levels by pairs; one matching if permuted."""
    matching = matching if mask in (DENSE, SPARSE) else "none"
    rows = select(table, mask=mask, matching=matching, on="test", quantity="loss")
    rows = rows[rows["level"] >= LATE]
    return rows.pivot_table(index="level", columns="repetition", values="measured")


def _less(table: pd.DataFrame, better: str, worse: str, statement: str) -> Claim:
    difference = (losses(table, worse) - losses(table, better)).mean()
    levels = (losses(table, worse) > losses(table, better)).mean(axis=1)
    paper = select(published("sharma2024_masks"), paper="sharma2024").set_index(["task", "mask"])
    texts = []
    for task in paper.index.unique("task"):
        values = paper.loc[task]["value"]
        texts.append(f"{values[better]:.3g} against {values[worse]:.3g} ({task})")
    clear = len(difference) > 1 and abs(difference.mean()) > 2 * float(
        difference.std() / len(difference) ** 0.5
    )
    return claim(
        WHERE,
        f"{statement}, where little is left.",
        published=f"test error {', '.join(texts)}",
        measured=f"test loss {losses(table, better).mean().mean():.3g} against "
        f"{losses(table, worse).mean().mean():.3g}, difference {spread(difference)}, from level "
        f"{LATE} on (11 % left); lower in {levels.mean():.0%} of all levels and pairs",
        verdict=verdict(bool(difference.mean() > 0)) if clear else "not comparable",
        reason="" if clear else "the difference is not two standard errors from 0",
    )
