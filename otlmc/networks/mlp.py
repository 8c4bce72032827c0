"""The shape of a multilayer perceptron, and the plain module."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from otlmc import _check

Activation = Literal["relu", "tanh"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "tanh": torch.tanh}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The shape of a multilayer perceptron.

    Attributes
    ----------
    widths : tuple of int
        Inputs, hidden widths, outputs.
    activation : {"relu", "tanh"}
        Applied after every layer but the last.
    bias : bool
        Whether layers have a bias.
    layer_norm : bool
        Whether every hidden layer is Linear, LayerNorm, then activation (in this order).

    Examples
    --------
    >>> Architecture(widths=(64, 128, 10)).parameter_count
    9610
    """

    widths: tuple[int, ...] = (784, 512, 512, 512, 10)
    activation: Activation = "relu"
    bias: bool = True
    layer_norm: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise ValueError(f"`widths` needs inputs and outputs, got {self.widths}")
        widths = tuple(_check.positive_int("widths", width) for width in self.widths)
        object.__setattr__(self, "widths", widths)
        _check.one_of("activation", self.activation, tuple(ACTIVATIONS))

    @property
    def depth(self) -> int:
        """Number of weight matrices."""
        return len(self.widths) - 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, in the order of :class:`MLP`'s state dict."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(pairwise(self.widths)):
            shapes[f"layers.{layer}.weight"] = (outputs, inputs)
            if self.bias:
                shapes[f"layers.{layer}.bias"] = (outputs,)
        if self.layer_norm:
            for layer, width in enumerate(self.widths[1:-1]):
                shapes[f"norms.{layer}.weight"] = shapes[f"norms.{layer}.bias"] = (width,)
        return shapes

    @property
    def parameter_count(self) -> int:
        """Number of parameters of one network."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())


class MLP(nn.Module):
    """A multilayer perceptron.

    Parameters
    ----------
    architecture : Architecture
        Its shape. Weights are PyTorch's default draw; see
        :func:`otlmc.networks.draw` for others.

    Examples
    --------
    >>> mlp = MLP(Architecture(widths=(2, 8, 1)))
    >>> mlp(torch.zeros(5, 2)).shape, list(mlp.state_dict())[:2]
    (torch.Size([5, 1]), ['layers.0.weight', 'layers.0.bias'])
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths, bias = architecture.widths, architecture.bias
        self.layers = nn.ModuleList(nn.Linear(m, n, bias=bias) for m, n in pairwise(widths))
        self.norms = nn.ModuleList(
            nn.LayerNorm(width) for width in widths[1:-1] if architecture.layer_norm
        )

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Return what enters each layer: the inputs, then every hidden layer's output."""
        activation = ACTIVATIONS[self.architecture.activation]
        entering = [inputs]
        for index, layer in enumerate(self.layers[:-1]):
            written = layer(entering[-1])
            entering.append(activation(self.norms[index](written) if self.norms else written))
        return entering

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs of shape (..., d) to logits of shape (..., outputs)."""
        return self.layers[-1](self.activations(inputs)[-1])
