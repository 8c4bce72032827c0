"""Loss, error and deviation of combined networks over a labelled set."""

import math
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

_NEWTON_STEPS = 100
_RELATIVE_STOP = 1e-7
_LARGEST_INVERSE = 1e3


@dataclass(frozen=True)
class Evaluation:
    """Means over a set for every combination of networks, all of shape (combinations,).

    ``deviation`` is the root mean square over the samples of the distance between the outputs and
    the same combination of the outputs of the given networks. The logits are kept for
    :meth:`calibrated`, one column per class, in float64.
    """

    loss: NDArray[np.float64]
    error: NDArray[np.float64]
    deviation: NDArray[np.float64]
    logits: Sequence[Tensor]
    targets: Tensor

    @property
    def samples(self) -> int:
        """Size of the set."""
        return len(self.targets)

    def calibrated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the softmax temperature with the least loss on the set, and that loss."""
        inverse = np.array([_inverse_temperature(z, self.targets) for z in self.logits])
        losses = [
            float(F.cross_entropy(beta * z, self.targets))
            for beta, z in zip(inverse.tolist(), self.logits, strict=True)
        ]
        with np.errstate(divide="ignore"):
            return 1 / inverse, np.minimum(self.loss, losses)


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
    logits = [_columns(torch.cat(chunk)) for chunk in chunks]
    targets = targets.to(logits[0].device)
    if targets.max() >= logits[0].shape[1]:
        raise ValueError(
            f"`labels` must be below the number of classes, {logits[0].shape[1]}; "
            f"got {int(targets.max())}"
        )
    return Evaluation(
        loss=np.array([float(F.cross_entropy(z, targets)) for z in logits]),
        error=np.array([float((z.argmax(1) != targets).double().mean()) for z in logits]),
        deviation=np.sqrt(squares / len(targets)),
        logits=logits,
        targets=targets,
    )


def _columns(logits: Tensor) -> Tensor:
    """Return one column per class, in float64.

    One logit z is the pair (0, z): binary and categorical cross-entropy are the same.
    """
    logits = logits.double()
    if logits.ndim == 1 or logits.shape[1] == 1:
        return F.pad(logits.reshape(-1, 1), (1, 0))
    return logits


def _inverse_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the β in [0, 1000] that minimises the mean cross-entropy of β logits.

    The loss is convex in β; Newton steps that leave the bracket are replaced by bisection. Where
    the logits separate the data the loss falls for ever, and β ends at 1000.
    """
    # Seen from the largest logit the moments below are small where the softmax is one-hot, not
    # differences of large numbers.
    logits = logits - logits.amax(1, keepdim=True)
    chosen = float(logits.gather(1, target[:, None]).mean())

    def derivatives(beta: float) -> tuple[float, float]:
        probability = (beta * logits).softmax(1)
        means = (probability * logits).sum(1)
        curvature = ((probability * logits.square()).sum(1) - means.square()).mean()
        return float(means.mean()) - chosen, float(curvature)

    if derivatives(0.0)[0] >= 0:
        return 0.0
    if derivatives(_LARGEST_INVERSE)[0] <= 0:
        return _LARGEST_INVERSE
    low, high, beta = 0.0, _LARGEST_INVERSE, 1.0
    for _ in range(_NEWTON_STEPS):
        slope, curvature = derivatives(beta)
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curvature if curvature > 0 else math.inf
        if abs(step - beta) <= _RELATIVE_STOP * beta:
            return step
        beta = step if low < step < high else (low + high) / 2
    return beta


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
