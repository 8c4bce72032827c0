"""Magnitude pruning: masks, one shot or iterative with rewinding, and their transport."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from otlmc import _check
from otlmc.data import Dataset
from otlmc.networks.config import TrainConfig
from otlmc.networks.mlp import Architecture
from otlmc.networks.stack import Stack
from otlmc.networks.training import TrainResult, train

Masks = dict[str, Tensor]
"""By the name of a weight: bool, true where the weight is kept, shape (E, ...) for a stack."""


def prunable(architecture: Architecture, *, output: bool = False) -> list[str]:
    """Return the weights that are pruned: matrices, the last one only with ``output``."""
    layers = architecture.depth if output else architecture.depth - 1
    if not layers:
        raise ValueError("`architecture` has no hidden layer, and `output` is false: no weights")
    return [f"layers.{layer}.weight" for layer in range(layers)]


def magnitude_masks(
    stack: Stack,
    fraction: float,
    *,
    masks: Mapping[str, Tensor] | None = None,
    output: bool = False,
) -> Masks:
    """Prune the smallest weights of each network, ranked over all its layers together.

    Called once on a network it is one-shot pruning.

    Parameters
    ----------
    stack : Stack
        The networks.
    fraction : float
        Part of the weights that goes, in (0, 1), of those that are left; the number that stays is
        rounded to the nearest.
    masks : mapping of str to Tensor of bool, optional
        What is left so far; by default everything.
    output : bool
        Whether the output layer is pruned too.

    Returns
    -------
    dict of str to Tensor of bool
        A part of ``masks``, shape (E, ...). Each network keeps the same number of weights.

    Examples
    --------
    >>> from otlmc.networks import draw
    >>> stack = draw(Architecture(widths=(10, 8, 1)), [0, 1])
    >>> magnitude_masks(stack, 0.75)["layers.0.weight"].sum(dim=(1, 2))
    tensor([20, 20])
    """
    _check.number("fraction", fraction, above=0.0, below=1.0)
    names = prunable(stack.architecture, output=output)
    weights = torch.cat([stack.tensors[name].detach().flatten(1) for name in names], dim=1)
    if masks is None:
        left = torch.ones_like(weights, dtype=torch.bool)
    else:
        if set(masks) != set(names):
            raise ValueError(f"`masks` must have the names {names}, got {sorted(masks)}")
        left = torch.cat([masks[name].flatten(1) for name in names], dim=1)
    counts = left.sum(1)
    if (counts != counts[0]).any():
        raise ValueError("`masks` must leave the same number of weights in every network")
    stay = math.floor(int(counts[0]) * (1 - fraction) + 0.5)
    # A pruned weight is below every other, even one that training has moved to 0.
    size = weights.abs().masked_fill(~left, -1.0)
    order = size.argsort(dim=1, descending=True, stable=True)
    kept = torch.zeros_like(left).scatter_(1, order[:, :stay], True)
    shapes = [stack.tensors[name].shape for name in names]
    parts = kept.split([shape[1:].numel() for shape in shapes], dim=1)
    return {n: part.view(s) for n, part, s in zip(names, parts, shapes, strict=True)}


def sparsify(stack: Stack, masks: Mapping[str, Tensor]) -> Stack:
    """Return the networks with their pruned weights set to 0."""
    tensors = {n: t * masks[n] if n in masks else t.clone() for n, t in stack.tensors.items()}
    return Stack(stack.architecture, tensors)


@dataclass(frozen=True, eq=False)
class PruningLevel:
    """One level of iterative magnitude pruning.

    Attributes
    ----------
    left : float
        Part of the prunable weights that is left.
    masks : Masks
        Where they are.
    rewound : Stack
        The networks at the rewinding step, pruned.
    result : TrainResult
        The networks trained from there to the end.
    """

    left: float
    masks: Masks
    rewound: Stack
    result: TrainResult


def iterative_magnitude_pruning(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seeds: Sequence[int],
    *,
    levels: int,
    rewind_step: int,
    fraction: float = 0.2,
    output: bool = False,
    device: torch.device | str | None = None,
) -> list[PruningLevel]:
    """Train, prune the smallest weights, rewind the rest to an early step, and again.

    Every level prunes ``fraction`` of what is left, over all layers together, and trains from
    ``rewind_step`` to the end with the learning rates and the batches that belong to those steps.
    Each network has masks of its own.

    Parameters
    ----------
    architecture, dataset, config, seeds, device
        As for :func:`otlmc.networks.train`.
    levels : int
        Times that weights are pruned.
    rewind_step : int
        Step to whose weights the networks return; 0 is their initialisation.
    fraction : float
        Part pruned at each level.
    output : bool
        Whether the output layer is pruned too.

    Returns
    -------
    list of PruningLevel
        ``levels + 1`` of them; the first is dense.
    """
    _check.positive_int("levels", levels)
    dense = train(architecture, dataset, config, seeds, checkpoints=[rewind_step], device=device)
    start = dense.checkpoints[rewind_step]
    names = prunable(architecture, output=output)
    masks = {name: torch.ones_like(start.tensors[name], dtype=torch.bool) for name in names}
    found = [PruningLevel(1.0, masks, start, dense)]
    for _ in range(levels):
        last = found[-1]
        masks = magnitude_masks(last.result.stack, fraction, masks=last.masks, output=output)
        left = sum(int(mask.sum()) for mask in masks.values())
        result = train(
            architecture,
            dataset,
            config,
            seeds,
            initial=start,
            first_step=rewind_step,
            masks=masks,
            device=device,
        )
        every = sum(mask.numel() for mask in masks.values())
        found.append(PruningLevel(left / every, masks, sparsify(start, masks), result))
    return found


P = TypeVar("P", bound="Relabelling")


class Relabelling(Protocol):
    """What :class:`otlmc.matching.Permutation` offers for moving masks."""

    def inverse(self: P) -> P:
        """Return the permutation of A's units onto B's."""
        ...

    def gather(self, key: str, tensor: Tensor) -> Tensor:
        """Return the tensor ``key`` of one network with its units permuted."""
        ...


def transport_masks(masks: Mapping[str, Tensor], permutation: Relabelling) -> Masks:
    """Carry the masks of network A over to network B.

    Parameters
    ----------
    masks : mapping of str to Tensor of bool
        Of one network, without a leading axis.
    permutation : Permutation
        The one that :func:`otlmc.matching.match` returns for (A, B): it takes B's units to A's
        places.

    Returns
    -------
    dict of str to Tensor of bool
        Masks for B as it is: the unit of B that matches a unit of A gets that unit's mask.
    """
    back = permutation.inverse()
    return {name: back.gather(name, mask) for name, mask in masks.items()}
