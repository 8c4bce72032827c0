"""Exact linear assignment."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from otlmc import _check
from otlmc.matching.permutation import Indices


def assign(scores: ArrayLike, *, maximize: bool = True) -> Indices:
    """Return the permutation ``p`` with the best sum of ``scores[i, p[i]]``, exactly.

    Parameters
    ----------
    scores : array, shape (n, n)
        What it is worth to put unit ``j`` of B in place ``i`` of A.
    maximize : bool
        Whether the scores are gains (default) or costs.

    Returns
    -------
    ndarray of int, shape (n,)
        ``p[i]`` is the unit of B that takes place ``i`` of A.

    Raises
    ------
    ValueError
        If the scores are not a square finite matrix.

    Examples
    --------
    >>> assign([[0.1, 0.9], [0.8, 0.7]])
    array([1, 0])
    """
    matrix = _check.finite("scores", scores, ndim=2)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`scores` must be square, got shape {matrix.shape}")
    return np.asarray(linear_sum_assignment(matrix, maximize=maximize)[1], dtype=np.int64)
