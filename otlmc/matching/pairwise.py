"""Match two networks."""

import time
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from otlmc import _check
from otlmc.matching import scores
from otlmc.matching.assignment import assign
from otlmc.matching.moments import Inputs, cross_moments, second_moments
from otlmc.matching.permutation import Permutation, PermutationSpec, Rng, State, state_of
from otlmc.matching.record import Matching
from otlmc.matching.tracing import infer_spec

Method = Literal["none", "weight_incoming", "covariance", "activation_centred"]


def match(
    a: nn.Module | State,
    b: nn.Module | State,
    inputs: Inputs | None = None,
    *,
    method: Method,
    spec: PermutationSpec | None = None,
    batch_size: int = 4096,
    rng: Rng = None,
) -> Matching:
    """Permute the hidden units of B so that it meets A: ``perm[i]`` takes place ``i`` of A.

    Every method maximises the sum of ``C[i, perm[i]]`` layer by layer, in one forward pass; an
    assignment is exact. With W' the weights of B whose inputs are permuted already:

    ====================== ============================================== ========
    method                 C                                              inputs
    ====================== ============================================== ========
    ``none``               nothing is moved
    ``weight_incoming``    W_A W'ᵀ, no bias, no outgoing weights
    ``covariance``         W_A Σ W'ᵀ, Σ the uncentred second moment of    needed
                           A's inputs to the layer
    ``activation_centred`` cross-covariance of the units' outputs         needed
    ====================== ============================================== ========

    Parameters
    ----------
    a, b : nn.Module or state dict
        Two networks of one architecture; nothing happens in place.
    inputs : array or Tensor, shape (samples, ...), optional
        Data for the methods that look at activations; they run in evaluation mode, in batches,
        on the device of the networks.
    method : str
        One of the table.
    spec : PermutationSpec, optional
        The symmetries; inferred from ``a`` by tracing when it is a module.
    batch_size : int
        Samples per forward pass.
    rng : int, Generator or SeedSequence, optional
        Randomness of the methods that use any.

    Returns
    -------
    Matching
        The permutation with the objective and the gain of every group.

    Raises
    ------
    ValueError
        If the architectures differ, a weight or an input is NaN, the method is unknown or needs
        inputs, or tracing meets an operation that it cannot see through.

    References
    ----------
    Ferbach, Goujaud, Gidel and Dieuleveut (2024), Figure 2, for the three methods.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> copy = Permutation.random(infer_spec(net), rng=0).apply(net)
    >>> found = match(net, copy, method="weight_incoming")
    >>> bool(torch.equal(found.permutation.apply(copy)[0].weight, net[0].weight))
    True
    """
    start = time.perf_counter()
    _check.one_of("method", method, get_args(Method))
    batch_size = _check.positive_int("batch_size", batch_size)
    spec = _spec_of(a, spec)
    states = state_of(a), state_of(b)
    _check_states(spec, *states)
    if method == "none":
        score = None
    elif method == "weight_incoming":
        score = scores.incoming(spec, *states)
    else:
        module_a, module_b, data = _needs(method, a, b, inputs)
        if method == "covariance":
            moments = second_moments(module_a, spec, data, batch_size=batch_size)
            score = scores.incoming(spec, *states, moments)
        else:
            score = scores.activation(
                cross_moments(module_a, module_b, spec, data, batch_size=batch_size)
            )
    placed, objective, gain = _forward_pass(spec, score)
    return Matching(
        permutation=placed,
        method=method,
        objective=objective,
        gain=gain,
        seconds=time.perf_counter() - start,
    )


def _forward_pass(
    spec: PermutationSpec, score: scores.Score | None
) -> tuple[Permutation, dict[str, float], dict[str, float]]:
    """Place the groups in the order of computation, each with one assignment."""
    if score is None:
        nothing = dict.fromkeys(spec.sizes, 0.0)
        return Permutation.identity(spec), nothing, nothing
    placed: dict[str, np.ndarray] = {}
    objective, gain = {}, {}
    for group in spec.sizes:
        matrix = score(group, placed)
        placed[group] = assign(matrix)
        objective[group] = float(matrix[np.arange(len(matrix)), placed[group]].sum())
        gain[group] = objective[group] - float(np.trace(matrix))
    return Permutation(spec, placed), objective, gain


def _spec_of(a: nn.Module | State, spec: PermutationSpec | None) -> PermutationSpec:
    if spec is not None:
        return spec
    if not isinstance(a, nn.Module):
        raise TypeError(
            "`spec` must be given to match state dicts: only a module can be traced; "
            "see PermutationSpec.from_axes"
        )
    return infer_spec(a)


def _check_states(spec: PermutationSpec, a: State, b: State) -> None:
    """Raise unless the two states have the same finite tensors, as the specification wants them."""
    for key in [*a, *(key for key in b if key not in a)]:
        shapes = [tuple(s[key].shape) if key in s else "missing" for s in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the architectures differ: tensor {key!r} is {shapes[0]} in `a` "
                f"and {shapes[1]} in `b`"
            )
    for name, state in (("a", a), ("b", b)):
        spec.check(name, state)
        for key, tensor in state.items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise ValueError(f"`{name}`: tensor {key!r} holds NaN or infinite entries")


def _needs(
    method: str, a: nn.Module | State, b: nn.Module | State, inputs: Inputs | None
) -> tuple[nn.Module, nn.Module, Inputs]:
    if inputs is None:
        raise ValueError(f"`inputs` is missing: method {method!r} needs data")
    if not isinstance(a, nn.Module) or not isinstance(b, nn.Module):
        raise TypeError(f"method {method!r} runs the networks: `a` and `b` must be modules")
    return a, b, inputs
