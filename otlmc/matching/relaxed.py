"""Descent on the loss of the midpoint, over relaxed permutations."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from otlmc import _check
from otlmc.matching.assignment import assign
from otlmc.matching.methods import Activation, Task
from otlmc.matching.moments import batches
from otlmc.matching.permutation import Axis, Indices, Permutation
from otlmc.matching.record import Placed, Search

_SINKHORN_ROUNDS = 20
_START_MASS = 0.9


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """Adam on the loss of (θ_A + P θ_B) / 2, with P relaxed.

    The variable is a score matrix X for every group; it starts at the permutation of
    ``activation_centred``. Sinkhorn's iteration makes it doubly stochastic, S(X / τ), with τ such
    that the start keeps 0.9 of its mass. The best **hard** permutation that was met is returned,
    the start included, so the result is never worse than the start on the given data.

    Parameters
    ----------
    kind : {"sinkhorn", "straight_through"}
        Whether the loss sees the soft matrix S(X / τ), or the hard permutation nearest to X with
        the gradient of the soft one.
    steps : int
        Gradient steps, each on one random batch of ``batch_size`` samples.
    rate : float
        Step size of Adam.
    every : int
        How often the hard permutation is evaluated on all the data.

    References
    ----------
    Peña et al. (2023), Sinkhorn re-basin; Ainsworth, Hayase and Srinivasa (2023), Section 3.3.
    """

    kind: Literal["sinkhorn", "straight_through"] = "sinkhorn"
    steps: int = 100
    rate: float = 0.02
    every: int = 10
    needs = ("inputs", "labels")

    def __post_init__(self) -> None:
        _check.one_of("kind", self.kind, ("sinkhorn", "straight_through"))
        _check.positive_int("steps", self.steps)
        _check.positive_int("every", self.every)
        _check.number("rate", self.rate, above=0)

    @property
    def name(self) -> str:
        """The name in the table of ``match``."""
        return self.kind

    def search(self, task: Task) -> Search:
        """Return the best hard permutation on the way; the objective is minus its loss."""
        ((a, b),) = task.modules() if len(task.pairs) == 1 else ((None, None),)
        if a is None or b is None:
            raise ValueError(f"{self.kind!r} matches one pair, got {len(task.pairs)}")
        midpoint = _Midpoint(a, b, task)
        spec = task.spec
        best = dict(Activation("centred").search(task).placed)
        latent = {g: _one_hot(best[g], midpoint.like).requires_grad_() for g in spec.sizes}
        optimiser = torch.optim.Adam(latent.values(), lr=self.rate)
        trace = [-midpoint.loss_of(best)]
        for step in range(1, self.steps + 1):
            soft = {g: _sinkhorn(x) for g, x in latent.items()}
            if self.kind == "straight_through":
                hard = {g: _one_hot(i, midpoint.like) for g, i in _nearest(latent, task).items()}
                soft = {g: hard[g] + soft[g] - soft[g].detach() for g in soft}
            rows = task.rng.permutation(midpoint.samples)[: task.batch_size]
            optimiser.zero_grad()
            midpoint.loss(soft, torch.from_numpy(rows)).backward()
            optimiser.step()
            if step % self.every == 0 or step == self.steps:
                placed = _nearest(latent, task)
                value = -midpoint.loss_of(placed)
                if value > trace[-1]:
                    best = placed
                trace.append(max(value, trace[-1]))
        nothing = dict.fromkeys(spec.sizes, math.nan)
        return Search(
            placed=best,
            objective=nothing,
            gain=nothing,
            trace=tuple(trace),
            stop="steps",
            start="activation_centred",
        )


class _Midpoint:
    """The loss of (θ_A + P θ_B) / 2 as a differentiable function of P."""

    def __init__(self, a: nn.Module, b: nn.Module, task: Task) -> None:
        assert task.inputs is not None and task.labels is not None
        self.network = copy.deepcopy(a).eval().requires_grad_(False)
        self.a, self.b = self.network.state_dict(), b.state_dict()
        self.axes: Mapping[str, tuple[Axis, ...]] = task.spec.axes
        # Running statistics move with their units, but no gradient passes through them.
        self.learned = {key for key, _ in self.network.named_parameters()}
        self.like = next(self.network.parameters())
        self.x = torch.cat(list(batches(a, task.inputs, task.batch_size)))
        self.y = task.labels.to(self.like.device)
        self.samples, self.batch_size, self.spec = len(self.x), task.batch_size, task.spec
        if self.y.shape != (self.samples,):
            raise ValueError(
                f"`labels` must be ({self.samples},) like the inputs, got {tuple(self.y.shape)}"
            )

    def loss(self, soft: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Return the mean loss on some samples."""
        state = {}
        for key, a in self.a.items():
            b = self.b[key].to(a.device)
            for axis in self.axes.get(key, ()):
                mixing = soft[axis.group]
                b = _mix(mixing if key in self.learned else mixing.detach(), b, axis)
            state[key] = (a + b) / 2 if a.is_floating_point() else a
        logits = functional_call(self.network, state, (self.x[rows],))
        if logits.ndim == 1 or logits.shape[1] == 1:
            y = self.y[rows].to(logits.dtype)
            return F.binary_cross_entropy_with_logits(logits.flatten(), y)
        return F.cross_entropy(logits, self.y[rows])

    def loss_of(self, placed: Placed) -> float:
        """Return the mean loss on all samples at a hard permutation."""
        moved = Permutation(self.spec, placed).apply(self.b)
        kept = self.b
        self.b = moved
        identity: dict[str, Tensor] = {}
        axes, self.axes = self.axes, {}
        with torch.no_grad():
            total = sum(
                float(self.loss(identity, rows)) * len(rows)
                for rows in torch.arange(self.samples).split(self.batch_size)
            )
        self.b, self.axes = kept, axes
        return total / self.samples


def _mix(soft: Tensor, tensor: Tensor, axis: Axis) -> Tensor:
    """Return the tensor with the units on one axis replaced by mixtures, ``soft`` times units."""
    units = tensor.movedim(axis.dim, 0)
    mixed = soft @ units.reshape(len(soft), -1)
    return mixed.reshape(units.shape).movedim(0, axis.dim)


def _sinkhorn(latent: Tensor) -> Tensor:
    """Return the doubly stochastic matrix of Sinkhorn's iteration, in the log domain."""
    units = len(latent)
    if units == 1:
        return torch.ones_like(latent)
    temperature = 1 / math.log(_START_MASS / (1 - _START_MASS) * (units - 1))
    log = latent / max(temperature, 1e-3)
    for _ in range(_SINKHORN_ROUNDS):
        log = log - log.logsumexp(1, keepdim=True)
        log = log - log.logsumexp(0, keepdim=True)
    return log.exp()


def _one_hot(index: Indices, like: Tensor) -> Tensor:
    matrix = torch.zeros(len(index), len(index), dtype=like.dtype, device=like.device)
    matrix[np.arange(len(index)), index] = 1
    return matrix


def _nearest(latent: Mapping[str, Tensor], task: Task) -> dict[str, Indices]:
    """Return the permutations with the largest sum of scores."""
    blocks = task.spec.blocks
    return {g: assign(x.detach().cpu().numpy(), blocks=blocks.get(g, 1)) for g, x in latent.items()}
