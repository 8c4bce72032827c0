"""The methods: how each scores, and how it searches."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.matching.assignment import assign
from otlmc.matching.bilinear import Bilinear, worth
from otlmc.matching.moments import CrossMoments, InputMoments, Inputs, cross_moments, input_moments
from otlmc.matching.permutation import Indices, Permutation
from otlmc.matching.record import Placed, Search
from otlmc.matching.spec import Layer, PermutationSpec, State, state_of

Network = nn.Module | State
Score = Callable[[str, Placed], NDArray[np.float64]]
Role = Literal["a", "b", "both"]
Start = Literal["forward", "activation", "identity", "random"]
_MOST_PERMUTATIONS = math.factorial(8)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be matched: every pair with the same permutation, and the data."""

    spec: PermutationSpec
    pairs: tuple[tuple[Network, Network], ...]
    inputs: Inputs | None
    labels: Tensor | None
    batch_size: int
    rng: np.random.Generator

    def modules(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Yield the pairs as modules, for methods that run them."""
        for a, b in self.pairs:
            if not isinstance(a, nn.Module) or not isinstance(b, nn.Module):
                raise TypeError("the method runs the networks: they must be modules, not states")
            yield a, b


class Method(Protocol):
    """A way to match: its name, the arguments of ``match`` it needs, and its search."""

    @property
    def name(self) -> str:
        """The name in the table of ``match``."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """The arguments of ``match`` that must be given."""
        ...

    def search(self, task: Task) -> Search:
        """Return the best permutation that the method finds."""
        ...


@dataclass(frozen=True)
class Identity:
    """Leave every unit where it is: the row that every comparison starts from."""

    name = "none"
    needs = ()

    def search(self, task: Task) -> Search:
        """Return the identity."""
        nothing = dict.fromkeys(task.spec.sizes, 0.0)
        placed = dict(Permutation.identity(task.spec))
        return Search(placed=placed, objective=nothing, gain=nothing, trace=(0.0,), stop="one pass")


@dataclass(frozen=True)
class WeightIncoming:
    """Layer by layer the assignment on W_A W_Bᵀ: no bias, no outgoing weights.

    References
    ----------
    Ferbach, Goujaud, Gidel and Dieuleveut (2024), "naive weight matching".
    """

    name = "weight_incoming"
    needs = ()

    def sides(self, network: Network, task: Task, role: Role) -> list[tuple[State, State]]:
        """Return the tensors of a network as A and as B in Σ <A_k, P B_k>."""
        state = state_of(network)
        kernels = {layer.weight: state[layer.weight] for layer in task.spec.layers}
        return [(kernels, kernels)]

    def search(self, task: Task) -> Search:
        """Return the result of one forward pass."""
        problem = bilinear(self, task)
        return one_pass(task.spec, lambda g, placed: problem.score(g, placed, incoming_only=True))


@dataclass(frozen=True, kw_only=True)
class Weight:
    """The inner product of all parameters (incoming, bias, normalisation, outgoing).

    Coordinate ascent over the groups, from one start or several; the best objective is kept. On
    trained and untrained networks of width 32 and more one forward pass over the incoming weights
    is the best start and the fastest; on narrow well-trained networks the other starts are ahead
    now and then, and the result of ``activation_centred`` is a start that gives lower losses.

    Parameters
    ----------
    starts : tuple of {"forward", "activation", "identity", "random"}
        Where the ascents begin; a name may come several times. The first ascent from every start
        visits the groups in the order of computation, repetitions and ``"random"`` in random
        order. ``"activation"`` needs inputs.
    max_sweeps : int
        Limit of every ascent.

    References
    ----------
    Ainsworth, Hayase and Srinivasa (2023), Git Re-Basin, Algorithm 1, for the objective.
    """

    name = "weight"
    needs = ()
    starts: tuple[Start, ...] = ("forward",)
    max_sweeps: int = 100

    def __post_init__(self) -> None:
        if not self.starts:
            raise ValueError("`starts` is empty")
        for start in self.starts:
            _check.one_of("starts", start, ("forward", "activation", "identity", "random"))
        _check.positive_int("max_sweeps", self.max_sweeps)

    def sides(self, network: Network, task: Task, role: Role) -> list[tuple[State, State]]:
        """Return the tensors of a network as A and as B in Σ <A_k, P B_k>."""
        state = state_of(network)
        return [(state, state)]

    def search(self, task: Task) -> Search:
        """Return the best of the ascents."""
        return ascend_from(bilinear(self, task), self.starts, self.max_sweeps, task)


@dataclass(frozen=True, kw_only=True)
class Covariance:
    """Layer by layer the assignment on W_A Σ W_Bᵀ, Σ the uncentred second moment of the inputs.

    Parameters
    ----------
    sigma : {"a", "b", "mean"}
        Whose inputs: A's (the paper), B's (moved with its units), or the mean of both.
    bias : bool
        Whether the bias counts, through the second moment of (inputs, 1).
    outgoing : bool
        Whether the layers that read a group count too; then the groups depend on each other, and
        the sum over layers is raised by coordinate ascent from the forward pass.

    References
    ----------
    Ferbach, Goujaud, Gidel and Dieuleveut (2024), Section 5 and Figure 2.
    """

    name = "covariance"
    needs = ("inputs",)
    sigma: Literal["a", "b", "mean"] = "a"
    bias: bool = False
    outgoing: bool = False

    def __post_init__(self) -> None:
        _check.one_of("sigma", self.sigma, ("a", "b", "mean"))

    def sides(self, network: Network, task: Task, role: Role) -> list[tuple[State, State]]:
        """Return the tensors of a network as A and as B in Σ <A_k, P B_k>."""
        state = state_of(network)
        keys = [layer.weight for layer in task.spec.layers]
        if self.bias:
            keys += [f"{layer.name}.bias" for layer in task.spec.layers if layer.bias]
        plain = {key: state[key].double() for key in keys}
        assert isinstance(network, nn.Module) and task.inputs is not None
        if {"a": "b", "b": "a"}.get(role) == self.sigma:
            return [(plain, plain)]  # the moments belong to the other network
        every = self.outgoing or role == "both"
        layers = task.spec.layers if every else task.spec.hidden_layers
        moments = input_moments(network, layers, task.inputs, batch_size=task.batch_size)
        seen = plain | _times_moments(plain, layers, moments)
        if self.sigma == "mean":
            half = {key: tensor / 2 for key, tensor in seen.items()}
            return [(half, plain), (plain, half)]
        return [(seen, plain) if self.sigma == "a" else (plain, seen)]

    def search(self, task: Task) -> Search:
        """Return the result of one forward pass, or of the ascent after it."""
        list(task.modules())
        problem = bilinear(self, task)
        if self.outgoing:
            return ascend_from(problem, ("forward",), 100, task)
        return one_pass(task.spec, lambda g, placed: problem.score(g, placed, incoming_only=True))


@dataclass(frozen=True)
class Activation:
    """For every group the assignment on the joint moments of its units' outputs.

    Parameters
    ----------
    kind : {"uncentred", "centred", "correlation"}
        E[a b], the cross-covariance, or the correlation; a unit that never changes (a dead one)
        has correlation 0 with every other.

    References
    ----------
    Li et al. (2016) for the correlation; Ainsworth, Hayase and Srinivasa (2023), Section 3.1, for
    the uncentred product; Ferbach et al. (2024), Figure 2, for the covariance.
    """

    kind: Literal["uncentred", "centred", "correlation"] = "uncentred"
    needs = ("inputs",)

    def __post_init__(self) -> None:
        _check.one_of("kind", self.kind, ("uncentred", "centred", "correlation"))

    @property
    def name(self) -> str:
        """The name in the table of ``match``."""
        return "activation" if self.kind == "uncentred" else f"activation_{self.kind}"

    def matrix(self, moments: CrossMoments) -> NDArray[np.float64]:
        """Return the scores of one group."""
        scores = {
            "uncentred": lambda: moments.cross,
            "centred": moments.centred,
            "correlation": moments.correlation,
        }
        return scores[self.kind]().cpu().numpy()

    def scores(self, task: Task) -> dict[str, NDArray[np.float64]]:
        """Return the scores of all groups, summed over the pairs."""
        total: dict[str, NDArray[np.float64]] = {}
        assert task.inputs is not None
        for a, b in task.modules():
            moments = cross_moments(a, b, task.spec, task.inputs, batch_size=task.batch_size)
            for group, value in moments.items():
                total[group] = total.get(group, 0) + self.matrix(value)
        return total

    def search(self, task: Task) -> Search:
        """Return the assignments; no group depends on another."""
        scores = self.scores(task)
        return one_pass(task.spec, lambda group, _: scores[group])


@dataclass(frozen=True)
class Preactivation:
    """For every group the assignment on E[z_a z_b], z what its layers write before the activation.

    It minimises the mean squared distance of the pre-activations.

    References
    ----------
    The matching of ``bounds.DeepReLU(matching="preactivation")``; docs/derivations/deep.
    """

    name = "preactivation"
    needs = ("inputs",)

    def search(self, task: Task) -> Search:
        """Return the assignments; no group depends on another."""
        scores: dict[str, NDArray[np.float64]] = {}
        assert task.inputs is not None
        for a, b in task.modules():
            moments = cross_moments(
                a, b, task.spec, task.inputs, batch_size=task.batch_size, written=True
            )
            for group, value in moments.items():
                scores[group] = scores.get(group, 0) + value.cross.cpu().numpy()
        return one_pass(task.spec, lambda group, _: scores[group])


@dataclass(frozen=True)
class BruteForce:
    """The best of all permutations for the objective of ``weight``: an oracle for small layers."""

    name = "brute_force"
    needs = ()

    def search(self, task: Task) -> Search:
        """Try every permutation; refuse more than 8! of them."""
        sizes = task.spec.sizes
        if math.prod(math.factorial(n) for n in sizes.values()) > _MOST_PERMUTATIONS:
            raise ValueError(
                f"brute force tries at most 8! permutations in all, got layers of {dict(sizes)}"
            )
        if task.spec.blocks:
            raise ValueError("brute force does not know the tied blocks of a GroupNorm")
        problem = bilinear(Weight(), task)
        identity = dict(Permutation.identity(task.spec))
        best, before = identity, problem.total(identity)
        value = before
        for chosen in product(*(permutations(range(n)) for n in sizes.values())):
            placed = {g: np.array(p) for g, p in zip(sizes, chosen, strict=True)}
            if (new := problem.total(placed)) > value:
                best, value = placed, new
        objective = {g: worth(problem.score(g, best), best[g]) for g in sizes}
        gain = {g: objective[g] - float(np.trace(problem.score(g, best))) for g in sizes}
        return Search(
            placed=best, objective=objective, gain=gain, trace=(before, value), stop="exhausted"
        )


def bilinear(method: WeightIncoming | Weight | Covariance, task: Task) -> Bilinear:
    """Return the objective of a method for all pairs of a task."""
    matched = []
    for a, b in task.pairs:
        sides = zip(method.sides(a, task, "a"), method.sides(b, task, "b"), strict=True)
        matched += [(side_a[0], side_b[1]) for side_a, side_b in sides]
    return Bilinear.of(task.spec, matched)


def one_pass(spec: PermutationSpec, score: Score) -> Search:
    """Place the groups in the order of computation, each with one assignment."""
    placed: dict[str, Indices] = {}
    objective, gain = {}, {}
    for group in spec.sizes:
        matrix = score(group, placed)
        placed[group] = assign(matrix, blocks=spec.blocks.get(group, 1))
        objective[group] = worth(matrix, placed[group])
        gain[group] = objective[group] - float(np.trace(matrix))
    trace = (sum(objective.values()),)
    return Search(placed=placed, objective=objective, gain=gain, trace=trace, stop="one pass")


def ascend_from(
    problem: Bilinear, starts: tuple[Start, ...], max_sweeps: int, task: Task
) -> Search:
    """Return the best of several coordinate ascents, with the objective that each reached."""
    finals: dict[str, float] = {}
    best: Search | None = None
    for start in starts:
        again = sum(name.split("#")[0] == start for name in finals)
        if start == "forward":
            begin = one_pass(
                task.spec, lambda g, placed: problem.score(g, placed, incoming_only=True)
            ).placed
        elif start == "activation":
            if task.inputs is None:
                raise ValueError("`inputs` is missing: the start 'activation' needs data")
            begin = Activation("centred").search(task).placed
        elif start == "identity":
            begin = Permutation.identity(task.spec)
        else:
            begin = Permutation.random(task.spec, rng=task.rng)
        order = task.rng if again or start == "random" else None
        found = problem.ascend(begin, rng=order, max_sweeps=max_sweeps)
        label = f"{start}#{again + 1}" if again else start
        finals[label] = found.trace[-1]
        if best is None or found.trace[-1] > best.trace[-1]:
            best = replace(found, start=label)
    assert best is not None
    return replace(best, starts=finals)


def _times_moments(
    state: Mapping[str, Tensor], layers: Sequence[Layer], moments: Mapping[str, InputMoments]
) -> dict[str, Tensor]:
    """Return W Σ, or (W, b) times the second moment of (inputs, 1) if the state has biases."""
    result = {}
    for layer in layers:
        weight, bias = state[layer.weight], state.get(f"{layer.name}.bias")
        moment = moments[layer.name]
        seen = weight.flatten(1) @ moment.second
        if bias is not None:
            seen += bias[:, None] * moment.mean
            result[f"{layer.name}.bias"] = weight.flatten(1) @ moment.mean + bias
        result[layer.weight] = seen.reshape(weight.shape)
    return result
