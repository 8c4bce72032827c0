"""What Kalaivanan et al. say of their model zoo, read off a table of ``zoo``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from validation.claims import Claim, published, verdict
from validation.pairwise import protocol

_QUARTILES = ("q25", "q50", "q75")
_ROUNDING = 0.001
"""Of the published losses."""


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of the zoo and its pairs, each beside what the table says."""
    found = [
        _losses(table),
        _naive_falls(table),
        _aligned_below(table),
        _aligned_far_below(table),
        _average(table),
    ]
    # The paper looks at the features of its networks in the plane.
    if table["dataset"].iloc[0] == "moons":
        found += [_features(table), _same_place(table)]
    return found


def by_width(
    table: pd.DataFrame, quantity: str, matching: str | None = None, value: str = "q50"
) -> "pd.Series[float]":
    """Return a statistic of a quantity by width."""
    rows = table[table["quantity"] == quantity]
    own = rows["matching"].isna() if matching is None else rows["matching"] == matching
    return rows[own].set_index("width")[value].sort_index()


def _claim(where: str, statement: str, **fields: Any) -> Claim:
    return Claim(paper="kalaivanan", where=where, statement=statement, **fields)


def deviations(table: pd.DataFrame, quantity: str = "train_loss") -> pd.DataFrame:
    """Return our means beside the published ones, and whether they lie within 2 deviations.

    The published values are rounded to three digits, so a rounding error is added.
    """
    paper = published("kalaivanan_zoo")
    own = (paper["dataset"] == table["dataset"].iloc[0]) & (paper["quantity"] == quantity)
    paper = paper[own].set_index("width")[["mean", "deviation"]]
    beside = paper.join(by_width(table, quantity, value="measured"), how="inner")
    away = (beside["measured"] - beside["mean"]).abs()
    return beside.assign(within=away <= 2 * beside["deviation"] + _ROUNDING)


def _losses(table: pd.DataFrame) -> Claim:
    beside = deviations(table)
    epochs, models = (int(table[name].iloc[0]) for name in ("epochs", "models"))
    published_epochs = protocol.EPOCHS[table["dataset"].iloc[0]]
    whole = epochs == published_epochs and models >= protocol.MODELS
    ends = beside.iloc[[0, -1]]
    return _claim(
        "table of the model zoo",
        "The training loss by width (here: our mean within two published standard deviations, and "
        "rounding, at every width).",
        published=", ".join(
            f"{row.mean_:.3f} ± {row.deviation:.3f} (width {row.Index})"
            for row in ends.rename(columns={"mean": "mean_"}).itertuples()
        ),
        measured=f"{beside['within'].sum()} of {len(beside)} widths within; "
        + ", ".join(f"{row.measured:.4f} (width {row.Index})" for row in ends.itertuples()),
        verdict=verdict(bool(beside["within"].all())) if whole else "not comparable",
        reason=""
        if whole
        else f"{models} networks and {epochs} epochs instead of {protocol.MODELS} and "
        f"{published_epochs}",
    )


def _quartiles(table: pd.DataFrame, matching: str, widths: Sequence[int]) -> str:
    """Format the median epsilon with its quartiles at some widths."""
    low, middle, high = (by_width(table, "epsilon_loss", matching, q) for q in _QUARTILES)
    return ", ".join(f"{middle[w]:.3g} [{low[w]:.3g}, {high[w]:.3g}] (width {w})" for w in widths)


def _naive_falls(table: pd.DataFrame) -> Claim:
    median, widest = by_width(table, "epsilon_loss", "none"), int(table["width"].max())
    return _claim(
        "interpolation of naive networks",
        "Networks are more connected with growing width even without alignment (here: from width "
        "8 to the widest; below, poorer networks have smaller losses to lose).",
        published="no number",
        measured="median epsilon [quartiles] " + _quartiles(table, "none", (8, widest)),
        verdict=verdict(bool(median[widest] < median[8])),
    )


def _aligned_below(table: pd.DataFrame) -> Claim:
    naive, matched = (by_width(table, "epsilon_loss", m) for m in ("none", "weight"))
    below = (matched < naive)[naive.index >= 4]
    return _claim(
        "interpolation of aligned networks",
        "Aligned networks are more connected than naive ones (here: lower median, widths from 4).",
        published="no number",
        measured=f"at {below.sum()} of {len(below)} widths",
        verdict=verdict(bool(below.all())),
    )


def _aligned_far_below(table: pd.DataFrame) -> Claim:
    widest = int(table["width"].max())
    naive, matched = (by_width(table, "epsilon_loss", m)[widest] for m in ("none", "weight"))
    return _claim(
        "interpolation of aligned networks",
        "Alignment connects networks a lot more (here: at most a tenth of the median of naive "
        "ones, at the largest width).",
        published="no number",
        measured="median epsilon [quartiles] "
        + _quartiles(table, "weight", (widest,))
        + f" against {naive:.3g} as they are",
        verdict=verdict(matched <= 0.1 * naive),
    )


def _average(table: pd.DataFrame) -> Claim:
    widest = table["width"].max()
    ends, middle = (
        {
            name: float(by_width(table, quantity, matching, "measured")[widest])
            for name, quantity in q
        }
        for q, matching in (
            ((("loss", "test_loss"), ("error", "test_error")), None),
            ((("loss", "midpoint_loss"), ("error", "midpoint_error")), "none"),
        )
    )
    return _claim(
        "naive interpolation: a closer look",
        "The average of two wide naive networks is worse, but not by much.",
        published="no number",
        measured=f"at width {widest}: loss {ends['loss']:.3g} -> {middle['loss']:.3g}, error "
        f"{ends['error']:.3g} -> {middle['error']:.3g}",
        verdict="not comparable",
        reason="nothing says how much is not much",
    )


def _features(table: pd.DataFrame) -> Claim:
    redundant = by_width(table, "redundant units", value="measured")
    first, last = redundant.index[0], redundant.index[-1]
    return _claim(
        "feature similarity",
        "In wide networks several hidden units compute the same feature (here: have another unit "
        f"at a cosine above {protocol.SAME_FEATURE}; at the widest more than half of them, and "
        "more than at any other width).",
        published="no number",
        measured=f"{redundant[first]:.2g} (width {first}) -> {redundant[last]:.2g} (width {last})",
        verdict=verdict(bool(redundant[last] > 0.5 and redundant[last] == redundant.max())),
    )


def _same_place(table: pd.DataFrame) -> Claim:
    widest = int(table["width"].max())
    means, errors = (
        by_width(table, "unit in the same place", "none", value)[[8, widest]]
        for value in ("measured", "stderr")
    )
    grows = bool(means[widest] - means[8] > 2 * float(np.hypot(errors[8], errors[widest])))
    return _claim(
        "feature similarity",
        "In wide naive networks hidden units are more likely to be aligned (here: the mean cosine "
        "of units in the same place of two networks is larger at the widest than at width 8, by "
        "two standard errors).",
        published="no number",
        measured=", ".join(f"{means[w]:.3f} ± {errors[w]:.2g} (width {w})" for w in means.index),
        verdict=verdict(grows),
        reason="" if grows else "only once they are matched are units of wide networks more alike",
    )
