"""Initial weights of a stack: network e depends on its own seed and on nothing else."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from otlmc import _check
from otlmc.networks.mlp import Architecture
from otlmc.networks.stack import Stack

Initialisation = Literal["torch", "lecun_truncated", "kaiming_normal", "kaiming_uniform"]
INITIALISATIONS: tuple[str, ...] = get_args(Initialisation)

# A normal law cut at two standard deviations has this standard deviation.
TRUNCATED_DEVIATION = 0.87962566103423978


def generators(seed: int) -> tuple[torch.Generator, torch.Generator]:
    """Return the two independent CPU streams of a network: its weights, its batch order."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"`seeds` must be integers of at least 0, got {seed!r}")
    words = np.random.SeedSequence(int(seed)).generate_state(2, np.uint64)
    weights, order = (torch.Generator().manual_seed(int(word >> np.uint64(1))) for word in words)
    return weights, order


def draw(
    architecture: Architecture,
    seeds: Sequence[int],
    *,
    initialisation: Initialisation = "torch",
) -> Stack:
    """Draw one network per seed, on the CPU.

    ===================  ==================================================================
    ``torch``            weights and biases uniform in plus or minus fan_in^(-1/2)
    ``lecun_truncated``  normal of variance 1/fan_in cut at 2 deviations, biases 0 (JAX's
                         LeCun normal)
    ``kaiming_normal``   normal of variance 2/fan_in, biases 0
    ``kaiming_uniform``  uniform of variance 2/fan_in, biases 0
    ===================  ==================================================================

    LayerNorm starts as the identity in all of them.

    Parameters
    ----------
    architecture : Architecture
        The shape of the networks.
    seeds : sequence of int
        One per network; equal seeds give equal networks, in stacks of any size.
    initialisation : str
        One of the table.

    Examples
    --------
    >>> small = Architecture(widths=(2, 8, 1))
    >>> alone, among = draw(small, [7]), draw(small, [3, 7])
    >>> torch.equal(alone.tensors["layers.0.weight"][0], among.tensors["layers.0.weight"][1])
    True
    """
    _check.one_of("initialisation", initialisation, INITIALISATIONS)
    if not len(seeds):
        raise ValueError("`seeds` is empty: one seed per network is needed")
    tensors = {name: torch.zeros(len(seeds), *shape) for name, shape in architecture.shapes.items()}
    for index, seed in enumerate(seeds):
        weights, _ = generators(seed)
        for name, tensor in tensors.items():
            if name.startswith("norms"):
                tensor[index].fill_(1.0 if name.endswith("weight") else 0.0)
            elif name.endswith("weight"):
                _fill(tensor[index], initialisation, weights)
            elif initialisation == "torch":
                fan_in = tensors[name.replace("bias", "weight")].shape[-1]
                tensor[index].uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=weights)
    return Stack(architecture, tensors)


def _fill(weight: Tensor, initialisation: str, generator: torch.Generator) -> None:
    if initialisation == "torch":
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    elif initialisation == "lecun_truncated":
        scale = weight.shape[-1] ** -0.5 / TRUNCATED_DEVIATION
        nn.init.trunc_normal_(weight, 0.0, scale, -2 * scale, 2 * scale, generator=generator)
    elif initialisation == "kaiming_normal":
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    else:
        nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
