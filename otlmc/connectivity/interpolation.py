"""Networks between networks: theta = sum of w_k theta_k, and their outputs."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from otlmc._modules import check_ties, first_names, run
from otlmc.matching.operations import stock_class
from otlmc.matching.pairwise import check_shapes
from otlmc.matching.spec import state_of

AFFINE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Correction:
    """What recalibration changes: tensors of the state, and y -> scale y + shift after layers."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    rescaled: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Interpolation:
    """The networks whose parameters are affine combinations of those of a few given ones.

    The first layer is linear in its parameters and reads the raw input, so what it computes for
    the given networks is combined instead of computed again for every combination.

    Parameters
    ----------
    networks : sequence of nn.Module
        Networks of one architecture; they are copied to the device of the first and run in
        evaluation mode.

    Raises
    ------
    TypeError
        If one of them is no module.
    ValueError
        If the architectures or their ties differ, or a tensor holds NaN.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        for k, network in enumerate(networks):
            if not isinstance(network, nn.Module):
                raise TypeError(f"network {k} must be an nn.Module, got {type(network).__name__}")
        given = [state_of(network) for network in networks]
        check_shapes({f"network {k}": state for k, state in enumerate(given)})
        check_ties({f"network {k}": network for k, network in enumerate(networks)})
        self.states = [
            {key: tensor.to(given[0][key].device) for key, tensor in state.items()}
            for state in given
        ]
        self.network = copy.deepcopy(networks[0]).eval()
        self._names = first_names(self.network)
        self._first: nn.Module | None = None
        self._copies: list[nn.Module] = []
        self._given: Tensor | None = None
        self._batch: Tensor | None = None

    def load(self, batch: Tensor) -> None:
        """Take a batch of inputs: run the first layer of every network on it."""
        with torch.no_grad():
            if self._batch is None:
                self._split(batch)
            self._batch = batch
            self._ends = [layer(batch) for layer in self._copies]

    def outputs(self, weights: Sequence[float], correction: Correction | None = None) -> Tensor:
        """Return the outputs of the network sum of w_k theta_k on the loaded batch."""
        if self._batch is None:
            raise RuntimeError("call load(batch) first")
        correction = correction or Correction()
        mixed = self.mix(weights) | correction.tensors
        with torch.no_grad(), self._rescaled(correction.rescaled):
            if self._first is not None:
                self._given = _combine(self._ends, weights)
            tied = {key: mixed[name] for key, name in self._names.items()}
            return run(self.network, tied, self._batch)

    def mix(self, weights: Sequence[float]) -> dict[str, Tensor]:
        """Return the combined tensors, each under the first of its names."""
        first = dict.fromkeys(self._names.values())
        return {key: _combine([s[key] for s in self.states], weights) for key in first}

    def affine_layers(self) -> dict[str, nn.Module]:
        """Return the linear and convolutional layers, in the order of registration."""
        return {
            name: module
            for name, module in self.network.named_modules()
            if isinstance(module, AFFINE)
        }

    def is_first(self, module: nn.Module) -> bool:
        """Whether a module is the first layer, whose outputs are combined."""
        return module is self._first

    @contextmanager
    def _rescaled(self, rescaled: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
        handles = [
            self.network.get_submodule(name).register_forward_hook(_rescaler(*change))
            for name, change in rescaled.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _split(self, batch: Tensor) -> None:
        """Take the first layer apart, if it is plain, reads the raw input and is used once."""
        calls: list[tuple[str, Tensor]] = []
        handles = []
        plain = {m for m in self.network.modules() if stock_class(m) in AFFINE}
        for name, module in self.network.named_modules():
            if isinstance(module, AFFINE) and name:

                def record(_: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
                    calls.append((name, args[0]))

                handles.append(module.register_forward_pre_hook(record))
        self.network(batch[:1])
        for handle in handles:
            handle.remove()
        names = [name for name, _ in calls]
        if not names or names.count(names[0]) > 1:
            return
        if calls[0][1].shape != batch[:1].shape or not torch.equal(calls[0][1], batch[:1]):
            return
        name = names[0]
        first = self.network.get_submodule(name)
        if first not in plain:
            return
        for state in self.states:
            layer = copy.deepcopy(first)
            own = {k: state[f"{name}.{k}"] for k in layer.state_dict()}
            layer.load_state_dict(own)
            self._copies.append(layer)
        # It stays where it is: others may use its weights too.
        first.forward = lambda _: self._given
        self._first = first


def channels_last(module: nn.Module, values: Tensor) -> Tensor:
    """Return what a layer reads or puts out with its channels on the last axis."""
    return values if isinstance(module, nn.Linear) else values.movedim(1, -1)


def _rescaler(scale: Tensor, shift: Tensor):  # a hook as torch wants it
    def hook(module: nn.Module, args: object, output: Tensor) -> Tensor:
        rescaled = channels_last(module, output) * scale + shift
        return rescaled if isinstance(module, nn.Linear) else rescaled.movedim(-1, 1)

    return hook


def _combine(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the sum of w_k x_k; counters are taken from the first network."""
    if not tensors[0].is_floating_point():
        return tensors[0].clone()
    total = tensors[0] * weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total = total.add(tensor, alpha=weight)
    return total
