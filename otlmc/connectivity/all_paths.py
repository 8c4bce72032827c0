"""The straight paths between the networks of a stack, all at once."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from otlmc import _check
from otlmc.connectivity.paths import grid
from otlmc.connectivity.report import PathsReport
from otlmc.networks.evaluation import BATCH, errors, losses
from otlmc.networks.stack import Stack

CHUNK = 2**19
"""Entries of the largest activation of a step on a CPU: what its cache holds."""
CHUNK_CUDA = 2**28
"""The same on a GPU, whose kernels should be large."""


@torch.no_grad()
def all_paths(
    stack: Stack,
    inputs: Tensor,
    labels: Tensor,
    *,
    pairs: ArrayLike | None = None,
    points: int | ArrayLike = 11,
    on: str = "test",
    batch_size: int = BATCH,
) -> PathsReport:
    """Measure theta(t) = (1 - t) theta_i + t theta_j for every pair of networks of a stack.

    The numbers are those of :func:`path` on every pair, up to float32 round-off. Many paths are
    evaluated as one stack, and the first layer, which is linear in its parameters, runs once for
    every network instead of once for every point of every path.

    Parameters
    ----------
    stack : Stack
        At least two networks, permuted already.
    inputs, labels : Tensor, shapes (n, d) and (n,)
        The set over which loss and error are averaged.
    pairs : array of int, shape (pairs, 2), optional
        Which networks to join; every pair once by default. To match each pair on its own, stack
        the permuted networks behind the others and name the pairs.
    points : int or array
        As for :func:`path`.
    on : str
        The name of the set, for the record.
    batch_size : int
        Examples at a time.

    Returns
    -------
    PathsReport
        Loss and error at every t of every path, with their barriers, epsilons and midpoints.

    Raises
    ------
    ValueError
        If the stack holds fewer than two networks or no hidden layer, a pair names a network that
        is not there, the grid lacks 0, 1/2 or 1, or there is not one label per input.

    Examples
    --------
    >>> from otlmc.networks import Architecture, draw
    >>> stack = draw(Architecture(widths=(2, 8, 1)), [0, 1, 2])
    >>> report = all_paths(stack, torch.randn(20, 2), torch.zeros(20, dtype=torch.int64))
    >>> report.pairs.tolist(), report.loss.shape, report.matrix("epsilon_loss").shape
    ([[0, 1], [0, 2], [1, 2]], (3, 11), (3, 3))
    """
    t = grid(points)
    chosen = _pairs(pairs, len(stack))
    _check.positive_int("batch_size", batch_size)
    if stack.architecture.depth < 2:
        raise ValueError(f"`stack` must have a hidden layer, got {stack.architecture}")
    if inputs.ndim != 2 or labels.shape != inputs.shape[:1] or not len(inputs):
        raise ValueError(
            "`inputs` and `labels` must have shapes (n, d) and (n,) with n >= 1, got "
            f"{tuple(inputs.shape)} and {tuple(labels.shape)}"
        )
    loss, error = (np.zeros((len(chosen), len(t))) for _ in range(2))
    for start in range(0, len(inputs), batch_size):
        batch = slice(start, start + batch_size)
        truth = labels[batch].to(stack.device)
        written = stack.first_layer(inputs[batch].to(stack.device))
        for part in _parts(len(chosen), written):
            for place, logits in enumerate(_along(stack, written, chosen[part], t.tolist())):
                loss[part, place] += _sum(losses(logits, truth))
                error[part, place] += _sum(errors(logits, truth))
    count = len(inputs)
    return PathsReport(
        pairs=chosen, t=t, loss=loss / count, error=error / count, on=on, samples=count
    )


def _pairs(pairs: ArrayLike | None, networks: int) -> NDArray[np.int64]:
    if networks < 2:
        raise ValueError(f"`stack` must hold at least 2 networks, got {networks}")
    if pairs is None:
        return np.array(list(combinations(range(networks), 2)))
    chosen = np.asarray(pairs)
    if chosen.ndim != 2 or chosen.shape[1] != 2 or not len(chosen) or chosen.dtype.kind != "i":
        raise ValueError(f"`pairs` must be integers (pairs, 2), got shape {chosen.shape}")
    if chosen.min() < 0 or chosen.max() >= networks:
        raise ValueError(
            f"`pairs` must name networks 0..{networks - 1}, got {chosen.min()}..{chosen.max()}"
        )
    return chosen.astype(np.int64)


def _parts(pairs: int, written: Tensor) -> Iterator[slice]:
    """Yield the pairs in parts whose activations fit the cache."""
    most = CHUNK_CUDA if written.is_cuda else CHUNK
    size = max(1, most // written[0].numel())
    return (slice(start, start + size) for start in range(0, pairs, size))


def _along(
    stack: Stack, written: Tensor, pairs: NDArray[np.int64], t: list[float]
) -> Iterator[Tensor]:
    """Yield the logits of the paths at every t, from what the first layers write."""
    i, j = (torch.from_numpy(ends).to(stack.device) for ends in pairs.T)
    starts, ends = (
        {name: tensor[k] for name, tensor in stack.tensors.items()} | {"written": written[k]}
        for k in (i, j)
    )
    for s in t:
        tensors = {name: torch.lerp(start, ends[name], s) for name, start in starts.items()}
        mixed = tensors.pop("written")
        yield Stack(stack.architecture, tensors).after_first_layer(mixed)


def _sum(values: Tensor) -> NDArray[np.float64]:
    return values.sum(-1, dtype=torch.float64).cpu().numpy()
