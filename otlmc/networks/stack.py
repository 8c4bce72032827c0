"""E networks of one architecture, stacked along a leading axis of every tensor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn import functional as F

from otlmc.networks.mlp import ACTIVATIONS, MLP, Architecture


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

    @classmethod
    def average(cls, stacks: Iterable["Stack"]) -> "Stack":
        """Average networks over stacks: stochastic weight averaging when these are checkpoints."""
        count, total, last = 0, {}, None
        for stack in stacks:
            if last is not None and last.architecture != stack.architecture:
                raise ValueError(f"`stacks` mixes {last.architecture} and {stack.architecture}")
            count, last = count + 1, stack
            for name, tensor in stack.tensors.items():
                # float64, so that many checkpoints add up without round-off.
                total[name] = total.get(name, 0.0) + tensor.detach().double()
        if last is None:
            raise ValueError("`stacks` is empty")
        means = {name: (total[name] / count).to(t.dtype) for name, t in last.tensors.items()}
        return cls(last.architecture, means)

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
        network = MLP(self.architecture).to(next(iter(self.tensors.values())))
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
        entering = [inputs]
        for layer in range(self.architecture.depth - 1):
            entering.append(self._activate(layer, self._affine(layer, entering[-1])))
        return entering

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map inputs, (n, d) for all or (E, n, d) one set each, to logits (E, n, outputs)."""
        return self._affine(self.architecture.depth - 1, self.activations(inputs)[-1])

    def first_layer(self, inputs: Tensor) -> Tensor:
        """Return what the first layer writes, before LayerNorm and activation: (E, n, width)."""
        return self._affine(0, inputs)

    def after_first_layer(self, written: Tensor) -> Tensor:
        """Map what the first layer writes to logits: the rest of the networks."""
        for layer in range(1, self.architecture.depth):
            written = self._affine(layer, self._activate(layer - 1, written))
        return written

    def _activate(self, layer: int, written: Tensor) -> Tensor:
        """Return what the next layer reads where layer ``layer`` writes."""
        if self.architecture.layer_norm:
            normed = F.layer_norm(written, written.shape[-1:])
            scale, shift = (self.tensors[f"norms.{layer}.{p}"] for p in ("weight", "bias"))
            written = torch.addcmul(shift[:, None], normed, scale[:, None])
        return ACTIVATIONS[self.architecture.activation](written)

    def _affine(self, layer: int, inputs: Tensor) -> Tensor:
        weight = self.tensors[f"layers.{layer}.weight"]
        bias = self.tensors.get(f"layers.{layer}.bias")
        return _Affine.apply(inputs.expand(len(weight), *inputs.shape[-2:]), weight, bias)


class _Affine(torch.autograd.Function):
    """E affine maps at once.

    Autograd's own gradient of the weight comes out transposed, and copying it into the layout of
    the weight costs as much as a product. Products with a thin side get the order that is fast.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        if bias is None:
            return torch.bmm(inputs, weight.mT)
        return torch.baddbmm(bias[:, None], inputs, weight.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (inputs, weight) = gradients, ctx.saved_tensors
        for_inputs = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            outer = weight.shape[1] == 1
            for_inputs = gradient * weight if outer else torch.bmm(gradient, weight)
        if ctx.needs_input_grad[1]:
            if weight.shape[2] >= weight.shape[1]:
                for_weight = torch.bmm(gradient.mT, inputs)
            else:
                for_weight = torch.bmm(inputs.mT, gradient).mT.contiguous()
        if ctx.needs_input_grad[2]:
            for_bias = gradient.sum(1)
        return for_inputs, for_weight, for_bias
