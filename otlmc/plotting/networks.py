"""Panels of what lies between trained networks."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from numpy.typing import ArrayLike
from torch import nn

from otlmc.connectivity.report import PathReport, PlaneReport
from otlmc.plotting.looks import COLOURS, MARKERS, MATCHINGS, legend_below, logarithmic, looks

COMPOSITIONS = ["pair", "via one", "via two", "cycle of three", "cycle of four"]
"""From the fewest to the most permutations, along paths and around cycles."""


def plot_against_rate(
    table: pd.DataFrame,
    series: str,
    *,
    ylabel: str,
    published: pd.DataFrame | None = None,
    ax: Axes,
) -> Axes:
    """Plot a quantity of trained networks against the learning rate, one line per series.

    Parameters
    ----------
    table : DataFrame
        Columns learning_rate, measured and the one named by ``series``; repetitions are averaged.
    series : str
        Column that tells the lines apart, drawn in the order of its first appearance.
    ylabel : str
        What is plotted, with its unit.
    published : DataFrame, optional
        Columns learning_rate, value and the one named by ``series``: hollow markers.
    ax : Axes
        Where to draw.
    """
    if published is not None:
        for name, rows in published.groupby(series, sort=False):
            # Larger than ours, so that both are seen where they agree.
            look = MATCHINGS[str(name)] | {"linestyle": "none", "mfc": "none", "markersize": 8}
            ax.plot(rows["learning_rate"], rows["value"], **look)
    for name, rows in table.groupby(series, sort=False):
        means = rows.groupby("learning_rate")["measured"].agg(["mean", "sem", "count"])
        bars = 2 * means["sem"].fillna(0.0)
        ax.errorbar(
            means.index, means["mean"], yerr=bars, label=name, capsize=2, **MATCHINGS[str(name)]
        )
    ax.set(xscale="log", xlabel="learning rate", ylabel=ylabel)
    logarithmic(ax)
    note = "bars: 2 standard errors"
    legend_below(ax, note if published is None else f"{note}; hollow: published")
    return ax


def plot_path(
    reports: Mapping[str, Sequence[PathReport]],
    *,
    quantity: Literal["loss", "error", "deviation", "calibrated_loss"] = "loss",
    ax: Axes,
) -> Axes:
    """Plot a quantity along paths: the median of each series, with the band of its quartiles.

    Parameters
    ----------
    reports : mapping of str to sequence of PathReport
        The paths of every series, all on one grid of t.
    quantity : str
        What is plotted.
    ax : Axes
        Where to draw.
    """
    for (name, paths), look in zip(reports.items(), looks(reports).values(), strict=True):
        t = paths[0].t
        values = np.stack([getattr(report, quantity) for report in paths])
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        ax.fill_between(t, low, high, color=look["color"], alpha=0.15, lw=0)
        ax.plot(t, middle, label=name, **look)
    ax.set(xlabel="t, from network A to network B", ylabel=quantity.replace("_", " "))
    legend_below(ax, "median; band: quartiles")
    return ax


def plot_barrier_against_width(
    table: pd.DataFrame,
    series: str,
    *,
    ylabel: str = "loss barrier",
    published: pd.DataFrame | None = None,
    ax: Axes,
) -> Axes:
    """Plot barriers against the width of the networks, one line per series.

    Parameters
    ----------
    table : DataFrame
        Columns width, measured and the one named by ``series``; repetitions are averaged.
    series : str
        Column that tells the lines apart.
    ylabel : str
        What was measured.
    published : DataFrame, optional
        Columns width, value, architecture and the one named by ``series``: hollow markers in the
        colours of the series, with one shape for each architecture.
    ax : Axes
        Where to draw.
    """
    styles = looks(str(name) for name in dict.fromkeys(table[series]))
    for name, rows in table.groupby(series, sort=False):
        means = rows.groupby("width")["measured"].agg(["mean", "sem"])
        bars = 2 * means["sem"].fillna(0.0)
        look = styles[str(name)]
        ax.errorbar(means.index, means["mean"], yerr=bars, label=name, capsize=2, **look)
    if published is not None:
        for (architecture, own), look in zip(
            published.groupby("architecture"), hollow(), strict=False
        ):
            ax.plot([], [], color="0.3", label=f"published: {architecture}", **look)
            for name, rows in own[own[series].isin(list(styles))].groupby(series):
                ax.plot(rows["width"], rows["value"], color=styles[str(name)]["color"], **look)
    ax.axhline(0.0, color="0.4", lw=0.8)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="width (units of a hidden layer)", ylabel=ylabel)
    legend_below(ax, "mean, with 2 standard errors")
    return ax


def plot_composition(table: pd.DataFrame, published: pd.DataFrame, *, ax: Axes) -> Axes:
    """Plot the barrier after permutations have been composed along a path or a cycle.

    Parameters
    ----------
    table : DataFrame
        Columns width, arrangement and measured; repetitions are averaged.
    published : DataFrame
        Columns architecture, arrangement and value: hollow markers.
    ax : Axes
        Where to draw.
    """
    rows = table[table["arrangement"].isin(COMPOSITIONS)]
    styles = looks(f"width {width}" for width in sorted(rows["width"].unique()))
    x = np.arange(len(COMPOSITIONS))
    for (name, look), (_, own) in zip(styles.items(), rows.groupby("width"), strict=True):
        means = own.groupby("arrangement")["measured"].agg(["mean", "sem"]).reindex(COMPOSITIONS)
        look["linestyle"] = "none"
        ax.errorbar(
            x, means["mean"], yerr=2 * means["sem"].fillna(0.0), label=name, capsize=2, **look
        )
    for (name, own), look in zip(published.groupby("architecture"), hollow(), strict=False):
        values = own.set_index("arrangement")["value"].reindex(COMPOSITIONS)
        ax.plot(x, values, color="0.3", label=f"published: {name}", **look)
    ax.set_xticks(x, [name.replace(" of", "\nof") for name in COMPOSITIONS])
    ax.set_ylabel("barrier of the training error")
    logarithmic(ax)
    legend_below(ax, "mean, with 2 standard errors")
    return ax


def hollow() -> list[dict[str, Any]]:
    """Return the looks of published values, by architecture."""
    return [{"marker": m, "mfc": "white", "linestyle": "none", "alpha": 0.8} for m in MARKERS]


def plot_matching(scores: ArrayLike, permutation: ArrayLike, *, ax: Axes) -> Axes:
    """Show a matrix of scores with the units of B sorted by the permutation.

    Matched units stand on the diagonal.

    Parameters
    ----------
    scores : array, shape (n, n)
        Units of A by units of B, for example correlations of their outputs.
    permutation : array of int, shape (n,)
        ``permutation[i]`` takes place ``i`` of A; the identity shows B as it is.
    ax : Axes
        Where to draw.
    """
    matrix = np.asarray(scores)[:, np.asarray(permutation)]
    limit = np.abs(matrix).max()
    image = ax.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, shrink=0.8)
    ax.grid(False)
    ax.set(xlabel="unit of B, sorted", ylabel="unit of A")
    return ax


def plot_loss_plane(report: PlaneReport, *, limit: float | None = None, ax: Axes) -> Axes:
    """Plot the loss in the plane of three networks, with their triangle.

    Parameters
    ----------
    report : PlaneReport
        From :func:`otlmc.connectivity.plane`.
    limit : float, optional
        The largest loss of the colour scale, to share it between panels.
    ax : Axes
        Where to draw.
    """
    top = float(report.loss.max()) if limit is None else limit
    levels = np.linspace(float(min(report.loss.min(), top)), top, 21)
    if levels[0] == levels[-1]:
        levels = levels[0] + np.linspace(0.0, 1.0, 21)
    filled = ax.contourf(report.x, report.y, report.loss, levels, cmap="viridis", extend="max")
    ax.figure.colorbar(filled, ax=ax, label=f"{report.on} loss", shrink=0.8)
    ax.plot(*np.vstack([report.corners, report.corners[:1]]).T, "w--", lw=1)
    for name, corner in zip("ABC", report.corners, strict=True):
        ax.plot(*corner, "o", color="white", markeredgecolor="black")
        ax.annotate(name, corner, xytext=(5, 5), textcoords="offset points", color="white")
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set(xlabel="distance in parameter space", ylabel="distance in parameter space")
    return ax


def plot_decision_regions(
    network: nn.Module, inputs: ArrayLike, labels: ArrayLike, *, resolution: int = 200, ax: Axes
) -> Axes:
    """Plot which class a network gives to every point of the plane, with its data.

    Parameters
    ----------
    network : nn.Module
        Its inputs are points of the plane, its output one logit or one per class.
    inputs, labels : array, shapes (samples, 2) and (samples,)
        The data.
    resolution : int
        Points along each side of the grid.
    ax : Axes
        Where to draw.
    """
    points, classes = np.asarray(inputs), np.asarray(labels)
    low, high = points.min(0), points.max(0)
    x, y = (
        np.linspace(start, end, resolution)
        for start, end in zip(low - 0.1 * (high - low), high + 0.1 * (high - low), strict=True)
    )
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    like = next(network.parameters())
    with torch.no_grad():
        logits = network(torch.from_numpy(grid).to(like)).cpu().numpy()
    flat = logits.ndim == 1 or logits.shape[1] == 1
    chosen = (logits.ravel() > 0).astype(int) if flat else logits.argmax(1)
    count = max(2, int(max(chosen.max(), classes.max())) + 1)
    colours = ListedColormap([COLOURS[k % len(COLOURS)] for k in range(count)])
    ax.pcolormesh(x, y, chosen.reshape(resolution, resolution), cmap=colours, vmin=0,
                  vmax=count - 1, alpha=0.3, rasterized=True)  # fmt: skip
    for k in np.unique(classes):
        own = points[classes == k]
        ax.plot(*own.T, MARKERS[int(k) % len(MARKERS)], color=colours(int(k)), markersize=3)
    ax.grid(False)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    return ax
