"""Figures: the only module that imports matplotlib.

Every function draws a table of measurements beside their theory into one panel and returns its
axes. Series differ in colour, marker and dash, so that they can be told apart in grey and by the
colour-blind.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, in an order of falling contrast on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))

STYLE = mpl.RcParams(
    {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "figure.dpi": 150,
        "font.size": 9,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "lines.markersize": 4.5,
        "savefig.bbox": "tight",
    }
)


def style() -> AbstractContextManager[None]:
    """Return the context in which all figures are drawn."""
    return mpl.rc_context(STYLE)


def panels(rows: int, columns: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure of equal panels and their axes, row by row; call it within :func:`style`."""
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.2 * columns, 4.0 * rows), layout="constrained", squeeze=False
    )
    return figure, list(axes.flat)


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assign every series its colour, marker and dash."""
    series = zip(names, cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
    return {n: {"color": c, "marker": m, "linestyle": d} for n, c, m, d in series}


MATCHINGS = looks(
    ("weight_incoming", "covariance", "activation_centred", "none", "networks A and B", "weight")
)
"""One look for every way of matching, the same in all figures."""


def plot_ladder(table: pd.DataFrame, *, ax: Axes) -> Axes:
    """Plot matching cost against width, with the band between the two bounds, by dimension k.

    Parameters
    ----------
    table : DataFrame
        Columns k, width, measured, stderr, lower, upper.
    ax : Axes
        Where to draw.
    """
    for (k, rows), look in zip(
        table.groupby("k"), looks(table["k"].unique()).values(), strict=True
    ):
        rows = rows.sort_values("width")
        limits = rows["lower"], rows["upper"]
        ax.fill_between(rows["width"], *limits, color=look["color"], alpha=0.15, lw=0)
        bars = 2 * rows["stderr"]
        ax.errorbar(
            rows["width"], rows["measured"], yerr=bars, label=f"k = {k:.0f}", capsize=2, **look
        )
    ax.set_xscale("log", base=2)
    ax.set(yscale="log", xlabel="width m (neurons per network)")
    ax.set_ylabel(r"matching cost $E\,W_2^2$ (variance of a direction = 1)")
    _legend_below(ax, "marker: measured, with 2 standard errors; band: theorems")
    return ax


def plot_against_rate(table: pd.DataFrame, series: str, *, ylabel: str, ax: Axes) -> Axes:
    """Plot a quantity of trained networks against the learning rate, one line per series.

    Parameters
    ----------
    table : DataFrame
        Columns learning_rate, measured and the one named by ``series``; repetitions are averaged.
    series : str
        Column that tells the lines apart, drawn in the order of its first appearance.
    ylabel : str
        What is plotted, with its unit.
    ax : Axes
        Where to draw.
    """
    for name, rows in table.groupby(series, sort=False):
        means = rows.groupby("learning_rate")["measured"].agg(["mean", "sem", "count"])
        bars = 2 * means["sem"].fillna(0.0)
        ax.errorbar(
            means.index, means["mean"], yerr=bars, label=name, capsize=2, **MATCHINGS[str(name)]
        )
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel=ylabel)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
    _legend_below(ax, None)
    return ax


def plot_predicted_cost(table: pd.DataFrame, *, ax: Axes) -> Axes:
    """Plot measured matching costs beside the interval that the bounds predict for them.

    Every cost is divided by that of a random matching, ``random``.

    Parameters
    ----------
    table : DataFrame
        Columns learning_rate, matching, layer, measured, lower, upper, random; repetitions are
        averaged.
    ax : Axes
        Where to draw.
    """
    values = ["measured", "lower", "upper"]
    relative = table.assign(**{value: table[value] / table["random"] for value in values})
    groups = relative.groupby(["matching", "layer", "learning_rate"], sort=False)
    means = groups[values].mean().reset_index()
    rates, layers = sorted(means["learning_rate"].unique()), list(dict.fromkeys(means["layer"]))
    for space, rows in means.groupby("matching", sort=False):
        look = MATCHINGS[str(space)]
        shift = (rows["layer"].map(layers.index) - (len(layers) - 1) / 2) * 0.2
        x = rows["learning_rate"].map(rates.index) + shift
        ax.vlines(x, rows["lower"], rows["upper"], color=look["color"], lw=5, alpha=0.3)
        ax.plot(x, rows["measured"], look["marker"], color=look["color"], label=space)
    ax.set_xticks(np.arange(len(rates)), [f"{rate:.2g}" for rate in rates])
    ax.set(yscale="log", xlabel=f"learning rate (layers 1 to {len(layers)} side by side)")
    ax.set_ylabel("matching cost / cost of a random matching")
    _legend_below(ax, "marker: measured; bar: predicted from the spectrum")
    return ax


def _legend_below(ax: Axes, title: str | None) -> None:
    """Put the legend under the axes, where it hides no data."""
    ax.legend(title=title, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
