"""Loss and error along the straight path between two networks."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.connectivity.interpolation import Interpolation
from otlmc.matching.moments import Inputs, batches
from otlmc.results import PathReport


def path(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    points: int | ArrayLike = 11,
    on: str = "test",
    batch_size: int = 4096,
) -> PathReport:
    """Measure the networks theta(t) = (1 - t) theta_A + t theta_B.

    Permute B first (``match(a, b, ...).permutation.apply(b)``); the path permutes nothing.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture, whose output is one logit (binary) or one per class.
        They are run in evaluation mode and not changed.
    inputs, labels : array or Tensor
        The set over which loss and error are averaged; labels are class numbers.
    points : int or array
        An odd number of equidistant t in [0, 1], or an increasing grid with 0, 1/2 and 1.
    on : str
        The name of the set, for the record.
    batch_size : int
        Samples per forward pass.

    Returns
    -------
    PathReport
        Loss and error at every t, with barrier, epsilon and midpoint of both.

    Raises
    ------
    ValueError
        If the architectures differ, the grid lacks 0, 1/2 or 1, or a weight, input or label is
        not usable.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> report = path(net, net, torch.randn(20, 4), torch.zeros(20, dtype=torch.int64), points=3)
    >>> bool(abs(report.loss_barrier) < 1e-6)
    True
    """
    t = _grid(points)
    between = Interpolation([a, b])
    loss, error, samples = evaluate(
        between, [(1 - s, s) for s in t], inputs, labels, batch_size=batch_size
    )
    return PathReport(t=t, loss=loss, error=error, on=on, samples=samples)


def evaluate(
    between: Interpolation,
    weights: list[tuple[float, ...]],
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    batch_size: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return mean loss and mean error of every combination, and the number of samples."""
    targets = _labels(labels, len(inputs))
    batch_size = _check.positive_int("batch_size", batch_size)
    loss, error = np.zeros(len(weights)), np.zeros(len(weights))
    chunks = batches(between.network, inputs, batch_size)
    for batch, target in zip(chunks, targets.split(batch_size), strict=True):
        between.load(batch)
        for i, weight in enumerate(weights):
            logits = between.outputs(weight)
            batch_loss, batch_error = _sums(logits, target.to(logits.device))
            loss[i] += batch_loss
            error[i] += batch_error
    return loss / len(targets), error / len(targets), len(targets)


def _sums(logits: Tensor, target: Tensor) -> tuple[float, float]:
    """Return the summed loss and the number of errors of a batch, in float64."""
    logits = logits.double()
    if logits.ndim == 1 or logits.shape[1] == 1:
        logits = logits.flatten()
        if target.max() > 1:
            raise ValueError(f"`labels` must be 0 or 1 for one logit, got {int(target.max())}")
        loss = F.binary_cross_entropy_with_logits(logits, target.double(), reduction="sum")
        return float(loss), float(((logits > 0) != target.bool()).sum())
    if target.max() >= logits.shape[1]:
        raise ValueError(
            f"`labels` must be below the {logits.shape[1]} classes, got {int(target.max())}"
        )
    loss = F.cross_entropy(logits, target, reduction="sum")
    return float(loss), float((logits.argmax(1) != target).sum())


def _labels(labels: ArrayLike | Tensor, samples: int) -> Tensor:
    target = torch.as_tensor(labels)
    if target.shape != (samples,):
        raise ValueError(
            f"`labels` must be ({samples},) like the inputs, got shape {tuple(target.shape)}"
        )
    whole = target.to(torch.int64)
    if (whole != target).any() or (whole < 0).any():
        raise ValueError("`labels` must be class numbers 0, 1, ...")
    return whole


def _grid(points: int | ArrayLike) -> NDArray[np.float64]:
    if np.ndim(points) == 0:
        count = _check.positive_int("points", points)
        if count < 3 or count % 2 == 0:
            raise ValueError(f"`points` must be odd and at least 3, got {count}")
        return np.linspace(0.0, 1.0, count)
    t = _check.finite("points", points, ndim=1)
    if (np.diff(t) <= 0).any() or t[0] != 0 or t[-1] != 1 or 0.5 not in t:
        raise ValueError("`points` must increase from 0 to 1 and hold 1/2")
    return t
