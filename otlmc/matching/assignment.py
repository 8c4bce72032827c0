"""Exact linear assignment, alone and in batches."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.matching.permutation import Indices


def assign(
    scores: ArrayLike, *, maximize: bool = True, blocks: int = 1, workers: int = 1
) -> Indices:
    """Return the permutation ``p`` with the best sum of ``scores[i, p[i]]``, exactly.

    Parameters
    ----------
    scores : array, shape (n, n) or (batch, n, n)
        What it is worth to put unit ``j`` of B in place ``i`` of A; or a batch of such matrices.
    maximize : bool
        Whether the scores are gains (default) or costs.
    blocks : int
        Only permutations that map ``blocks`` equal consecutive blocks onto blocks (GroupNorm). The
        optimum stays exact: blocks are assigned by the values of the best assignments inside them.
    workers : int
        Threads for a batch; the solver runs outside the interpreter lock.

    Returns
    -------
    ndarray of int, shape (n,) or (batch, n)
        ``p[i]`` is the unit of B that takes place ``i`` of A.

    Raises
    ------
    ValueError
        If the scores are not finite square matrices, or ``blocks`` does not divide n.

    Examples
    --------
    >>> assign([[0.1, 0.9], [0.8, 0.7]])
    array([1, 0])
    """
    matrices = _check.finite("scores", scores)
    if matrices.ndim not in (2, 3) or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(
            f"`scores` must be square, (n, n) or (batch, n, n), got shape {matrices.shape}"
        )
    blocks = _check.positive_int("blocks", blocks)
    if matrices.shape[-1] % blocks:
        raise ValueError(f"`blocks` must divide {matrices.shape[-1]}, got {blocks}")
    workers = _check.positive_int("workers", workers)
    if not maximize:
        matrices = -matrices
    if matrices.ndim == 2:
        return _best(matrices, blocks)
    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(lambda matrix: _best(matrix, blocks), matrices)))


def _solve(matrix: NDArray[np.float64]) -> Indices:
    """Solve one dense assignment with SciPy's shortest augmenting paths.

    Constants of rows and columns move no optimum, and neither does the order of the rows, but they
    decide how long the augmenting paths are: on the scores of networks, centred scores with the
    most certain rows first take half the time (``benchmarks/matching.py``).
    """
    centred = matrix - matrix.mean(0)
    centred -= centred.mean(1, keepdims=True)
    rows = np.argsort(-centred.max(1), kind="stable")
    found = np.empty(len(matrix), dtype=np.int64)
    found[rows] = scipy.optimize.linear_sum_assignment(centred[rows], maximize=True)[1]
    return found


def _best(matrix: NDArray[np.float64], blocks: int) -> Indices:
    if blocks == 1:
        return _solve(matrix)
    size = len(matrix) // blocks
    tiles = matrix.reshape(blocks, size, blocks, size).swapaxes(1, 2)
    inside = np.array([[_best(tile, 1) for tile in row] for row in tiles])
    values = np.take_along_axis(tiles, inside[..., None], axis=-1).sum(axis=(-2, -1))
    outer = _best(values, 1)
    return (outer[:, None] * size + inside[np.arange(blocks), outer]).ravel()
