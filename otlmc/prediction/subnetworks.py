"""Sub-networks: some units of every hidden layer, with what the layers read kept at its size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc.certificate.chain import relu_chain
from otlmc.matching.assignment import assign
from otlmc.networks import MLP, Architecture
from otlmc.networks.stack import Stack

Array = NDArray[np.float64]

_ENOUGH = 512
"""Samples on which the sizes of what layers read are compared: their mean squares, no more."""


class Measured(NamedTuple):
    """What was measured of E pairs of networks with L hidden layers."""

    costs: Array
    """Cost of the best matching of a layer over that of a random matching, shape (E, L)."""
    deviation: Array
    """Root mean square distance of the outputs of the midpoint to the mean outputs, (E,)."""


def stacked(name: str, network: nn.Module) -> Stack:
    """Return a network as a stack of one in float64: an MLP, or any chain of Linear and ReLU.

    Raises
    ------
    TypeError, ValueError
        If it is no module, or neither of the two; the message says where.
    """
    if isinstance(network, MLP):
        states = {key: tensor.double()[None] for key, tensor in network.state_dict().items()}
        return Stack(network.architecture, states)
    layers = relu_chain(name, network)
    widths = (layers[0].weight.shape[1], *(len(layer.weight) for layer in layers))
    tensors = {}
    for index, layer in enumerate(layers):
        tensors[f"layers.{index}.weight"] = layer.weight[None]
        tensors[f"layers.{index}.bias"] = layer.bias[None]
    return Stack(Architecture(widths=widths), tensors)


def select(networks: Stack, units: Sequence[Tensor]) -> Stack:
    """Return the networks made of the given units, in the given order.

    Parameters
    ----------
    networks : Stack
        E networks, or one for all.
    units : sequence of Tensor of int64, shape (E, n)
        For every hidden layer the numbers of its units: some of them, or a permutation of all.
    """
    widths = networks.architecture.widths
    inner = (chosen.shape[1] for chosen in units)
    count = max(len(networks), *(len(chosen) for chosen in units))
    tensors = {}
    for name, tensor in networks.tensors.items():
        kind, number, attribute = name.split(".")
        layer, matrix = int(number), (kind, attribute) == ("layers", "weight")
        if layer < len(units):
            rows = units[layer][:, :, None] if matrix else units[layer]
            tensor = torch.take_along_dim(tensor, rows, dim=1)
        if matrix and layer:
            tensor = torch.take_along_dim(tensor, units[layer - 1][:, None], dim=2)
        tensors[name] = tensor.expand(count, *tensor.shape[1:])
    architecture = replace(networks.architecture, widths=(widths[0], *inner, widths[-1]))
    return Stack(architecture, tensors)


@dataclass(frozen=True, eq=False)
class Source:
    """A network, and orders in which its units join its sub-networks.

    Attributes
    ----------
    network : Stack
        One network.
    inputs : Tensor, shape (samples, d)
        On them a sub-network keeps the size of what its layers read; at most about 1000 samples.
    orders : list of Tensor of int64, shape (repetitions, units)
        For every hidden layer.
    sizes : list of Tensor, shape (units,)
        For every layer the mean square of what its units read, without bias.
    """

    network: Stack
    inputs: Tensor
    orders: list[Tensor]
    sizes: list[Tensor]

    @classmethod
    def of(
        cls, network: Stack, inputs: Tensor, repetitions: int, rng: np.random.Generator
    ) -> "Source":
        """Draw the orders."""
        orders, sizes = [], []
        inputs = inputs[:: max(1, len(inputs) // _ENOUGH)]
        for layer, entering in enumerate(network.activations(inputs)):
            weight = network.tensors[f"layers.{layer}.weight"][0]
            sizes.append((entering.reshape(len(inputs), -1) @ weight.T).square().mean(0))
        for width in network.architecture.widths[1:-1]:
            order = rng.permuted(np.tile(np.arange(width), (repetitions, 1)), axis=1)
            orders.append(torch.from_numpy(order).to(network.device))
        return cls(network, inputs, orders, sizes)

    def subnetworks(self, width: int) -> Stack:
        """Return for every repetition the network of the first ``width`` units of each layer.

        With fewer units to read, a layer would read less: its weights are multiplied by one factor,
        so that the root mean square of what its units read, over units and inputs, stays what it
        was for the same units in the whole network. The factor lies between (m/n)^(1/2), where the
        units below act like noise, and m/n, where they agree.
        """
        units = [order[:, :width] for order in self.orders]
        small = select(self.network, units)
        for layer in range(1, small.architecture.depth):
            weight = small.tensors[f"layers.{layer}.weight"]
            read = small.activations(self.inputs)[layer] @ weight.mT
            now = read.square().mean((1, 2))
            wanted = self.sizes[layer].expand(len(now), -1)
            if layer < len(units):
                wanted = wanted.gather(1, units[layer])
            factor = (wanted.mean(1) / now).sqrt().nan_to_num(1.0, 1.0, 1.0)
            weight.mul_(factor[:, None, None])
        return small


def measure(a: Stack, b: Stack, match_on: Tensor, inputs: Tensor) -> Measured:
    """Match the units of pairs of networks by their centred activations; measure the midpoints.

    Raises
    ------
    ValueError
        If all units of a layer are constant, or one is NaN or infinite.
    """
    places, costs = [], []
    pairs = zip(a.activations(match_on)[1:], b.activations(match_on)[1:], strict=True)
    for layer, (x, y) in enumerate(pairs, start=1):
        x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
        products = x.mT @ y
        if not torch.isfinite(products).all():
            raise ValueError(f"`a` or `b` has NaN or infinite activations in hidden layer {layer}")
        place = torch.from_numpy(assign(products.cpu().numpy())).to(x.device)
        squares = x.square().sum((1, 2)) + y.square().sum((1, 2))
        matched = torch.take_along_dim(products, place[:, :, None], dim=2).sum((1, 2))
        at_random = squares - 2 * products.mean((1, 2)) * place.shape[1]
        if not (at_random > 0).all():
            raise ValueError(f"the units of hidden layer {layer} are constant on the inputs")
        costs.append(((squares - 2 * matched) / at_random).clamp_min(0.0))
        places.append(place)
    aligned = select(b, places)
    middle = {name: torch.lerp(a.tensors[name], aligned.tensors[name], 0.5) for name in a.tensors}
    distance = Stack(a.architecture, middle)(inputs) - (a(inputs) + b(inputs)) / 2
    deviation = distance.square().sum(2).mean(1).sqrt()
    return Measured(torch.stack(costs, dim=1).cpu().numpy(), deviation.cpu().numpy())
