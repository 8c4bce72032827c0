"""Panels of measured matching costs and deviations beside their bounds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from otlmc.plotting.looks import MATCHINGS, legend_below, looks


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
        # The edges are drawn too: where both bounds are exact the band has no width.
        color = look["color"]
        ax.fill_between(
            rows["width"], *limits, facecolor=(color, 0.15), edgecolor=(color, 0.5), lw=0.7
        )
        bars = 2 * rows["stderr"]
        ax.errorbar(
            rows["width"], rows["measured"], yerr=bars, label=f"k = {k:.0f}", capsize=2, **look
        )
    ax.set_xscale("log", base=2)
    ax.set(yscale="log", xlabel="width m (neurons per network)")
    ax.set_ylabel(r"matching cost $E\,W_2^2$ (variance of a direction = 1)")
    legend_below(ax, "marker: measured, with 2 standard errors; band: theorems")
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
    legend_below(ax, "marker: measured; bar: predicted from the spectrum")
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
    legend_below(ax, f"{len(table):,} random cases, each against both bounds")
    return ax


def plot_two_quantities(
    table: pd.DataFrame, pair: tuple[str, str], *, x: str, series: str, note: str, ax: Axes
) -> Axes:
    """Plot two quantities on logarithmic axes, filled and hollow, and their bounds.

    The bound of the first is dotted, that of the second dash-dotted where it is another one.

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
        limits = [own[own["quantity"] == quantity].groupby(x)["upper"].max() for quantity in pair]
        ax.plot(limits[0], ":", color=look["color"])
        if not limits[0].equals(limits[1]):
            ax.plot(limits[1], "-.", color=look["color"], alpha=0.5)
    ax.set(xscale="log", yscale="log")
    legend_below(ax, note)
    return ax


def plot_below_bound(table: pd.DataFrame, *, x: str, series: str, ax: Axes) -> Axes:
    """Plot a measured quantity with its errors and, dotted, its upper bound, from zero.

    Parameters
    ----------
    table : DataFrame
        Columns measured, stderr, upper and those named by ``x`` and ``series``.
    x, series : str
        Columns of the abscissa and of the colours.
    ax : Axes
        Where to draw.
    """
    for name, look in looks(table[series].unique()).items():
        rows = table[table[series] == name].sort_values(x)
        values = rows[x], rows["measured"], 2 * rows["stderr"]
        ax.errorbar(*values, label=f"{series} = {name}", capsize=2, **look)
        ax.plot(rows[x], rows["upper"], ":", color=look["color"], marker=look["marker"], mfc="none")
    ax.set_ylim(bottom=0)
    legend_below(ax, "filled: measured, with 2 standard errors; hollow, dotted: upper bound")
    return ax
