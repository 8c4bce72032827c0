"""Panels of many networks at once: spreads over all pairs, and matrices of pairs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from otlmc.plotting.looks import legend_below, looks


def plot_spread(
    table: pd.DataFrame,
    x: str,
    series: str,
    *,
    ylabel: str,
    styles: Mapping[str, Mapping[str, Any]] | None = None,
    whiskers: bool = True,
    ax: Axes,
) -> Axes:
    """Plot a quantity of many pairs: median, quartiles and the middle 90 % of each series.

    Parameters
    ----------
    table : DataFrame
        Columns q05, q25, q50, q75, q95 and those named by ``x`` and ``series``.
    x : str
        ``"width"``, on a logarithmic scale, or ``"t"``, the place on the path.
    series : str
        Column that tells the lines apart.
    ylabel : str
        What is plotted, with its unit.
    styles : mapping, optional
        The look of every series.
    whiskers : bool
        Whether the middle 90 % are shown, as thin bars.
    ax : Axes
        Where to draw.
    """
    styles = styles or looks(str(name) for name in dict.fromkeys(table[series]))
    for name, rows in table.groupby(series, sort=False):
        rows, look = rows.sort_values(x), dict(styles[str(name)])
        colour = look["color"]
        ax.fill_between(rows[x], rows["q25"], rows["q75"], color=colour, alpha=0.2, lw=0)
        if whiskers:
            ax.vlines(rows[x], rows["q05"], rows["q95"], color=colour, lw=0.8, alpha=0.7)
        ax.plot(rows[x], rows["q50"], label=name, **look)
    if x == "width":
        ax.set_xscale("log", base=2)
        ax.set_xlabel("width (units of a hidden layer)")
    else:
        ax.set_xlabel("t, from one network to the other")
    ax.set_ylabel(ylabel)
    note = "median; band: quartiles" + "; bar: middle 90 %" * whiskers
    legend_below(ax, note, columns=2)
    return ax


def plot_beside_published(
    table: pd.DataFrame,
    published: pd.DataFrame | None,
    series: str,
    *,
    ylabel: str,
    ax: Axes,
) -> Axes:
    """Plot means over networks against width, with published means as hollow markers.

    Parameters
    ----------
    table : DataFrame
        Columns width, measured, deviation and the one named by ``series``.
    published : DataFrame or None
        Columns width, mean, deviation and the one named by ``series``.
    series : str
        Column that tells the lines apart.
    ylabel : str
        What is plotted, with its unit.
    ax : Axes
        Where to draw.
    """
    styles = looks(str(name) for name in dict.fromkeys(table[series]))
    for name, rows in table.groupby(series, sort=False):
        rows, look = rows.sort_values("width"), styles[str(name)]
        bars = rows["deviation"]
        ax.errorbar(rows["width"], rows["measured"], yerr=bars, label=name, capsize=2, **look)
        if published is None:
            continue
        own = published[published[series] == name]
        hollow = look | {"linestyle": "none", "mfc": "none", "markersize": 8, "elinewidth": 0.7}
        # Moved aside, so that both bars are seen.
        ax.errorbar(1.12 * own["width"], own["mean"], yerr=own["deviation"], capsize=4, **hollow)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="width (units of a hidden layer)", ylabel=ylabel)
    note = "mean; bar: standard deviation over networks"
    legend_below(ax, note if published is None else f"{note}; hollow: published")
    return ax


def plot_groups(table: pd.DataFrame, group: str, series: str, *, ylabel: str, ax: Axes) -> Axes:
    """Plot a quantity of many pairs in groups: median, quartiles and the middle 90 %.

    Parameters
    ----------
    table : DataFrame
        Columns q05, q25, q50, q75, q95 and those named by ``group`` and ``series``.
    group : str
        Column of the groups, which stand side by side in the order of their first appearance.
    series : str
        Column that tells the marks of a group apart.
    ylabel : str
        What is plotted, with its unit.
    ax : Axes
        Where to draw.
    """
    groups = {name: place for place, name in enumerate(dict.fromkeys(table[group]))}
    styles = looks(str(name) for name in dict.fromkeys(table[series]))
    step = 0.45 / len(styles)
    for number, (name, look) in enumerate(styles.items()):
        rows = table[table[series].astype(str) == name]
        x = rows[group].map(groups) + step * (number - (len(styles) - 1) / 2)
        colour = look["color"]
        ax.vlines(x, rows["q05"], rows["q95"], color=colour, lw=0.8)
        ax.vlines(x, rows["q25"], rows["q75"], color=colour, lw=5, alpha=0.3)
        look["linestyle"] = "none"
        ax.plot(x, rows["q50"], label=name, **look)
    ax.set_xticks(list(groups.values()), [str(name) for name in groups])
    ax.grid(axis="x", visible=False)
    ax.set_ylabel(ylabel)
    lines = max(str(name).count("\n") for name in groups)
    note = "median; thick bar: quartiles; thin: middle 90 %"
    legend_below(ax, note, below=0.1 + 0.05 * lines)
    return ax
