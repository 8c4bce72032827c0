"""What it is worth to put unit j of B in place i of A: the score matrices of every method."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otlmc.matching.moments import CrossMoments
from otlmc.matching.permutation import Axis, Indices, PermutationSpec, State, gather_units

Placed = Mapping[str, Indices]
Score = Callable[[str, Placed], NDArray[np.float64]]
"""The score matrix of a group, given the groups that have been placed already."""


def incoming(
    spec: PermutationSpec, a: State, b: State, moments: Mapping[str, Tensor] | None = None
) -> Score:
    """Scores W_A Σ W_Bᵀ of the weights into a group, with the inputs of B placed already.

    Without moments Σ is the identity. Layers whose inputs are not placed yet (residual branches)
    do not count.
    """

    def score(group: str, placed: Placed) -> NDArray[np.float64]:
        total = torch.zeros(spec.sizes[group], spec.sizes[group], dtype=torch.float64)
        for layer in spec.writers(group):
            if layer.source is not None and layer.source not in placed:
                continue
            weight_a = a[layer.weight].detach().double().flatten(1)
            weight_b = b[layer.weight].detach().double()
            if layer.source is not None:
                axis = Axis(layer.source, 1, layer.block)
                weight_b = gather_units(weight_b, axis, placed[layer.source])
            if moments is not None:
                weight_a = weight_a @ moments[layer.name].to(weight_a.device)
            total += (weight_a @ weight_b.flatten(1).to(weight_a.device).T).cpu()
        return total.numpy()

    return score


def activation(moments: Mapping[str, CrossMoments]) -> Score:
    """Scores of the centred cross-covariance of the units; no group depends on another."""

    def score(group: str, placed: Placed) -> NDArray[np.float64]:
        return moments[group].centred().cpu().numpy()

    return score
