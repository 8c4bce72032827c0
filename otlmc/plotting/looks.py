"""The look of all figures: colours, markers and dashes that survive grey and colour-blindness."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, in an order of falling contrast on white, and a grey
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#888888"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = (
    *("-", "--", "-.", ":"),
    *((0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)), (0, (3, 1, 1, 1))),
)

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


def close(figure: Figure) -> None:
    """Let go of a figure of :func:`panels`; pyplot keeps every one until then."""
    plt.close(figure)


def looks(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assign every series its colour, marker and dash."""
    series = zip(names, cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
    return {n: {"color": c, "marker": m, "linestyle": d} for n, c, m, d in series}


MATCHINGS = looks(
    (
        *("weight_incoming", "covariance", "activation_centred", "none", "networks A and B"),
        *("weight", "covariance_bias", "covariance_bias_outgoing"),
    )
)
"""One look for every way of matching, the same in all figures."""


def legend_below(ax: Axes, title: str | None, *, columns: int = 3, below: float = 0.15) -> None:
    """Put the legend under the axes, where it hides no data."""
    ax.legend(title=title, loc="upper center", bbox_to_anchor=(0.5, -below), ncols=columns)


def logarithmic(ax: Axes) -> None:
    """Give the ordinate a logarithmic scale with plain numbers."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())
