"""Several networks at once: one permutation each, in the frame of a reference or of all."""

import time
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from otlmc import _check
from otlmc.matching.assignment import assign
from otlmc.matching.bilinear import Bilinear, worth
from otlmc.matching.methods import Activation, Covariance, Method, Network, Task, Weight
from otlmc.matching.moments import Inputs, cross_moments
from otlmc.matching.pairwise import check_states, match, method_of, spec_of
from otlmc.matching.permutation import Indices, Permutation, Rng
from otlmc.matching.record import JointMatching, Placed
from otlmc.matching.spec import PermutationSpec, State, state_of

_MOST_ROUNDS = 50
_RELATIVE_STOP = 1e-12


def match_all(
    networks: Sequence[Network],
    inputs: Inputs | None = None,
    *,
    reference: int | Literal["universe"] = 0,
    method: str | Method = "weight",
    spec: PermutationSpec | None = None,
    labels: object = None,
    batch_size: int = 4096,
    rng: Rng = None,
) -> JointMatching:
    """Give every network one permutation, so that all share a frame.

    With a reference every network is matched to it, ``reference=k``. With ``"universe"`` the sum
    of the objective over **all** pairs is raised: in turns each network is matched to all the
    others as they stand, from the result with reference 0, until none moves. The permutations
    between pairs (:meth:`JointMatching.between`) are cycle-consistent in both cases.

    Parameters
    ----------
    networks : sequence of nn.Module or state dict
        At least two networks of one architecture.
    reference : int or "universe"
        The frame.
    inputs, method, spec, labels, batch_size, rng
        As for :func:`match`; the universe knows the methods ``weight``, ``covariance`` (its
        objective is then the sum over layers, outgoing weights included) and ``activation*``.

    Raises
    ------
    ValueError
        As for :func:`match`; if there are fewer than two networks, the reference is no network,
        or the method has no sum over pairs.

    References
    ----------
    Crisostomi et al. (2024), C²M³, for the universe; Ainsworth, Hayase and Srinivasa (2023),
    Algorithm 3, for matching in turns.

    Examples
    --------
    >>> from torch import nn
    >>> from otlmc.matching import infer_spec
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> copies = [Permutation.random(infer_spec(net), rng=k).apply(net) for k in range(3)]
    >>> joint = match_all(copies, reference="universe")
    >>> joint.between(0, 1).compose(joint.between(1, 2)) == joint.between(0, 2)
    True
    """
    start = time.perf_counter()
    if len(networks) < 2:
        raise ValueError(f"`networks` must hold at least 2, got {len(networks)}")
    chosen = method_of(method, inputs, labels)
    spec = spec_of(networks[0], spec)
    check_states(spec, {f"networks[{k}]": state_of(net) for k, net in enumerate(networks)})
    generator = np.random.default_rng(rng)
    centre = 0 if reference == "universe" else reference
    if not isinstance(centre, int) or not 0 <= centre < len(networks):
        raise ValueError(
            f"`reference` must be 'universe' or one of 0..{len(networks) - 1}, got {reference!r}"
        )
    found = [
        Permutation.identity(spec)
        if k == centre
        else match(
            networks[centre],
            net,
            inputs,
            method=chosen,
            spec=spec,
            labels=labels,
            batch_size=batch_size,
            rng=generator,
        ).permutation
        for k, net in enumerate(networks)
    ]
    trace: tuple[float, ...] = ()
    converged = True
    if reference == "universe":
        task = Task(
            spec=spec,
            pairs=tuple((net, net) for net in networks),
            inputs=inputs,
            labels=None,
            batch_size=_check.positive_int("batch_size", batch_size),
            rng=generator,
        )
        if isinstance(chosen, Weight | Covariance):
            frame: _Frame = _WeightFrame(chosen, networks, task)
        elif isinstance(chosen, Activation):
            frame = _ActivationFrame(chosen, networks, task)
        else:
            raise ValueError(f"method {chosen.name!r} has no sum over pairs to raise")
        found, trace, converged = _turns(frame, found)
    return JointMatching(
        permutations=tuple(found),
        method=chosen.name,
        reference=reference,
        trace=trace,
        converged=converged,
        seconds=time.perf_counter() - start,
    )


class _Frame(Protocol):
    """The sum over pairs, as a function of the permutation of one network."""

    spec: PermutationSpec

    def improve(self, k: int, found: list[Permutation]) -> tuple[Placed, float, float]:
        """Return a better permutation of network k, with its value before and after."""
        ...


class _WeightFrame:
    """Σ over ordered pairs of <P_j A_j, P_k B_k>; it is bilinear, so the others can be summed."""

    def __init__(
        self, method: Weight | Covariance, networks: Sequence[Network], task: Task
    ) -> None:
        self.spec = task.spec
        self.sides = [method.sides(network, task, "both") for network in networks]

    def improve(self, k: int, found: list[Permutation]) -> tuple[Placed, float, float]:
        pairs = []
        for number, own in enumerate(self.sides[k]):
            for side in (0, 1):
                others = [
                    {key: p.gather(key, x) for key, x in self.sides[j][number][side].items()}
                    for j, p in enumerate(found)
                    if j != k
                ]
                pairs.append((_sum(others), own[1 - side]))
        ascent = Bilinear.of(self.spec, pairs).ascend(found[k])
        return ascent.placed, ascent.trace[0], ascent.trace[-1]


class _ActivationFrame:
    """Σ over ordered pairs of the scores of activations; groups do not depend on each other."""

    def __init__(self, method: Activation, networks: Sequence[Network], task: Task) -> None:
        self.spec = task.spec
        self.scores: dict[tuple[int, int], dict[str, np.ndarray]] = {}
        modules = [a for a, _ in task.modules()]
        assert task.inputs is not None
        for j in range(len(networks)):
            for k in range(j + 1, len(networks)):
                moments = cross_moments(
                    modules[j], modules[k], task.spec, task.inputs, batch_size=task.batch_size
                )
                self.scores[j, k] = {g: method.matrix(m) for g, m in moments.items()}
                self.scores[k, j] = {g: s.T for g, s in self.scores[j, k].items()}

    def improve(self, k: int, found: list[Permutation]) -> tuple[Placed, float, float]:
        placed: dict[str, Indices] = {}
        before = after = 0.0
        for group in self.spec.sizes:
            total = sum(
                2 * self.scores[j, k][group][found[j][group]] for j in range(len(found)) if j != k
            )
            matrix = np.asarray(total)
            placed[group] = assign(matrix, blocks=self.spec.blocks.get(group, 1))
            before += worth(matrix, found[k][group])
            after += worth(matrix, placed[group])
        return placed, before, after


def _turns(
    frame: _Frame, found: list[Permutation]
) -> tuple[list[Permutation], tuple[float, ...], bool]:
    """Improve one network after the other until a whole round moves none."""
    found = list(found)
    gains: list[float] = []
    values: list[float] = []
    for _ in range(_MOST_ROUNDS):
        gained, values = 0.0, []
        for k in range(len(found)):
            placed, before, after = frame.improve(k, found)
            values.append(before)
            if after - before > _RELATIVE_STOP * abs(before):
                found[k] = Permutation(frame.spec, placed)
                gained += after - before
                values[-1] = after
        gains.append(gained)
        if gained == 0:
            break
    total = sum(values) / 2  # exact after a round without moves: every pair is seen from both ends
    trace = tuple(total - sum(gains[i:]) for i in range(len(gains) + 1))
    gauge = found[0].inverse()
    return [gauge.compose(p) for p in found], trace, gains[-1] == 0


def _sum(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the sum of states, in float64."""
    return {key: torch.stack([state[key].double() for state in states]).sum(0) for key in states[0]}
