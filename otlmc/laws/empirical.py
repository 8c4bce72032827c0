"""A measured cloud of neurons in the place of their law: for estimates, never for theorems."""

from functools import cached_property
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.laws.product import Array, Seed, eigenbasis


class Empirical:
    """A cloud of measured neurons, taken as independent draws from a law that nobody knows.

    :func:`otlmc.bounds.upper` and :func:`otlmc.bounds.lower` evaluate on it the statements that
    need no formula for the law, with measured quantities. What comes back is an **estimate**, of
    the kind ``"upper estimate"`` or ``"lower estimate"``: it carries the error of the cloud, and
    the neurons of a trained network are not independent draws. Everything else that asks for a law
    refuses a cloud.

    Parameters
    ----------
    points : array_like, shape (n, dim)
        One neuron in each row; at least 8.
    rng : int, Generator or SeedSequence
        How the cloud is split in halves: see :attr:`within`.

    Raises
    ------
    ValueError
        If there are fewer than 8 points, or they are all the same.

    Examples
    --------
    >>> from otlmc import bounds
    >>> from otlmc.laws import Gaussian
    >>> cloud = Empirical(np.random.default_rng(0).normal(size=(4096, 5)))
    >>> found = bounds.upper(cloud, 1024)
    >>> found.kind, found.method
    ('upper estimate', 'k-d tree')
    >>> bool(abs(found.value / bounds.partition_bound(Gaussian(dim=5), 1024) - 1) < 0.1)
    True
    """

    def __init__(self, points: ArrayLike, *, rng: Seed = 0) -> None:
        self.points = _check.finite("points", points, ndim=2)
        if len(self.points) < 8:
            raise ValueError(f"`points` must hold at least 8 neurons, got {len(self.points)}")
        if not np.ptp(self.points, axis=0).any():
            raise ValueError("`points` holds the same neuron throughout")
        self._order = np.random.default_rng(rng).permutation(len(self.points))

    @property
    def dim(self) -> int:
        """Dimension of a neuron."""
        return self.points.shape[1]

    @cached_property
    def spectrum(self) -> Array:
        """Eigenvalues of the covariance of the cloud, descending, shape (dim,)."""
        return np.linalg.eigvalsh(np.atleast_2d(np.cov(self.points.T)))[::-1].clip(0.0)

    @cached_property
    def within(self) -> Array:
        """Estimates of v_k, the mean squared distance of two neurons of one cell, by level k.

        The cells are those of a balanced k-d tree in the principal axes: every cell is cut at its
        median, along the axis of its largest variance. One half of the cloud chooses the axes, the
        other is cut along them and measured, and then the other way round: measured on the neurons
        that chose the cuts, v would come out too small. The last cells hold two or three.
        """
        first, second = np.array_split(self.points[self._order], 2)
        levels = _measured(first, second), _measured(second, first)
        depth = min(map(len, levels))
        return 0.5 * (levels[0][:depth] + levels[1][:depth])

    def in_metric(self, metric: ArrayLike) -> "Empirical":
        """Return the cloud of ``metric**0.5 @ neuron``, whose distances are those of the metric.

        Examples
        --------
        >>> cloud = Empirical(np.eye(8)[:, :2])
        >>> cloud.in_metric([[4.0, 0.0], [0.0, 1.0]]).points[0]
        array([2., 0.])
        """
        eigenvalues, vectors = eigenbasis("metric", metric)
        if len(eigenvalues) != self.dim:
            raise ValueError(f"`metric` must have {self.dim} rows, got {len(eigenvalues)}")
        moved = Empirical(self.points @ (vectors * np.sqrt(eigenvalues)) @ vectors.T)
        moved._order = self._order
        return moved

    @property
    def blocks(self) -> NoReturn:
        """Refuse: the coordinates of a cloud are not independent."""
        raise TypeError(
            "a theorem needs the law of the neurons, not a cloud of them: an Empirical works with "
            "bounds.upper and bounds.lower, which say that they estimate"
        )

    def __repr__(self) -> str:
        """Name the cloud with its size."""
        total = self.spectrum.sum()
        return f"Empirical({len(self.points)} neurons, dim={self.dim}, total variance={total:.6g})"


def _measured(choosing: Array, measured: Array) -> Array:
    """Cut both clouds alike, along axes that the first chooses, and measure the second."""
    centre = choosing.mean(0)
    axes = np.linalg.svd(choosing - centre, full_matrices=False)[2].T
    whole = _spread(measured[None])
    choosing, measured = ((choosing - centre) @ axes)[None], ((measured - centre) @ axes)[None]
    uncut = whole - _spread(measured)  # beyond the span of the choosing half
    levels = [_spread(measured)]
    while min(choosing.shape[1], measured.shape[1]) >= 4:
        axis = choosing.var(1).argmax(1)
        choosing, measured = _halved(choosing, axis), _halved(measured, axis)
        levels.append(_spread(measured))
    return np.array(levels) + max(uncut, 0.0)


def _spread(cells: Array) -> float:
    """Mean over the cells, shape (cells, neurons, dim), of E|X - Y|^2, without bias."""
    return float(2 * cells.var(1, ddof=1).sum(1).mean())


def _halved(cells: Array, axis: NDArray[np.int64]) -> Array:
    """Cut every cell at its median along its axis; a neuron on the median is left out."""
    keys = np.take_along_axis(cells, axis[:, None, None], axis=2)
    cells = np.take_along_axis(cells, keys.argsort(axis=1, kind="stable"), axis=1)
    size = cells.shape[1] // 2
    halves = np.stack([cells[:, :size], cells[:, -size:]], axis=1)
    return halves.reshape(-1, size, cells.shape[2])
