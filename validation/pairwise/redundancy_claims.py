"""What Kalaivanan et al. say of reduced networks, read off a table of ``redundancy``."""

from typing import Any

import pandas as pd

from validation.claims import Claim, published, verdict


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of merging units, each beside what the table says."""
    return [_widths(table), _function(table), _naive(table)]


def by_width(
    table: pd.DataFrame,
    networks: str,
    quantity: str,
    matching: str | None = None,
    value: str = "measured",
) -> "pd.Series[float]":
    """Return a statistic of a quantity by width."""
    rows = table[(table["networks"] == networks) & (table["quantity"] == quantity)]
    own = rows["matching"].isna() if matching is None else rows["matching"] == matching
    return rows[own].set_index("width")[value].sort_index()


def beside_published(table: pd.DataFrame, networks: str, quantity: str) -> pd.DataFrame:
    """Return the published mean and deviation of a quantity by width, beside our mean.

    ``networks`` are ours: the paper's reduced ones are those of its own algorithm.
    """
    paper = published("kalaivanan_reduction")
    theirs = {"full": "full", "published": "reduced"}[networks]
    own = (paper["networks"] == theirs) & (paper["quantity"] == quantity)
    ours = by_width(table, networks, {"width": "width_left"}.get(quantity, quantity))
    return paper[own].set_index("width")[["mean", "deviation"]].join(ours, how="inner")


def _claim(where: str, statement: str, **fields: Any) -> Claim:
    return Claim(paper="kalaivanan", where=where, statement=statement, **fields)


def _widths(table: pd.DataFrame) -> Claim:
    beside = beside_published(table, "published", "width")
    away = (beside["measured"] - beside["mean"]).abs()
    within = away <= 2 * beside["deviation"]
    correct = by_width(table, "reduced", "width_left")
    widest = beside.index[-1]
    return _claim(
        "table of pruned networks",
        "The units left after merging, by width (here: by the published algorithm, our mean within "
        "two published standard deviations at every width).",
        published=f"{beside['mean'].iloc[-1]:.0f} ± {beside['deviation'].iloc[-1]:.2g} of {widest}",
        measured=f"{beside['measured'].iloc[-1]:.0f} of {widest}; at {within.sum()} of "
        f"{len(within)} widths within, at most {(away / beside['mean']).max():.1%} away",
        verdict=verdict(bool(within.all())),
        reason="the published algorithm cannot remove more than half of the units; merged to the "
        f"end, {correct[widest]:.0f} are left",
    )


def _function(table: pd.DataFrame) -> Claim:
    wide = slice(16, None)
    whole, reduced, paper = (
        by_width(table, name, "test_loss").loc[wide] for name in ("full", "reduced", "published")
    )
    same = by_width(table, "reduced", "same predictions").loc[wide]
    theirs = published("kalaivanan_reduction").query("quantity == 'test_loss'")
    theirs = theirs[theirs["width"] == whole.index[-1]].set_index("networks")["mean"]
    rises = (reduced - whole).max()
    return _claim(
        "table of pruned networks",
        "Reduced networks do nearly as well as whole ones (here: merged correctly, they keep 99 % "
        "of the predictions and their test loss to 0.002, at widths from 16).",
        published=f"test loss {theirs['full']:.3g} -> {theirs['reduced']:.3g} at width "
        f"{whole.index[-1]}",
        measured=f"test loss {whole.iloc[-1]:.3g} -> {reduced.iloc[-1]:.3g} (as published "
        f"{paper.iloc[-1]:.3g}) at width {whole.index[-1]}; at most {rises:+.2g} and "
        f"{same.min():.2%} of the predictions kept, over the widths",
        verdict=verdict(bool(rises <= 0.002 and same.min() >= 0.99)),
        reason="the published loss rises because its weights are scaled by the inverse ratio",
    )


def _naive(table: pd.DataFrame) -> Claim:
    whole, reduced = (
        by_width(table, name, "epsilon_loss", "none", "q50").loc[128:]
        for name in ("full", "reduced")
    )
    matched = by_width(table, "reduced", "epsilon_loss", "weight", "q50").loc[128:]
    return _claim(
        "naive interpolation of pruned networks",
        "Removing redundant features removes the connectivity of naive networks (here: the median "
        "epsilon grows at every width from 128).",
        published="no number",
        measured=", ".join(f"{whole[w]:.3g} -> {reduced[w]:.3g} (width {w})" for w in whole.index)
        + "; once aligned "
        + ", ".join(f"{value:.2g}" for value in matched),
        verdict=verdict(bool((reduced > whole).all())),
    )
