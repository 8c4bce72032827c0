"""Networks between networks: theta = sum of w_k theta_k, and their outputs."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from otlmc.matching.permutation import state_of


class Interpolation:
    """The networks whose parameters are affine combinations of those of a few given ones.

    The first layer is linear in its parameters and reads the raw input, so what it computes for
    the given networks is combined instead of computed again for every combination.

    Parameters
    ----------
    networks : sequence of nn.Module
        Networks of one architecture; they are copied and run in evaluation mode.

    Raises
    ------
    TypeError
        If one of them is no module.
    ValueError
        If the architectures differ or a tensor holds NaN.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.states = [_state(k, net) for k, net in enumerate(networks)]
        for k, state in enumerate(self.states[1:], start=1):
            for key in self.states[0] | state:
                shapes = [tuple(s[key].shape) if key in s else "missing" for s in self.states]
                if shapes[0] != shapes[k]:
                    raise ValueError(
                        f"the architectures differ: tensor {key!r} is {shapes[0]} in network 0 "
                        f"and {shapes[k]} in network {k}"
                    )
        self.network = copy.deepcopy(networks[0]).eval()
        self._first: list[nn.Module] = []
        self._given = _Given()
        self._batch: Tensor | None = None
        self._searched = False

    def load(self, batch: Tensor) -> None:
        """Take a batch of inputs: run the first layer of every network on it."""
        with torch.no_grad():
            if not self._searched:
                self._split(batch)
                self._searched = True
            self._batch = batch
            self._ends = [layer(batch) for layer in self._first]

    def outputs(self, weights: Sequence[float]) -> Tensor:
        """Return the outputs of the network sum of w_k theta_k on the loaded batch."""
        if self._batch is None:
            raise RuntimeError("call load(batch) first")
        mixed = {
            key: _combine([state[key] for state in self.states], weights)
            for key in self.network.state_dict()
        }
        with torch.no_grad():
            if self._first:
                self._given.value = _combine(self._ends, weights)
            return functional_call(self.network, mixed, (self._batch,))

    def _split(self, batch: Tensor) -> None:
        """Replace the first layer, if it is the only reader of the raw input and is used once."""
        calls: list[tuple[str, Tensor]] = []
        handles = []
        for name, module in self.network.named_modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and name:

                def record(_: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
                    calls.append((name, args[0]))

                handles.append(module.register_forward_pre_hook(record))
        self.network(batch[:1])
        for handle in handles:
            handle.remove()
        names = [name for name, _ in calls]
        if not names or names.count(names[0]) > 1 or not torch.equal(calls[0][1], batch[:1]):
            return
        name = names[0]
        for state in self.states:
            layer = copy.deepcopy(self.network.get_submodule(name))
            prefix = f"{name}."
            layer.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
            self._first.append(layer)
        parent, _, child = name.rpartition(".")
        setattr(self.network.get_submodule(parent), child, self._given)


class _Given(nn.Module):
    """Stands for a layer whose output is known."""

    value: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.value


def _combine(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the sum of w_k x_k; counters are taken from the first network."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total = total.add(tensor, alpha=weight)
    return total


def _state(k: int, network: nn.Module) -> dict[str, Tensor]:
    if not isinstance(network, nn.Module):
        raise TypeError(f"network {k} must be an nn.Module, got {type(network).__name__}")
    state = state_of(network)
    for key, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"network {k}: tensor {key!r} holds NaN or infinite entries")
    return state
