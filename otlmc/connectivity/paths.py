"""The straight path between two networks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.connectivity.evaluation import evaluate
from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.recalibration import Recalibration
from otlmc.connectivity.report import PathReport
from otlmc.matching.moments import Inputs
from otlmc.matching.permutation import Permutation
from otlmc.matching.record import Matching, named

_COPY_DISTANCE = 0.25


def path(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    permutation: Permutation | Matching | None = None,
    points: int | ArrayLike = 11,
    on: str = "test",
    recalibrate: Recalibration = "none",
    recalibrate_on: Inputs | None = None,
    batch_size: int = 4096,
) -> PathReport:
    """Measure the networks theta(t) = (1 - t) theta_A + t P theta_B.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture, whose output is one logit (binary) or one per class.
        They are run in evaluation mode and not changed.
    inputs, labels : array or Tensor
        The set over which loss and error are averaged; labels are class numbers.
    permutation : Permutation or Matching, optional
        Applied to B. The report then holds the path without it too, as ``unpermuted``.
    points : int or array
        An odd number of equidistant t in [0, 1], or an increasing grid with 0, 1/2 and 1.
    on : str
        The name of the set, for the record.
    recalibrate : {"none", "batchnorm", "repair"}
        Whether every network on the path gets fresh BatchNorm statistics, or hidden units
        rescaled to the interpolated mean and standard deviation (REPAIR).
    recalibrate_on : array or Tensor, optional
        The data for that, usually training inputs; ``inputs`` if not given.
    batch_size : int
        Samples per forward pass.

    Returns
    -------
    PathReport
        Loss, error and deviation at every t, the loss at the fitted softmax temperature, and
        barrier, epsilon and midpoint of all.

    Raises
    ------
    ValueError
        If the architectures differ, the grid lacks 0, 1/2 or 1, or a weight, input or label is
        not usable.

    Notes
    -----
    The temperature is fitted at every t on the set itself, so the calibrated loss is the least
    that rescaling the logits can reach. The logits of all points are held in memory for that.

    References
    ----------
    Frankle, Dziugaite, Roy and Carbin (2020), linear mode connectivity; Entezari, Sedghi, Saukh and
    Neyshabur (2022), the barrier; Kalaivanan, the epsilon-loss; Ferbach et al. (2024), Figure 2,
    the midpoint.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> report = path(net, net, torch.randn(20, 4), torch.zeros(20, dtype=torch.int64), points=3)
    >>> bool(abs(report.loss_barrier) < 1e-6), report.relation
    (True, 'copy')
    """
    t = grid(points)
    name, moving = named(permutation)
    between = Interpolation([a, b if moving is None else moving.apply(b)])
    relation = _relation(between)
    found = evaluate(
        between,
        [(1 - s, s) for s in t],
        inputs,
        labels,
        batch_size=batch_size,
        recalibration=recalibrate,
        recalibrate_on=recalibrate_on,
    )
    temperature, calibrated = found.calibrated()
    unpermuted = None
    if moving is not None:
        unpermuted = path(
            a,
            b,
            inputs,
            labels,
            points=t,
            on=on,
            recalibrate=recalibrate,
            recalibrate_on=recalibrate_on,
            batch_size=batch_size,
        ).related(relation)
    return PathReport(
        t=t,
        loss=found.loss,
        error=found.error,
        deviation=found.deviation,
        temperature=temperature,
        calibrated_loss=calibrated,
        on=on,
        samples=found.samples,
        permutation=name,
        recalibrate=recalibrate,
        relation=relation,
        unpermuted=unpermuted,
    )


def _relation(between: Interpolation) -> str:
    """Say whether the ends are near in parameters: ``"copy"`` or ``"independent"``."""
    names = [key for key, _ in between.network.named_parameters()]
    a, b = between.states
    apart = sum(float((a[n] - b[n]).double().square().sum()) for n in names)
    norm = sum(float(a[n].double().square().sum()) for n in names)
    return "copy" if apart <= _COPY_DISTANCE**2 * norm else "independent"


def grid(points: int | ArrayLike) -> NDArray[np.float64]:
    """Return the grid of t that ``points`` asks for."""
    if np.ndim(points) == 0:
        count = _check.positive_int("points", points)
        if count < 3 or count % 2 == 0:
            raise ValueError(f"`points` must be odd and at least 3, got {count}")
        return np.linspace(0.0, 1.0, count)
    t = _check.finite("points", points, ndim=1)
    if (np.diff(t) <= 0).any() or t[0] != 0 or t[-1] != 1 or 0.5 not in t:
        raise ValueError("`points` must increase from 0 to 1 and hold 1/2")
    return t
