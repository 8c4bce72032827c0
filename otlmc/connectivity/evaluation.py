"""Loss, error and deviation of combined networks over a labelled set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from otlmc import _check
from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.recalibration import Recalibration, recalibrate
from otlmc.matching.moments import Inputs, batches

_NEWTON_STEPS = 50
_LARGEST_INVERSE = 1e3


@dataclass(frozen=True)
class Evaluation:
    """Means over a set for every combination of networks, all of shape (combinations,).

    ``deviation`` is the root mean square over the samples of the distance between the outputs and
    the same combination of the outputs of the given networks.
    """

    loss: NDArray[np.float64]
    error: NDArray[np.float64]
    deviation: NDArray[np.float64]
    temperature: NDArray[np.float64]
    calibrated_loss: NDArray[np.float64]
    samples: int


def evaluate(
    between: Interpolation,
    weights: Sequence[Sequence[float]],
    inputs: Inputs,
    labels: ArrayLike | Tensor,
    *,
    batch_size: int,
    recalibration: Recalibration = "none",
    recalibrate_on: Inputs | None = None,
) -> Evaluation:
    """Evaluate combinations of networks on a set of inputs and class numbers."""
    targets = _labels(labels, len(inputs))
    batch_size = _check.positive_int("batch_size", batch_size)
    data = inputs if recalibrate_on is None else recalibrate_on
    corrections = recalibrate(between, weights, data, recalibration, batch_size=batch_size)
    count = len(between.states)
    squares = np.zeros(len(weights))
    chunks: list[list[Tensor]] = [[] for _ in weights]
    for batch in batches(between.network, inputs, batch_size):
        between.load(batch)
        ends = [between.outputs([float(i == k) for i in range(count)]) for k in range(count)]
        for i, (weight, correction) in enumerate(zip(weights, corrections, strict=True)):
            at_end = sum(w != 0 for w in weight) == 1 and recalibration == "none"
            logits = ends[int(np.argmax(weight))] if at_end else between.outputs(weight, correction)
            straight = sum(w * end for w, end in zip(weight, ends, strict=True))
            squares[i] += float((logits - straight).double().square().sum())
            chunks[i].append(logits)
    columns = [_score(torch.cat(chunk), targets) for chunk in chunks]
    loss, error, temperature, calibrated = np.array(columns).T
    deviation = np.sqrt(squares / len(targets))
    return Evaluation(loss, error, deviation, temperature, calibrated, len(targets))


def _score(logits: Tensor, targets: Tensor) -> tuple[float, float, float, float]:
    """Return loss, error, the fitted temperature and the loss at it, in float64."""
    logits = logits.double()
    target = targets.to(logits.device)
    classes = 2
    if logits.ndim == 1 or logits.shape[1] == 1:
        # One logit z is the pair (0, z): binary and categorical cross-entropy are the same.
        logits = F.pad(logits.reshape(-1, 1), (1, 0))
    else:
        classes = logits.shape[1]
    if target.max() >= classes:
        raise ValueError(
            f"`labels` must be below the number of classes, {classes}; got {int(target.max())}"
        )
    error = float((logits.argmax(1) != target).double().mean())
    loss = float(F.cross_entropy(logits, target))
    inverse = _inverse_temperature(logits, target)
    calibrated = min(loss, float(F.cross_entropy(inverse * logits, target)))
    return loss, error, 1 / inverse if inverse else float("inf"), calibrated


def _inverse_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the β >= 0 that minimises the mean cross-entropy of β logits, by safe Newton steps.

    The loss is convex in β. β stops at 1000 where the data are separated.
    """
    chosen = logits.gather(1, target[:, None]).mean()
    low, high, beta = 0.0, _LARGEST_INVERSE, 1.0
    for _ in range(_NEWTON_STEPS):
        probability = (beta * logits).softmax(1)
        means = (probability * logits).sum(1)
        slope = float(means.mean() - chosen)
        curvature = float(((probability * logits.square()).sum(1) - means.square()).mean())
        if slope > 0:
            high = beta
        else:
            low = beta
        step = beta - slope / curvature if curvature > 0 else high
        new = step if low < step < high else (low + high) / 2
        if abs(new - beta) <= 1e-9 * max(1.0, beta):
            break
        beta = new
    return 0.0 if high < 1e-6 else beta


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
