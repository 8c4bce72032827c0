"""Match two networks, or two sequences of checkpoints with one permutation."""

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from otlmc import _check
from otlmc._modules import check_ties
from otlmc.matching.methods import (
    Activation,
    BruteForce,
    Covariance,
    Identity,
    Method,
    Network,
    Preactivation,
    Task,
    Weight,
    WeightIncoming,
)
from otlmc.matching.moments import Inputs
from otlmc.matching.permutation import Permutation, Rng
from otlmc.matching.record import Matching
from otlmc.matching.relaxed import Relaxed
from otlmc.matching.spec import PermutationSpec, State, state_of
from otlmc.matching.tracing import infer_spec

_MOST_NAMED = 3

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Identity(),
        Weight(),
        WeightIncoming(),
        Covariance(),
        Activation("uncentred"),
        Activation("centred"),
        Activation("correlation"),
        Preactivation(),
        Relaxed(kind="sinkhorn"),
        Relaxed(kind="straight_through"),
        BruteForce(),
    )
}


def match(
    a: Network,
    b: Network,
    inputs: Inputs | None = None,
    *,
    method: str | Method = "weight",
    spec: PermutationSpec | None = None,
    labels: Any = None,
    batch_size: int = 4096,
    rng: Rng = None,
) -> Matching:
    """Permute the hidden units of B so that it meets A: ``perm[i]`` takes place ``i`` of A.

    Every method maximises a sum of scores ``C[i, perm[i]]``; every assignment is exact. With W'
    the weights of B whose inputs are permuted already:

    ========================== ================================================= =============
    method                     C                                                 needs
    ========================== ================================================= =============
    ``none``                   nothing is moved
    ``weight``                 incoming, bias, normalisation and outgoing
                               parameters; coordinate ascent over the layers
    ``weight_incoming``        W_A W'ᵀ, in one forward pass
    ``covariance``             W_A Σ W'ᵀ, Σ the uncentred second moment of A's   inputs
                               inputs to the layer; one forward pass
    ``activation``             E[a b] of the units' outputs a, b                 inputs
    ``activation_centred``     Cov(a, b)                                         inputs
    ``activation_correlation`` Cor(a, b)                                         inputs
    ``preactivation``          E[a b] of what the units' layers write, before    inputs
                               the activation
    ``sinkhorn``               descent on the midpoint loss over soft            inputs, labels
                               permutations
    ``straight_through``       descent on the midpoint loss over hard ones       inputs, labels
    ``brute_force``            the best for ``weight`` of all permutations
    ========================== ================================================= =============

    Parameters
    ----------
    a, b : nn.Module or state dict
        Two networks of one architecture; nothing happens in place.
    inputs : array or Tensor, shape (samples, ...), optional
        Data for the methods that run the networks: in evaluation mode, in batches, on the device
        of the networks. The outputs of a unit are what the next layer reads.
    method : str or Method
        A name of the table, or a configured method such as ``Weight(starts=("forward",
        "identity"))``, ``Covariance(sigma="mean", bias=True)``.
    spec : PermutationSpec, optional
        The symmetries; inferred from ``a`` by tracing when it is a module.
    labels : array or Tensor, shape (samples,), optional
        Class numbers, for the methods that descend on the loss.
    batch_size : int
        Samples per forward pass.
    rng : int, Generator or SeedSequence, optional
        Randomness of the methods that use any.

    Returns
    -------
    Matching
        The permutation, the objective and how it was reached.

    Raises
    ------
    ValueError
        If the architectures or their ties differ, a weight or an input is NaN, the method is
        unknown or needs data, or the network cannot be traced.
    TypeError
        If a state dict comes without ``spec``, or to a method that runs the networks.

    Warns
    -----
    UserWarning
        If tracing leaves hidden units in place, with their names; see :doc:`/howto/networks`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> copy = Permutation.random(infer_spec(net), rng=0).apply(net)
    >>> found = match(net, copy)
    >>> bool(torch.equal(found.permutation.apply(copy)[0].weight, net[0].weight))
    True
    >>> found.stop, found.start
    ('fixed', 'forward')
    """
    return match_sequence(
        [a], [b], inputs, method=method, spec=spec, labels=labels, batch_size=batch_size, rng=rng
    )


def match_sequence(
    checkpoints_a: Sequence[Network],
    checkpoints_b: Sequence[Network],
    inputs: Inputs | None = None,
    *,
    method: str | Method = "weight",
    spec: PermutationSpec | None = None,
    labels: Any = None,
    batch_size: int = 4096,
    rng: Rng = None,
) -> Matching:
    """Find one permutation for two whole sequences of checkpoints.

    The scores of :func:`match` are summed over the pairs ``(checkpoints_a[s], checkpoints_b[s])``,
    so the permutation is the best on average over the sequence.

    Parameters
    ----------
    checkpoints_a, checkpoints_b : sequence of nn.Module or state dict
        Networks of one architecture, paired by position.
    inputs, method, spec, labels, batch_size, rng
        As for :func:`match`.

    Raises
    ------
    ValueError
        As for :func:`match`, and if the sequences are empty or of different lengths.

    References
    ----------
    Sharma et al. (2024), simultaneous weak linear connectivity.

    Examples
    --------
    >>> nets = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(3)]
    >>> perm = Permutation.random(infer_spec(nets[0]), rng=0)
    >>> found = match_sequence(nets, [perm.apply(net) for net in nets])
    >>> found.permutation == perm.inverse()
    True
    """
    start = time.perf_counter()
    chosen = method_of(method, inputs, labels)
    if len(checkpoints_a) != len(checkpoints_b) or not checkpoints_a:
        raise ValueError(
            "`checkpoints_a` and `checkpoints_b` must be of one length, at least 1; got "
            f"{len(checkpoints_a)} and {len(checkpoints_b)}"
        )
    spec = spec_of(checkpoints_a[0], spec)
    single = len(checkpoints_a) == 1
    for s, (a, b) in enumerate(zip(checkpoints_a, checkpoints_b, strict=True)):
        names = ("a", "b") if single else (f"checkpoints_a[{s}]", f"checkpoints_b[{s}]")
        check_states(spec, {names[0]: state_of(a), names[1]: state_of(b)})
        if isinstance(a, nn.Module) and isinstance(b, nn.Module):
            check_ties({f"`{names[0]}`": a, f"`{names[1]}`": b})
    task = Task(
        spec=spec,
        pairs=tuple(zip(checkpoints_a, checkpoints_b, strict=True)),
        inputs=inputs,
        labels=None if labels is None else torch.as_tensor(labels),
        batch_size=_check.positive_int("batch_size", batch_size),
        rng=np.random.default_rng(rng),
    )
    found = chosen.search(task)
    return Matching(
        permutation=Permutation(spec, found.placed),
        method=chosen.name,
        total=found.trace[-1],
        objective=found.objective,
        gain=found.gain,
        start=found.start,
        starts=found.starts,
        sweeps=max(1, len(found.trace) - 1),
        converged=found.stop in ("one pass", "fixed", "exhausted"),
        stop=found.stop,
        trace=found.trace,
        seconds=time.perf_counter() - start,
    )


def method_of(method: str | Method, inputs: Inputs | None, labels: Any) -> Method:
    """Return the method of a name, after checking that its data are there."""
    chosen = (
        METHODS[_check.one_of("method", method, tuple(METHODS))]
        if isinstance(method, str)
        else method
    )
    for name, value in (("inputs", inputs), ("labels", labels)):
        if name in chosen.needs and value is None:
            raise ValueError(f"`{name}` is missing: method {chosen.name!r} needs data")
    return chosen


def spec_of(network: Network, spec: PermutationSpec | None) -> PermutationSpec:
    """Return the specification, inferred if it was not given."""
    if spec is not None:
        return spec
    if not isinstance(network, nn.Module):
        raise TypeError(
            "`spec` must be given to match state dicts: only a module can be traced; "
            "see PermutationSpec.from_axes"
        )
    found = infer_spec(network)
    if found.fixed:
        some = [f"{name!r} ({why})" for name, why in list(found.fixed.items())[:_MOST_NAMED]]
        more = len(found.fixed) - len(some)
        warnings.warn(
            f"{len(found.fixed)} part(s) of {type(network).__name__} stay in place: "
            + "; ".join(some + [f"and {more} more"] * (more > 0))
            + "; `spec = infer_spec(network)` prints as a table, and `spec=spec` says no more",
            stacklevel=4,  # where match is called
        )
    return found


def check_states(spec: PermutationSpec, states: dict[str, State]) -> None:
    """Raise unless all states have the same finite tensors, as the specification wants them."""
    check_shapes({f"`{name}`": state for name, state in states.items()})
    for name, state in states.items():
        spec.check(name, state)


def check_shapes(states: dict[str, State]) -> None:
    """Raise unless all states have the same tensors, all finite; the keys are for the message."""
    (first, reference), *others = states.items()
    for name, state in others:
        for key in [*reference, *(key for key in state if key not in reference)]:
            shapes = [tuple(s[key].shape) if key in s else "missing" for s in (reference, state)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"the architectures differ: tensor {key!r} is {shapes[0]} in {first} "
                    f"and {shapes[1]} in {name}"
                )
    for name, state in states.items():
        for key, tensor in state.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise ValueError(f"{name}: tensor {key!r} holds NaN or infinite entries")
