"""Simplices and planes of several networks."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.connectivity.evaluation import evaluate
from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.recalibration import Recalibration
from otlmc.connectivity.report import PlaneReport, SimplexReport
from otlmc.matching.moments import Inputs


def simplex(
    networks: Sequence[nn.Module],
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    resolution: int = 6,
    on: str = "test",
    recalibrate: Recalibration = "none",
    recalibrate_on: Inputs | None = None,
    batch_size: int = 4096,
) -> SimplexReport:
    """Measure the networks Σ w_k theta_k on a regular grid of the simplex.

    Permute the networks first, for example with :func:`otlmc.matching.match_all`.

    Parameters
    ----------
    networks : sequence of nn.Module
        At least two networks of one architecture.
    inputs, labels, on, recalibrate, recalibrate_on, batch_size
        As for :func:`otlmc.connectivity.path`.
    resolution : int
        Steps along an edge; the grid holds all w with integer ``resolution * w``, and the
        barycentre.

    Raises
    ------
    ValueError
        As for :func:`otlmc.connectivity.path`, and for fewer than two networks.

    References
    ----------
    Sharma et al. (2024), strong linear connectivity.

    Examples
    --------
    >>> nets = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(3)]
    >>> report = simplex(nets, torch.randn(20, 4), torch.zeros(20), resolution=3)
    >>> report.weights.shape
    (10, 3)
    """
    if len(networks) < 2:
        raise ValueError(f"`networks` must hold at least 2, got {len(networks)}")
    resolution = _check.positive_int("resolution", resolution)
    weights = _grid(len(networks), resolution)
    found = evaluate(
        Interpolation(networks),
        weights.tolist(),
        inputs,
        labels,
        batch_size=batch_size,
        recalibration=recalibrate,
        recalibrate_on=recalibrate_on,
    )
    return SimplexReport(
        weights=weights,
        loss=found.loss,
        error=found.error,
        deviation=found.deviation,
        on=on,
        samples=found.samples,
        recalibrate=recalibrate,
    )


def plane(
    networks: Sequence[nn.Module],
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    resolution: int = 21,
    margin: float = 0.2,
    on: str = "test",
    recalibrate: Literal["none", "batchnorm"] = "none",
    recalibrate_on: Inputs | None = None,
    batch_size: int = 4096,
) -> PlaneReport:
    """Measure a rectangle of the plane through three networks, in its Euclidean geometry.

    Parameters
    ----------
    networks : sequence of three nn.Module
        Networks of one architecture, not on one line.
    inputs, labels, on, recalibrate_on, batch_size
        As for :func:`otlmc.connectivity.path`.
    recalibrate : {"none", "batchnorm"}
        As for :func:`otlmc.connectivity.path`; REPAIR has no meaning outside the triangle, where
        the standard deviations that it would restore turn negative.
    resolution : int
        Points along each side.
    margin : float
        What the rectangle adds around the three networks, in parts of their extent.

    Raises
    ------
    ValueError
        If there are not three networks, or they lie on one line.

    References
    ----------
    Garipov et al. (2018), the plane through three networks.

    Examples
    --------
    >>> nets = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(3)]
    >>> plane(nets, torch.randn(20, 4), torch.zeros(20), resolution=5).loss.shape
    (5, 5)
    """
    if len(networks) != 3:
        raise ValueError(f"`networks` must hold 3, got {len(networks)}")
    resolution = _check.positive_int("resolution", resolution)
    margin = _check.number("margin", margin, least=0)
    _check.one_of("recalibrate", recalibrate, ("none", "batchnorm"))
    between = Interpolation(networks)
    names = [name for name, _ in between.network.named_parameters()]
    a, b, c = (
        torch.cat([state[name].double().flatten() for name in names]) for state in between.states
    )
    base, side = b - a, c - a
    length = float(base.norm())
    along = float(side @ base) / length if length else 0.0
    height = float((side - along / length * base).norm()) if length else 0.0
    if height <= 1e-9 * max(length, 1e-300):
        raise ValueError("`networks` lie on one line: they span no plane")
    corners = np.array([[0.0, 0.0], [length, 0.0], [along, height]])
    low, high = corners.min(0), corners.max(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    x, y = (np.linspace(low[k], high[k], resolution) for k in (0, 1))
    grid_x, grid_y = np.meshgrid(x, y)
    third = grid_y / height
    second = (grid_x - third * along) / length
    weights = np.stack([1 - second - third, second, third], axis=-1).reshape(-1, 3)
    found = evaluate(
        between,
        weights.tolist(),
        inputs,
        labels,
        batch_size=batch_size,
        recalibration=recalibrate,
        recalibrate_on=recalibrate_on,
    )
    return PlaneReport(
        x=x,
        y=y,
        loss=found.loss.reshape(grid_x.shape),
        error=found.error.reshape(grid_x.shape),
        corners=corners,
        on=on,
        samples=found.samples,
        recalibrate=recalibrate,
    )


def _grid(corners: int, resolution: int) -> NDArray[np.float64]:
    """Return all weights with integer multiples of 1/resolution, and equal weights."""
    points = []
    for bars in combinations(range(resolution + corners - 1), corners - 1):
        cuts = np.array([-1, *bars, resolution + corners - 1])
        points.append((np.diff(cuts) - 1) / resolution)
    if resolution % corners:
        points.append(np.full(corners, 1 / corners))
    return np.array(points)
