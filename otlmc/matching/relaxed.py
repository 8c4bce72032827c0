"""Descent on the loss of the midpoint, over relaxed permutations."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otlmc import _check
from otlmc._modules import first_names, run
from otlmc.matching.assignment import assign
from otlmc.matching.bilinear import Bilinear
from otlmc.matching.methods import Activation, Task
from otlmc.matching.moments import batches
from otlmc.matching.permutation import Permutation
from otlmc.matching.record import Placed, Search
from otlmc.matching.spec import Axis, PermutationSpec

_SINKHORN_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """Adam on the loss of (θ_A + P θ_B) / 2, with P relaxed.

    ``"sinkhorn"``: the variable is a matrix X for every group, and the loss sees the doubly
    stochastic S(X / τ) of Sinkhorn's iteration; X starts at a permutation, which keeps half of its
    mass through the choice of τ. ``"straight_through"``: the variable is a network θ, and the loss
    sees the permutation of B nearest to θ (by the ascent of ``weight``) with the gradient passed on
    to θ.

    Both start at ``activation_centred`` and return the best **hard** permutation that they met, the
    start included: never worse than the start on the given data.

    Parameters
    ----------
    kind : {"sinkhorn", "straight_through"}
        The relaxation.
    steps : int
        Gradient steps, each on one random batch of ``batch_size`` samples.
    rate : float
        Step size of Adam.
    every : int
        How often the hard permutation is evaluated on all the data.

    References
    ----------
    Peña et al. (2023), Sinkhorn re-basin; Ainsworth, Hayase and Srinivasa (2023), Section 3.3, for
    the straight-through estimator.
    """

    kind: Literal["sinkhorn", "straight_through"] = "sinkhorn"
    steps: int = 200
    rate: float = 0.01
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
        if len(task.pairs) != 1:
            raise ValueError(f"{self.kind!r} matches one pair, got {len(task.pairs)}")
        ((a, b),) = task.modules()
        midpoint = _Midpoint(a, b, task)
        best = Activation("centred").search(task).placed
        relaxation = (_Soft if self.kind == "sinkhorn" else _Straight)(midpoint, best, task.spec)
        optimiser = torch.optim.Adam(relaxation.latent.values(), lr=self.rate)
        trace = [-midpoint.mean_loss(best)]
        for step in range(1, self.steps + 1):
            rows = torch.from_numpy(task.rng.permutation(midpoint.samples)[: task.batch_size])
            optimiser.zero_grad()
            relaxation.backward(rows)
            optimiser.step()
            if step % self.every == 0 or step == self.steps:
                placed = relaxation.nearest()
                value = -midpoint.mean_loss(placed)
                if value > trace[-1]:
                    best = placed
                trace.append(max(value, trace[-1]))
        undefined = dict.fromkeys(task.spec.sizes, math.nan)  # the loss has no parts by group
        return Search(
            placed=best,
            objective=undefined,
            gain=undefined,
            trace=tuple(trace),
            stop="steps",
            start="activation_centred",
        )


class _Midpoint:
    """The loss of (θ_A + θ_B') / 2 on the data of a task, for any moved θ_B'."""

    def __init__(self, a: nn.Module, b: nn.Module, task: Task) -> None:
        assert task.inputs is not None and task.labels is not None
        self.network = copy.deepcopy(a).eval().requires_grad_(False)
        self.like = next(self.network.parameters())
        self.a = self.network.state_dict()
        self.names = first_names(self.network)
        self.b = {key: x.to(self.like.device) for key, x in b.state_dict().items()}
        self.learned = {key for key, _ in self.network.named_parameters()}
        self.x = torch.cat(list(batches(a, task.inputs, task.batch_size)))
        self.y = task.labels.to(self.like.device)
        self.samples, self.batch_size, self.spec = len(self.x), task.batch_size, task.spec
        if self.y.shape != (self.samples,):
            raise ValueError(
                f"`labels` must be ({self.samples},) like the inputs, got {tuple(self.y.shape)}"
            )

    def loss(self, moved: Mapping[str, Tensor], rows: Tensor) -> Tensor:
        """Return the mean loss on some samples."""
        state = {k: (a + moved[k]) / 2 if a.is_floating_point() else a for k, a in self.a.items()}
        tied = {key: state[name] for key, name in self.names.items()}
        logits = run(self.network, tied, self.x[rows])
        if logits.ndim == 1 or logits.shape[1] == 1:
            y = self.y[rows].to(logits.dtype)
            return F.binary_cross_entropy_with_logits(logits.flatten(), y)
        return F.cross_entropy(logits, self.y[rows])

    def mean_loss(self, placed: Placed) -> float:
        """Return the mean loss on all samples at a hard permutation."""
        moved = Permutation(self.spec, placed).apply(self.b)
        total = 0.0
        with torch.no_grad():
            for rows in torch.arange(self.samples).split(self.batch_size):
                total += float(self.loss(moved, rows)) * len(rows)
        return total / self.samples


class _Soft:
    """Doubly stochastic matrices in place of permutations."""

    def __init__(self, midpoint: _Midpoint, start: Placed, spec: PermutationSpec) -> None:
        self.midpoint, self.spec = midpoint, spec
        like = midpoint.like
        self.latent = {
            group: torch.eye(n, dtype=like.dtype, device=like.device)[start[group]].requires_grad_()
            for group, n in spec.sizes.items()
        }

    def backward(self, rows: Tensor) -> None:
        """Set the gradient of the latent matrices."""
        soft = {group: _sinkhorn(x) for group, x in self.latent.items()}
        moved = {}
        for key, tensor in self.midpoint.b.items():
            for axis in self.spec.axes.get(key, ()):
                mixing = soft[axis.group]
                # Running statistics move with their units, but no gradient passes through them.
                mixing = mixing if key in self.midpoint.learned else mixing.detach()
                tensor = _mix(mixing, tensor, axis)
            moved[key] = tensor
        self.midpoint.loss(moved, rows).backward()

    def nearest(self) -> Placed:
        """Return the permutations with the largest sums of the latent matrices."""
        return {
            group: assign(x.detach().cpu().numpy(), blocks=self.spec.blocks.get(group, 1))
            for group, x in self.latent.items()
        }


class _Straight:
    """A free network in place of the permuted one; only its permutation is used."""

    def __init__(self, midpoint: _Midpoint, start: Placed, spec: PermutationSpec) -> None:
        self.midpoint, self.spec, self.placed = midpoint, spec, start
        moved = Permutation(spec, start).apply(midpoint.b)
        self.latent = {key: moved[key].requires_grad_() for key in midpoint.learned}

    def backward(self, rows: Tensor) -> None:
        """Set the gradient at the permuted network as the gradient of the free one."""
        moved = Permutation(self.spec, self.nearest()).apply(self.midpoint.b)
        seen = {key: moved[key].requires_grad_() for key in self.latent}
        self.midpoint.loss(moved | seen, rows).backward()
        for key, tensor in self.latent.items():
            tensor.grad = seen[key].grad

    def nearest(self) -> Placed:
        """Return the permutation of B with the largest inner product with the free network."""
        problem = Bilinear.of(self.spec, [(self.latent, self.midpoint.b)])
        self.placed = problem.ascend(self.placed).placed
        return self.placed


def _mix(soft: Tensor, tensor: Tensor, axis: Axis) -> Tensor:
    """Return the tensor with the units on one axis replaced by mixtures, ``soft`` times units."""
    units = tensor.movedim(axis.dim, 0)
    mixed = soft @ units.reshape(len(soft), -1)
    return mixed.reshape(units.shape).movedim(0, axis.dim)


def _sinkhorn(latent: Tensor) -> Tensor:
    """Return the doubly stochastic matrix of Sinkhorn's iteration, in the log domain."""
    # A one-hot row keeps exp(1 / τ) / (exp(1 / τ) + n - 1) = 1 / 2 of its mass on its place.
    log = latent * math.log(max(2, len(latent) - 1))
    for _ in range(_SINKHORN_ROUNDS):
        log = log - log.logsumexp(1, keepdim=True)
        log = log - log.logsumexp(0, keepdim=True)
    return log.exp()
