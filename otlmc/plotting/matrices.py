"""Matrices of all pairs of networks as colours, in blocks or in the order of their clusters."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.cluster import hierarchy


def plot_pairs(
    matrix: ArrayLike, groups: Sequence[str], *, label: str, limit: float | None = None, ax: Axes
) -> Axes:
    """Show what was measured of all pairs of networks, which stand group by group.

    Parameters
    ----------
    matrix : array, shape (networks, networks)
        The values.
    groups : sequence of str
        The group of every network; the networks of a group are neighbours.
    label : str
        What the values are.
    limit : float, optional
        The value at the end of the colours.
    ax : Axes
        Where to draw.
    """
    values = np.asarray(matrix, dtype=float)
    _colours(values, label=label, limit=limit, ax=ax)
    sizes = [(name, len(list(members))) for name, members in groupby(groups)]
    ends = np.cumsum([size for _, size in sizes])
    for end in ends[:-1]:
        ax.axhline(end - 0.5, color="white", lw=1)
        ax.axvline(end - 0.5, color="white", lw=1)
    middles = ends - np.array([size for _, size in sizes]) / 2 - 0.5
    names = [name for name, _ in sizes]
    ax.set_xticks(middles, names)
    ax.set_yticks(middles, names)
    return ax


def plot_clusters(
    matrix: ArrayLike, links: ArrayLike, *, label: str, limit: float | None = None, ax: Axes
) -> Axes:
    """Show what was measured of all pairs, in the order of a hierarchical clustering, and its tree.

    Parameters
    ----------
    matrix : array, shape (networks, networks)
        The values.
    links : array, shape (networks - 1, 4)
        The clustering, as :func:`scipy.cluster.hierarchy.linkage` returns it.
    label, limit
        As for :func:`plot_pairs`.
    ax : Axes
        Where to draw; the tree stands above it, and below a title at ``y=1.24``.
    """
    order = hierarchy.leaves_list(np.asarray(links))
    _colours(np.asarray(matrix, dtype=float)[np.ix_(order, order)], label=label, limit=limit, ax=ax)
    tree = ax.inset_axes((0.0, 1.02, 1.0, 0.2))
    hierarchy.dendrogram(
        np.asarray(links), ax=tree, no_labels=True, color_threshold=0.0,
        above_threshold_color="0.3",
    )  # fmt: skip
    tree.set_axis_off()
    tree.set_in_layout(False)  # the title leaves its room
    ax.set(xticks=[], yticks=[], xlabel="networks, by their clusters")
    return ax


def _colours(values: np.ndarray, *, label: str, limit: float | None, ax: Axes) -> None:
    top = float(np.nanmax(values)) if limit is None else limit
    image = ax.imshow(values, cmap="cividis_r", vmin=0.0, vmax=top, interpolation="nearest")
    extend = "max" if np.nanmax(values) > top else "neither"
    ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8, extend=extend)
    ax.grid(False)
