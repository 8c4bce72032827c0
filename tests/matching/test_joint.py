import numpy as np
import pytest
from small_networks import digits, gaussian, mlp, trained

from otlmc.connectivity import path, simplex
from otlmc.matching import Covariance, Permutation, infer_spec, match, match_all


def inner_products(networks, joint):
    """Σ over unordered pairs of <P_j θ_j, P_k θ_k>, over the tensors that can be permuted."""
    spec = joint.permutations[0].spec
    states = [p.apply(n.state_dict()) for p, n in zip(joint.permutations, networks, strict=True)]
    return sum(
        float((states[j][key] * states[k][key]).sum())
        for j in range(len(states))
        for k in range(j)
        for key in spec.axes
    )


@pytest.mark.parametrize("method", ["weight", "activation", "activation_correlation", Covariance()])
def test_universe_recovers_copies_and_is_cycle_consistent(method):
    net, x = mlp(6, 20, 20, 3), gaussian(300, 6)
    spec = infer_spec(net)
    planted = [Permutation.random(spec, rng=k) for k in range(4)]
    joint = match_all([p.apply(net) for p in planted], x, method=method, reference="universe")
    assert joint.converged
    assert joint.permutations[0] == Permutation.identity(spec)
    for j in range(4):
        for k in range(4):
            assert joint.between(j, k) == planted[j].compose(planted[k].inverse())
            assert joint.between(j, k) == joint.between(j, 1).compose(joint.between(1, k))


def test_universe_raises_the_sum_over_pairs():
    networks = [mlp(6, 20, 20, 3, seed=s) for s in range(4)]
    centred = match_all(networks, reference=0)
    universe = match_all(networks, reference="universe")
    before, after = (inner_products(networks, joint) for joint in (centred, universe))
    ends = universe.trace[0], universe.trace[-1]
    np.testing.assert_allclose(ends, (2 * before, 2 * after), rtol=1e-9)
    assert after > before
    assert all(np.diff(universe.trace) >= -1e-9)


def test_reference_is_the_pairwise_matching():
    networks = [mlp(6, 20, 20, 3, seed=s) for s in range(3)]
    joint = match_all(networks, reference=1)
    assert joint.permutations[1] == Permutation.identity(infer_spec(networks[0]))
    assert joint.between(1, 2) == match(networks[1], networks[2]).permutation


def test_strong_connectivity_of_three_trained_networks():
    """Protocol 1.G: direct matching beats the way through a third network, both beat nothing."""
    x, _, x_test, y_test = digits()
    networks = [trained(s, rate=0.03) for s in range(3)]
    joint = match_all(networks, x, method="activation_centred", reference=0)
    moved = [p.apply(n) for p, n in zip(joint.permutations, networks, strict=True)]
    via = path(moved[1], moved[2], x_test, y_test).loss_barrier
    direct = match(networks[1], networks[2], x, method="activation_centred")
    weak = path(networks[1], networks[2], x_test, y_test, permutation=direct)
    assert weak.unpermuted is not None
    assert weak.loss_barrier <= via < weak.unpermuted.loss_barrier
    aligned, given = (simplex(nets, x_test, y_test, resolution=3) for nets in (moved, networks))
    assert aligned.loss_barrier < given.loss_barrier


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"networks": [mlp(3, 4, 2)]}, "at least 2, got 1"),
        ({"reference": 2}, r"'universe' or one of 0..1, got 2"),
        ({"reference": "centre"}, "got 'centre'"),
        ({"reference": "universe", "method": "weight_incoming"}, "no sum over pairs"),
        ({"networks": [mlp(3, 4, 2), mlp(3, 5, 2)]}, r"`networks\[1\]`"),
        ({"method": "covariance"}, "`inputs` is missing"),
    ],
)
def test_refusals(kwargs, message):
    networks = kwargs.pop("networks", [mlp(3, 4, 2), mlp(3, 4, 2, seed=1)])
    with pytest.raises(ValueError, match=message):
        match_all(networks, **kwargs)
