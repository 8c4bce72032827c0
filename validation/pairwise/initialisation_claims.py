"""What Kalaivanan et al. say of initialisations and optimisers, read off the table."""

import numpy as np
import pandas as pd

from validation.claims import Claim, published, verdict

WIDTH = 512
"""Of the paper."""
_ROUNDING = 0.001
"""Of the published losses."""


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of the families, each beside what the table says."""
    return [_losses(table), _generalisation(table), _less_connected(table), _references(table)]


def beside_published(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the published mean and deviation of a quantity by family, beside our mean."""
    index = ["initialisation", "optimiser"]
    paper = published("kalaivanan_initialisation")
    paper = paper[paper["quantity"] == quantity].set_index(index)[["mean", "deviation"]]
    return paper.join(table[table["quantity"] == quantity].set_index(index)["measured"])


def epsilon(table: pd.DataFrame, by: str, value: str = "measured") -> pd.DataFrame:
    """Return a statistic of epsilon, one row for a pair of families and one column for a frame."""
    rows = table[(table["quantity"] == "epsilon_loss") & (table["by"] == by)]
    return rows.pivot(index=["first", "second"], columns="frame", values=value)


def by_draw(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean test loss, one row for a draw of the data and one column for an optimiser."""
    rows = table[table["quantity"] == "test_loss of a draw"].astype({"draw": int})
    return rows.pivot_table(index="draw", columns="optimiser", values="measured")


def _losses(table: pd.DataFrame) -> Claim:
    beside = beside_published(table, "train_loss")
    away = (beside["measured"] - beside["mean"]).abs()
    within = away <= 2 * beside["deviation"] + _ROUNDING
    errors = table[table["quantity"] == "test_error"]["measured"]
    width = table["width"].iloc[0]
    return Claim(
        paper="kalaivanan",
        where="table of initialisations and optimisers",
        statement="All four families train equally well (here: the training loss within two "
        "published standard deviations, and rounding).",
        published=f"training loss {beside['mean'].min():g} to {beside['mean'].max():g}, test "
        "accuracy 0.998 to 0.999",
        measured=f"training loss {beside['measured'].min():.2g} to {beside['measured'].max():.2g}, "
        f"test accuracy {1 - errors.max():.4f} to {1 - errors.min():.4f}",
        verdict=verdict(bool(within.all())) if width == WIDTH else "not comparable",
        reason="" if width == WIDTH else f"width {width} instead of {WIDTH}",
    )


def _generalisation(table: pd.DataFrame) -> Claim:
    beside = beside_published(table, "test_loss")
    means = by_draw(table)
    ratios, width = means["rmsprop"] / means["adamw"], table["width"].iloc[0]
    return Claim(
        paper="kalaivanan",
        where="table of initialisations and optimisers",
        statement="All four families generalise equally well (here: on every draw of the moons, "
        "the mean test losses of RMSprop and AdamW within a factor of two).",
        published=f"test loss {beside['mean'].min():g} to {beside['mean'].max():g}",
        measured=f"test loss {beside['measured'].min():.2g} to {beside['measured'].max():.2g}; "
        f"RMSprop {ratios.min():.2g} to {ratios.max():.2g} times AdamW on {len(means)} draws",
        verdict=verdict(bool(ratios.between(0.5, 2).all())) if width == WIDTH else "not comparable",
        reason="the paper's moons are not available, and it depends on them"
        if width == WIDTH
        else f"width {width} instead of {WIDTH}",
    )


def _less_connected(table: pd.DataFrame) -> Claim:
    means, errors = (epsilon(table, "optimiser", v)["best"] for v in ("measured", "stderr"))
    adam, rms = ("adamw", "adamw"), ("rmsprop", "rmsprop")
    away = float(means[rms] - means[adam])
    least = 2 * float(np.hypot(errors[rms], errors[adam]))
    return Claim(
        paper="kalaivanan",
        where="robustness to initialisation and optimiser",
        statement="Networks trained by RMSprop are less connected (here: once aligned with the "
        "best network, their mean epsilon exceeds that of AdamW by two standard errors).",
        published="no number",
        measured=f"both RMSprop {means[rms]:.2g} ± {errors[rms]:.1g}, both AdamW "
        f"{means[adam]:.2g} ± {errors[adam]:.1g}",
        verdict=verdict(away > least),
    )


def _references(table: pd.DataFrame) -> Claim:
    medians = epsilon(table, "family", "q50")
    frames = medians.drop(columns="none")
    below = frames.lt(medians["none"], axis=0)
    worst = frames.max()
    return Claim(
        paper="kalaivanan",
        where="robustness to the choice of the reference",
        statement="The choice of the reference, also from another family, changes the values but "
        "not the picture (here: in every frame the median epsilon of all pairs of families is "
        "below that of naive networks).",
        published="no number",
        measured=f"{int(below.to_numpy().sum())} of {below.size} medians; the largest by frame "
        f"{worst.min():.2g} to {worst.max():.2g}, {medians['none'].min():.2g} to "
        f"{medians['none'].max():.2g} as they are",
        verdict=verdict(bool(below.to_numpy().all())),
    )
