"""How networks are trained: the configuration and the optimiser that it stands for."""

import itertools
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from otlmc import _check
from otlmc.networks.initialisation import INITIALISATIONS, Initialisation
from otlmc.networks.schedules import Schedule
from otlmc.networks.stack import Stack

OptimiserName = Literal["sgd", "adamw", "rmsprop", "adagrad"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How networks are trained; the loss is cross-entropy, binary for a single logit.

    Attributes
    ----------
    optimiser : {"sgd", "adamw", "rmsprop", "adagrad"}
        Optimiser of ``torch.optim``, with its defaults where nothing else is said.
    lr : float or tuple of float
        Peak learning rate; a tuple has one per network, so that a sweep trains as one stack.
    momentum : float
        Momentum of SGD.
    weight_decay : float
        Decoupled for AdamW, part of the gradient for the others, as in ``torch.optim``.
    batch_size, epochs : int
        Every epoch visits every example once; its last batch may be smaller.
    schedule : Schedule
        How the learning rate moves.
    initialisation : str
        See :func:`otlmc.networks.draw`.
    order_seed : int, optional
        Seed of one batch order for all networks; by default each has its own, from its seed.
    """

    optimiser: OptimiserName = "sgd"
    lr: float | tuple[float, ...] = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    epochs: int = 10
    schedule: Schedule = field(default_factory=Schedule)
    initialisation: Initialisation = "torch"
    order_seed: int | None = None

    def __post_init__(self) -> None:
        _check.one_of("optimiser", self.optimiser, get_args(OptimiserName))
        for rate in self.lr if isinstance(self.lr, tuple) else (self.lr,):
            _check.number("lr", rate, above=0.0)
        _check.number("momentum", self.momentum, least=0.0, below=1.0)
        _check.number("weight_decay", self.weight_decay, least=0.0)
        _check.positive_int("batch_size", self.batch_size)
        _check.positive_int("epochs", self.epochs)
        _check.one_of("initialisation", self.initialisation, INITIALISATIONS)

    def steps_per_epoch(self, examples: int) -> int:
        """Return the number of batches in ``examples`` examples, the last one included."""
        return -(-examples // self.batch_size)

    def rates(self, networks: int, examples: int) -> NDArray[np.float64]:
        """Return the learning rate of every network (rows) at every step (columns)."""
        peaks = self.lr if isinstance(self.lr, tuple) else (self.lr,) * networks
        if len(peaks) != networks:
            raise ValueError(f"`lr` has {len(peaks)} entries for {networks} networks")
        steps = self.steps_per_epoch(examples)
        rows = {
            peak: self.schedule.rates(peak, epochs=self.epochs, steps_per_epoch=steps)
            for peak in set(peaks)
        }
        return np.stack([rows[peak] for peak in peaks])


class StackOptimiser:
    """An optimiser of ``torch.optim`` on a stack, with a learning rate for every network.

    The updates are elementwise, so a stacked tensor moves as its networks would alone. Networks
    with the same rates form one parameter group, whose parameters are views of the stack.

    Parameters
    ----------
    stack : Stack
        Its tensors must require gradients; they are updated in place.
    config : TrainConfig
        Which optimiser.
    rates : ndarray, shape (E, steps)
        The learning rates.
    """

    def __init__(self, stack: Stack, config: TrainConfig, rates: NDArray[np.float64]) -> None:
        changes = np.flatnonzero((rates[1:] != rates[:-1]).any(axis=1)) + 1
        bounds = itertools.pairwise([0, *changes.tolist(), len(stack)])
        self.tensors = list(stack.tensors.values())
        self.networks = [slice(start, stop) for start, stop in bounds]
        self.rates = rates
        self.momenta = config.schedule.momenta(rates.shape[1])
        views = [{"params": [t.detach()[chosen] for t in self.tensors]} for chosen in self.networks]
        self.torch = _torch_optimiser(views, config, stack.device)

    def step(self, index: int) -> None:
        """Take step ``index`` of the schedule with the gradients at hand, and drop them."""
        for chosen, group in zip(self.networks, self.torch.param_groups, strict=True):
            group["lr"] = float(self.rates[chosen.start, index])
            if self.momenta is not None:
                _set_momentum(group, float(self.momenta[index]))
            for view, tensor in zip(group["params"], self.tensors, strict=True):
                view.grad = None if tensor.grad is None else tensor.grad[chosen]
        self.torch.step()
        for tensor in self.tensors:
            tensor.grad = None


def _torch_optimiser(
    views: list[dict[str, Any]], config: TrainConfig, device: torch.device
) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": 0.0, "weight_decay": config.weight_decay}
    if config.optimiser == "sgd":
        return torch.optim.SGD(views, momentum=config.momentum, fused=True, **common)
    if config.optimiser == "adamw":
        return torch.optim.AdamW(views, fused=True, **common)
    if config.optimiser == "rmsprop":
        return torch.optim.RMSprop(views, foreach=True, **common)
    return torch.optim.Adagrad(views, fused=device.type == "cpu", **common)


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, group["betas"][1])
    elif group.get("momentum", 0.0) > 0:
        group["momentum"] = momentum
