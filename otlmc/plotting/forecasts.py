"""Panels of predictions across widths beside measurements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from otlmc.plotting.looks import legend_below, logarithmic, looks


def plot_forecast(
    table: pd.DataFrame,
    forecasts: pd.DataFrame,
    *,
    series: str,
    theorem: pd.DataFrame | None = None,
    ax: Axes,
) -> Axes:
    """Plot a quantity against the width, with what one pair of one width predicts of the others.

    Parameters
    ----------
    table : DataFrame
        Columns width, measured, upper and the one named by ``series``: markers are the means of the
        repetitions, with their range; dotted lines the means of ``upper``, where there is one.
    forecasts : DataFrame
        Columns width (of the source), target, predicted, low, high and ``series``: bands.
    series : str
        Column that tells the colours apart.
    theorem : DataFrame, optional
        Columns as of ``table``: hollow markers, and dotted lines for its ``upper``.
    ax : Axes
        Where to draw.
    """
    for name, look in looks(table[series].unique()).items():
        rows = table[table[series] == name]
        values = rows.groupby("width")["measured"].agg(["mean", "min", "max"])
        bars = [values["mean"] - values["min"], values["max"] - values["mean"]]
        points: dict[str, Any] = {**look, "linestyle": "none"}
        label = f"{series.replace('_', ' ')} {name:g}"
        ax.errorbar(values.index, values["mean"], yerr=bars, label=label, capsize=2, **points)
        band = forecasts[forecasts[series] == name].sort_values("target")
        ax.fill_between(band["target"], band["low"], band["high"], color=look["color"],
                        alpha=0.15, lw=0)  # fmt: skip
        ax.plot(band["target"], band["predicted"], "-", color=look["color"], lw=1.2)
        proved = rows
        if theorem is not None:
            proved = theorem[theorem[series] == name]
            means = proved.groupby("width")["measured"].mean()
            ax.plot(means, mfc="white", **points)
        ax.plot(proved.groupby("width")["upper"].mean(), ":", color=look["color"], lw=1.8)
    ax.set(xscale="log", yscale="log", xlabel="width (units of every hidden layer)")
    ax.set_xticks(widths := sorted(table["width"].unique()), [f"{w:.0f}" for w in widths])
    ax.set_xticks([], minor=True)
    logarithmic(ax)
    source = " and ".join(f"{w:.0f}" for w in forecasts["width"].unique())
    note = f"line, band: from one pair of width {source}\ndotted: "
    note += "certificate" if theorem is None else "theorem on the hollow (pre-activations matched)"
    legend_below(ax, note)
    return ax


def plot_predicted_against_measured(table: pd.DataFrame, *, names: Sequence[str], ax: Axes) -> Axes:
    """Plot predictions against measurements, filled to wider and hollow to narrower networks.

    Parameters
    ----------
    table : DataFrame
        Columns quantity, width, target, predicted, measured; what is 0, or of the source itself, is
        left out.
    names : sequence of str
        The quantities, in order.
    ax : Axes
        Where to draw.
    """
    rows = table[(table["measured"] > 0) & (table["target"] != table["width"])]
    for name, look in looks(names).items():
        own = rows[rows["quantity"] == name]
        wider = own["target"] > own["width"]
        points: dict[str, Any] = {**look, "linestyle": "none", "alpha": 0.5, "markersize": 3.5}
        ax.plot(own["measured"][wider], own["predicted"][wider], label=name, **points)
        ax.plot(own["measured"][~wider], own["predicted"][~wider], mfc="none", **points)
    ends = np.array([rows["measured"].min(), rows["measured"].max()])
    ax.plot(ends, ends, color="0.3", lw=1)
    for factor in (0.5, 2.0):
        ax.plot(ends, factor * ends, color="0.3", lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel="measured", ylabel="predicted")
    legend_below(ax, "filled: to wider networks, hollow: to narrower\ndotted: a factor of 2")
    return ax
