"""Multilayer perceptrons: the plain module, and E of them stacked along a leading axis."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, overload

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        Whether every hidden layer is Linear, activation, then LayerNorm (in this order).

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
            hidden = activation(layer(entering[-1]))
            entering.append(self.norms[index](hidden) if self.norms else hidden)
        return entering

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs of shape (..., d) to logits of shape (..., outputs)."""
        return self.layers[-1](self.activations(inputs)[-1])


@dataclass(frozen=True, eq=False)
class Stack(Sequence[MLP]):
    """E networks of one architecture, every tensor with a leading axis E.

    Indexing gives the plain network (a copy), a slice gives a smaller stack (a view).

    Attributes
    ----------
    architecture : Architecture
        The common shape.
    tensors : Mapping of str to Tensor
        The names of :class:`MLP`'s state dict, shapes with E in front.

    Raises
    ------
    ValueError
        If a name is missing or unknown, or a shape is not (E, ...) with one E for all.

    Examples
    --------
    >>> networks = [MLP(Architecture(widths=(2, 8, 1))) for _ in range(3)]
    >>> stack = Stack.of(networks)
    >>> stack(torch.zeros(5, 2)).shape, len(stack[:2])
    (torch.Size([3, 5, 1]), 2)
    """

    architecture: Architecture
    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        shapes = self.architecture.shapes
        if unlike := set(shapes) ^ set(self.tensors):
            raise ValueError(f"`tensors` misses, or should not have, {sorted(unlike)}")
        count = len(next(iter(self.tensors.values())))
        for name, shape in shapes.items():
            if self.tensors[name].shape != (count, *shape):
                raise ValueError(
                    f"`tensors[{name!r}]` must have shape {(count, *shape)}, "
                    f"got {tuple(self.tensors[name].shape)}"
                )

    @classmethod
    def of(cls, networks: Sequence[MLP]) -> "Stack":
        """Stack plain networks of one architecture."""
        if not networks:
            raise ValueError("`networks` is empty")
        architecture = networks[0].architecture
        for index, network in enumerate(networks):
            if network.architecture != architecture:
                raise ValueError(
                    f"`networks[{index}]` is {network.architecture}, the first {architecture}"
                )
        states = [network.state_dict() for network in networks]
        tensors = {name: torch.stack([s[name] for s in states]) for name in architecture.shapes}
        return cls(architecture, tensors)

    @classmethod
    def concatenate(cls, stacks: Sequence["Stack"]) -> "Stack":
        """Join stacks of one architecture along the leading axis."""
        first = stacks[0]
        names = first.architecture.shapes
        tensors = {name: torch.cat([stack.tensors[name] for stack in stacks]) for name in names}
        return cls(first.architecture, tensors)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    @overload
    def __getitem__(self, index: int) -> MLP: ...

    @overload
    def __getitem__(self, index: slice) -> "Stack": ...

    def __getitem__(self, index: int | slice) -> "MLP | Stack":
        """Return network ``index`` as a module, or a part of the stack."""
        if isinstance(index, slice):
            chosen = {name: tensor[index] for name, tensor in self.tensors.items()}
            return Stack(self.architecture, chosen)
        if not -len(self) <= index < len(self):
            raise IndexError(f"network {index} of a stack of {len(self)}")
        network = MLP(self.architecture).to(self.device)
        network.load_state_dict({name: tensor[index] for name, tensor in self.tensors.items()})
        return network

    def __iter__(self) -> Iterator[MLP]:
        return (self[index] for index in range(len(self)))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(iter(self.tensors.values())).device

    def to(self, device: torch.device | str) -> "Stack":
        """Return the same networks on another device."""
        moved = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return Stack(self.architecture, moved)

    def clone(self) -> "Stack":
        """Return a copy that shares no memory."""
        copies = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        return Stack(self.architecture, copies)

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Return what enters each layer; hidden ones have shape (E, n, width)."""
        architecture = self.architecture
        activation = ACTIVATIONS[architecture.activation]
        entering = [inputs]
        for layer in range(architecture.depth - 1):
            hidden = activation(self._affine(layer, entering[-1]))
            if architecture.layer_norm:
                hidden = F.layer_norm(hidden, hidden.shape[-1:])
                scale, shift = (self.tensors[f"norms.{layer}.{p}"] for p in ("weight", "bias"))
                hidden = torch.addcmul(shift[:, None], hidden, scale[:, None])
            entering.append(hidden)
        return entering

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map inputs, (n, d) for all or (E, n, d) one set each, to logits (E, n, outputs)."""
        return self._affine(self.architecture.depth - 1, self.activations(inputs)[-1])

    def _affine(self, layer: int, inputs: Tensor) -> Tensor:
        weight = self.tensors[f"layers.{layer}.weight"]
        bias = self.tensors.get(f"layers.{layer}.bias")
        if inputs.ndim == 2:
            # Common inputs: one large product instead of E small ones.
            flat = F.linear(inputs, weight.flatten(0, 1), None if bias is None else bias.flatten())
            return flat.unflatten(1, weight.shape[:2]).transpose(0, 1)
        if bias is None:
            return torch.bmm(inputs, weight.mT)
        return torch.baddbmm(bias[:, None], inputs, weight.mT)
