"""From the deviation along a path to the barrier of its loss (section "From deviation to barrier").

The deviation at t is ``y_t - (1 - t) y_A - t y_B``, and the barrier of a loss its excess over the
line, ``L(y_t) - (1 - t) L(y_A) - t L(y_B)``. Both functions bound the barrier by norms of the
deviation alone, whatever the network.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check


def cross_entropy_barrier(deviation: ArrayLike, *, outputs: int) -> float:
    """Upper bound on the barrier of the mean cross-entropy.

    The loss is convex in the logits, so at ``(1 - t) y_A + t y_B`` it is at most the mean of the
    ends. Its gradient ``softmax(y) - e_label`` has a norm below sqrt(2): two probability vectors
    are never further apart. So the loss at y_t is larger by at most sqrt(2) times the deviation.
    One logit is the pair (0, y), whose gradient stays below 1. Neither constant can be lowered:
    both are reached far on the wrong side of a label.

    Parameters
    ----------
    deviation : array_like, shape (n,), or float
        Bounds on the norms of the deviation for every sample, or on their mean or root mean square.
    outputs : int
        Logits of the network; 1 for the binary loss.

    Raises
    ------
    TypeError, ValueError
        If a deviation is negative or not finite, or ``outputs`` is no positive integer.

    Examples
    --------
    >>> round(cross_entropy_barrier([0.1, 0.3], outputs=10), 4)
    0.2828
    """
    values = _norms("deviation", deviation)
    constant = 1.0 if _check.positive_int("outputs", outputs) == 1 else math.sqrt(2)
    return constant * float(values.mean())


def squared_loss_barrier(deviation: ArrayLike, *, residual: ArrayLike) -> float:
    """Upper bound on the barrier of the mean squared loss ``|y - target|^2``.

    With r the residual of ``(1 - t) y_A + t y_B`` and d the deviation,
    ``|r + d|^2 = |r|^2 + 2 <r, d> + |d|^2``, and ``|r|^2`` is at most the mean of the ends by
    convexity. So the barrier is at most the mean of ``2 |d| |r| + |d|^2``.

    Parameters
    ----------
    deviation : array_like, shape (n,), or float
        Bounds on the norms of the deviation for every sample; or one on their root mean square.
    residual : array_like, shape (n,), or float
        Bounds on ``|r|`` for every sample (the larger of ``|y_A - target|`` and ``|y_B - target|``
        is one); or one on their root mean square.

    Raises
    ------
    TypeError, ValueError
        If a value is negative or not finite, or the shapes differ.

    Examples
    --------
    >>> round(squared_loss_barrier(0.1, residual=0.5), 4)
    0.11
    """
    values, residuals = _norms("deviation", deviation), _norms("residual", residual)
    if values.shape != residuals.shape:
        raise ValueError(
            f"`residual` must have the shape of `deviation`, {values.shape}, got {residuals.shape}"
        )
    return float((2 * values * residuals + values**2).mean())


def _norms(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.atleast_1d(_check.finite(name, values))
    if array.ndim != 1 or (array < 0).any():
        raise ValueError(f"`{name}` must be norms >= 0 in at most one dimension")
    return array
