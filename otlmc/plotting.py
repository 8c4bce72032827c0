"""Figures: the only module that imports matplotlib.

Every function draws a table of measurements beside their theory into one panel and returns its
axes. Series differ in colour, marker and dash, so that they can be told apart in grey and by the
colour-blind.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import nn

from otlmc.connectivity.report import PathReport, PlaneReport

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
    _legend_below(ax, "median; band: quartiles")
    return ax


def plot_barrier_against_width(
    table: pd.DataFrame, series: str, *, ylabel: str = "loss barrier", ax: Axes
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
    ax : Axes
        Where to draw.
    """
    names = [str(name) for name in dict.fromkeys(table[series])]
    for (name, rows), look in zip(
        table.groupby(series, sort=False), looks(names).values(), strict=True
    ):
        means = rows.groupby("width")["measured"].agg(["mean", "sem"])
        bars = 2 * means["sem"].fillna(0.0)
        ax.errorbar(means.index, means["mean"], yerr=bars, label=name, capsize=2, **look)
    ax.axhline(0.0, color="0.4", lw=0.8)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="width (units of a hidden layer)", ylabel=ylabel)
    _legend_below(ax, "mean, with 2 standard errors")
    return ax


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


def plot_bracket(table: pd.DataFrame, *, ax: Axes) -> Axes:
    """Plot measured matching costs inside the interval between the two bounds, by law and width.

    Every cost is divided by that of a random matching, ``random``.

    Parameters
    ----------
    table : DataFrame
        Columns law, width, measured, stderr, lower, upper, random; laws from left to right in the
        order of their first appearance.
    ax : Axes
        Where to draw.
    """
    laws, widths = list(table["law"].unique()), sorted(table["width"].unique())
    for index, (width, look) in enumerate(looks(f"m = {w:.0f}" for w in widths).items()):
        rows = table[table["width"] == widths[index]]
        x = rows["law"].map(laws.index) + (index - (len(widths) - 1) / 2) * 0.25
        limits = rows["lower"] / rows["random"], rows["upper"] / rows["random"]
        ax.vlines(x, *limits, color=look["color"], lw=5, alpha=0.3)
        measured, bars = rows["measured"] / rows["random"], 2 * rows["stderr"] / rows["random"]
        look["linestyle"] = "none"
        ax.errorbar(x, measured, yerr=bars, label=width, **look)
    ax.set_xticks(np.arange(len(laws)), laws, rotation=45, ha="right", rotation_mode="anchor")
    ax.set(yscale="log", ylabel="matching cost / cost of a random matching")
    title = "marker: measured, with 2 standard errors; bar: from lower to upper bound"
    ax.legend(title=title, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=3)
    return ax


def plot_campaign(table: pd.DataFrame, *, limit: float, ax: Axes) -> Axes:
    """Plot how far measurements lie beyond their bounds, in standard errors, as two histograms.

    Negative values lie on the right side of the bound; all below -10 are counted at -10.

    Parameters
    ----------
    table : DataFrame
        Columns measured, stderr, lower, upper, one row for each case.
    limit : float
        Standard errors beyond which a bound counts as violated.
    ax : Axes
        Where to draw.
    """
    bins = np.arange(-10.0, limit + 1.5, 0.5)
    for side, sign, look in zip(
        ("upper", "lower"), (1, -1), looks(("upper", "lower")).values(), strict=True
    ):
        beyond = sign * (table["measured"] - table[side]) / table["stderr"]
        counts, edges = np.histogram(np.clip(beyond, bins[0], bins[-1]), bins)
        style = {"color": look["color"], "linestyle": look["linestyle"], "lw": 1.5}
        ax.stairs(counts, edges, label=f"{side} bound", **style)
    ax.axvline(limit, color="black", ls=":", label=f"violation: {limit:g} standard errors")
    ax.set(yscale="log", xlabel="measured cost beyond the bound (standard errors)")
    ax.set_ylabel("cases")
    _legend_below(ax, f"{len(table):,} random cases, each against both bounds")
    return ax


def plot_two_quantities(
    table: pd.DataFrame, pair: tuple[str, str], *, x: str, series: str, note: str, ax: Axes
) -> Axes:
    """Plot two quantities on logarithmic axes, filled and hollow, and their bound, dotted.

    Parameters
    ----------
    table : DataFrame
        Columns quantity, measured, stderr, upper and those named by ``x`` and ``series``.
    pair : tuple of str
        The quantity with filled markers and the one with hollow markers.
    x, series, note : str
        Columns of the abscissa and of the colours, and what the markers mean.
    ax : Axes
        Where to draw.
    """
    rows = table[table["quantity"].isin(pair)]
    for name, look in looks(rows[series].unique()).items():
        own = rows[rows[series] == name]
        faces = (look["color"], f"{series} = {name}", "-"), ("white", None, "--")
        for quantity, (face, label, look["linestyle"]) in zip(pair, faces, strict=True):
            part = own[own["quantity"] == quantity].sort_values(x)
            values = part[x], part["measured"], 2 * part["stderr"]
            ax.errorbar(*values, label=label, mfc=face, capsize=2, **look)
        ax.plot(own.groupby(x)["upper"].max(), ":", color=look["color"])
    ax.set(xscale="log", yscale="log")
    _legend_below(ax, note)
    return ax


def _legend_below(ax: Axes, title: str | None) -> None:
    """Put the legend under the axes, where it hides no data."""
    ax.legend(title=title, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
