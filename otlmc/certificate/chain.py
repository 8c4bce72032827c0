"""Read a ReLU network off a module: a chain of affine maps with ReLU between them."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

_RELU = (nn.ReLU, F.relu, torch.relu, torch.relu_, "relu", "relu_")
_PASSED = (nn.Identity, nn.Dropout, nn.Flatten)


@dataclass(frozen=True)
class Affine:
    """One layer, x -> W x + b, in float64."""

    name: str
    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Map inputs of shape (n, fan in)."""
        return torch.addmm(self.bias, inputs, self.weight.T)

    def between(self, other: "Affine", t: float) -> "Affine":
        """Return the layer (1 - t) self + t other; itself or the other at the ends."""
        if t in (0.0, 1.0):
            return other if t else self
        weight = torch.lerp(self.weight, other.weight, t)
        return Affine(self.name, weight, torch.lerp(self.bias, other.bias, t))


def relu_chain(name: str, network: nn.Module) -> list[Affine]:
    """Return the layers of a network that alternates affine maps and ReLU.

    Parameters
    ----------
    name : str
        What the argument is called, for the message.
    network : nn.Module
        Traced, not run. Dropout counts as in evaluation mode.

    Raises
    ------
    TypeError
        If it is no module.
    ValueError
        If it is not such a chain, or a weight is NaN; the message says where.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> [layer.name for layer in relu_chain("a", net)]
    ['0', '2']
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"`{name}` must be an nn.Module, got {type(network).__name__}")
    if _hooked(network):  # tracing sees neither these nor those of its leaves
        raise _refusal(name, "it has forward hooks, which may change its values")
    layers: list[Affine] = []
    activated = True  # whether the value at hand may enter a layer
    for node in _steps(name, network):
        called = _called(network, node)
        if _hooked(called):
            raise _refusal(name, f"{node.target!r} has forward hooks, which may change its values")
        if type(called) is nn.Linear and activated:  # a parametrised one is not linear in its own
            layers.append(_affine(name, str(node.target), called))
            activated = False
        elif _is_relu(called) and not activated:
            activated = True
        elif not isinstance(called, _PASSED):
            raise _refusal(name, f"{node.op} {node.target!r} ({type(called).__name__})")
    if not layers or activated:
        raise _refusal(name, "no affine output layer")
    return layers


def _steps(name: str, network: nn.Module) -> list[fx.Node]:
    """Return the operations between input and output, each on the value of the one before."""
    try:
        first, *nodes, last = fx.Tracer().trace(network).nodes
    except Exception as error:  # fx raises whatever the traced code raises on a proxy
        raise _refusal(name, f"torch.fx cannot trace it: {error}") from error
    before = first
    for node in [*nodes, last]:
        if node.all_input_nodes != [before]:
            raise _refusal(name, f"{node.op} {node.target!r} does not continue a chain")
        before = node
    return nodes


def _hooked(called: object) -> bool:
    return isinstance(called, nn.Module) and bool(
        called._forward_hooks or called._forward_pre_hooks
    )


def _called(network: nn.Module, node: fx.Node) -> object:
    return network.get_submodule(str(node.target)) if node.op == "call_module" else node.target


def _is_relu(called: object) -> bool:
    return isinstance(called, nn.ReLU) or called in _RELU


def _affine(name: str, path: str, layer: nn.Linear) -> Affine:
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise ValueError(f"`{name}`: layer {path!r} holds NaN or infinite entries")
    return Affine(path, weight, bias)


def _refusal(name: str, why: str) -> ValueError:
    return ValueError(
        f"`{name}` must alternate Linear and ReLU (no normalisation, convolution or branch) "
        f"for its path to be certified: {why}"
    )
