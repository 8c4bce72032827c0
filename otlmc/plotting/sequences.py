"""Panels of what changes along a sequence of networks: epochs of training, levels of pruning."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from otlmc.plotting.looks import legend_below, looks
from otlmc.plotting.networks import hollow


def plot_series(
    table: pd.DataFrame,
    *,
    x: str,
    series: str,
    published: pd.DataFrame | None = None,
    ax: Axes,
) -> Axes:
    """Plot measurements along a sequence, one line per series.

    Parameters
    ----------
    table : DataFrame
        Columns measured and those named by ``x`` and ``series``; repetitions are averaged.
    x, series : str
        Columns of the abscissa and of the lines, drawn in the order of their first appearance.
    published : DataFrame, optional
        Columns value, architecture and the one named by ``x``: hollow markers, one shape for each
        architecture, in the colour of their series where they have one.
    ax : Axes
        Where to draw.
    """
    styles = looks(str(name) for name in dict.fromkeys(table[series]))
    for name, rows in table.groupby(series, sort=False):
        means = rows.groupby(x)["measured"].agg(["mean", "sem"])
        bars = 2 * means["sem"].fillna(0.0)
        look = styles[str(name)]
        ax.errorbar(means.index, means["mean"], yerr=bars, label=name, capsize=2, **look)
    if published is not None:
        groups = published.groupby("architecture", sort=False)
        for (architecture, own), look in zip(groups, hollow(), strict=False):
            ax.plot([], [], color="0.3", label=f"published: {architecture}", **look)
            names = own[series] if series in own else pd.Series("", index=own.index)
            for name, rows in own.groupby(names.astype(str)):
                colour = styles.get(str(name), {"color": "0.3"})["color"]
                ax.plot(rows[x], rows["value"], color=colour, **look)
    legend_below(ax, "mean, with 2 standard errors")
    return ax


def plot_matrix(matrix: pd.DataFrame, *, xlabel: str, ylabel: str, label: str, ax: Axes) -> Axes:
    """Show a matrix as colours with its values written in.

    Parameters
    ----------
    matrix : DataFrame
        The values, with what belongs to rows and columns as index and columns.
    xlabel, ylabel, label : str
        Names of the columns, of the rows and of the values.
    ax : Axes
        Where to draw.
    """
    values = matrix.to_numpy(dtype=float)
    image = ax.imshow(values, cmap="cividis_r", vmin=0.0, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    middle = np.nanmax(values) / 2
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > middle else "black"
            ax.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(np.arange(values.shape[1]), [f"{name:g}" for name in matrix.columns])
    ax.set_yticks(np.arange(values.shape[0]), [f"{name:g}" for name in matrix.index])
    ax.grid(False)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax
