"""Every method against its definition, written out, and against the search over everything."""

from itertools import permutations

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, build
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import digits, gaussian, mlp, trained
from torch import nn

from otlmc.matching import (
    Activation,
    BruteForce,
    Covariance,
    Permutation,
    Weight,
    assign,
    infer_spec,
    match,
    match_sequence,
)

KINDS = {
    "activation": lambda a, b: a.T @ b / len(a),
    "activation_centred": lambda a, b: np.cov(a.T, b.T, bias=True)[: a.shape[1], a.shape[1] :],
    "activation_correlation": lambda a, b: np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :],
}


def inner_product(a: nn.Module, b: nn.Module) -> float:
    """<θ_A, θ_B> without the tensors that no permutation reaches."""
    axes = infer_spec(a).axes
    other = dict(b.named_parameters())
    return sum(float((p * other[k]).detach().sum()) for k, p in a.named_parameters() if k in axes)


def noisy_copy(a: nn.Module, permutation: Permutation, noise: float = 0.1) -> nn.Module:
    b = permutation.apply(a)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in b.parameters():
            if p.numel() > 1:
                p += noise * p.std() * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return b


@pytest.mark.parametrize("method", KINDS)
def test_activation_scores(method):
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(60, 5)
    found = match(a, b, x, method=method, batch_size=13)
    for depth, group in ((2, "0"), (4, "2")):
        units = [net[:depth](x).detach().numpy() + 0.0 for net in (a, b)]
        scores = KINDS[method](*units)
        np.testing.assert_array_equal(found.permutation[group], assign(scores))
        best = scores[np.arange(len(scores)), assign(scores)].sum()
        np.testing.assert_allclose(found.objective[group], best, rtol=1e-10)


def test_preactivation_scores_are_those_before_the_activation():
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(60, 5)
    found = match(a, b, x, method="preactivation", batch_size=13)
    for depth, group in ((1, "0"), (3, "2")):
        units = [net[:depth](x).detach().numpy() for net in (a, b)]
        distance = np.square(units[0][:, :, None] - units[1][:, None, :]).mean(0)
        np.testing.assert_array_equal(found.permutation[group], assign(distance, maximize=False))


@pytest.mark.parametrize("name", ["conv1d", "residual, GroupNorm 4"])
def test_preactivation_finds_a_planted_permutation(name):
    a = build(name, 0)
    planted = Permutation.random(infer_spec(a), rng=0)
    x = gaussian(300, *ARCHITECTURES[name][1])
    found = match(a, planted.apply(a), x, method="preactivation")
    assert found.permutation == planted.inverse()


def test_dead_units_have_no_correlation():
    """A dead unit scores 0 everywhere, and the others are matched as if it were not there."""
    a, x = mlp(4, 6, 2), gaussian(200, 4)
    with torch.no_grad():
        a[0].bias[[1, 4]] = -100.0
    planted = Permutation.random(infer_spec(a), rng=0)
    found = match(a, planted.apply(a), x, method="activation_correlation")
    np.testing.assert_allclose(found.total, 4.0, rtol=1e-10)
    alive = [0, 2, 3, 5]
    np.testing.assert_array_equal(found.permutation["0"][alive], planted.inverse()["0"][alive])


@pytest.mark.parametrize("sigma", ["a", "b", "mean"])
@pytest.mark.parametrize("bias", [False, True])
def test_covariance_variants(sigma, bias):
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(60, 5).numpy()
    found = match(a, b, x, method=Covariance(sigma=sigma, bias=bias), batch_size=11)
    previous = np.arange(5)
    for depth, group in ((0, "0"), (2, "2")):
        reads = [net[:depth](torch.from_numpy(x)).detach().numpy() for net in (a, b)]
        reads[1] = reads[1][:, previous]
        rows = [net[depth].weight.detach().numpy() for net in (a, b)]
        rows[1] = rows[1][:, previous]
        if bias:
            reads = [np.hstack([r, np.ones((len(r), 1))]) for r in reads]
            rows = [
                np.hstack([r, net[depth].bias.detach().numpy()[:, None]])
                for r, net in zip(rows, (a, b), strict=True)
            ]
        moments = [r.T @ r / len(r) for r in reads]
        chosen = {"a": moments[0], "b": moments[1], "mean": (moments[0] + moments[1]) / 2}[sigma]
        scores = rows[0] @ chosen @ rows[1].T
        previous = assign(scores)
        np.testing.assert_array_equal(found.permutation[group], previous)
        best = scores[np.arange(len(scores)), previous].sum()
        np.testing.assert_allclose(found.objective[group], best, rtol=1e-9)


def test_covariance_with_outgoing_weights_raises_the_sum_over_layers():
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(60, 5)

    def total(permutation):
        moved, value = permutation.apply(b), 0.0
        for depth in (0, 2, 4):
            reads = a[:depth](x)
            product = a[depth].weight @ (reads.T @ reads / 60)
            value += float((product * moved[depth].weight).detach().sum())
        return value

    joint = match(a, b, x, method=Covariance(outgoing=True))
    np.testing.assert_allclose(joint.total, total(joint.permutation), rtol=1e-10)
    assert joint.total >= total(match(a, b, x, method="covariance").permutation)
    assert joint.stop == "fixed"


@pytest.mark.parametrize("name", ["mlp", "conv1d", "residual, GroupNorm 4", "recurrent"])
def test_weight_objective_is_the_inner_product(name):
    a, b = build(name, 0), build(name, 1)
    found = match(a, b, method="weight")
    np.testing.assert_allclose(
        found.total, inner_product(a, found.permutation.apply(b)), rtol=1e-10
    )
    assert found.converged and found.stop == "fixed" and found.start == "forward"
    assert all(np.diff(found.trace) >= 0)
    np.testing.assert_allclose(
        sum(found.gain.values()), found.trace[-1] - found.trace[0], rtol=1e-8, atol=1e-10
    )


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=15)
def test_no_transposition_improves_a_converged_result(seed):
    a, b = mlp(4, 8, 7, 3, seed=seed), mlp(4, 8, 7, 3, seed=seed + 1)
    found = match(a, b, method="weight")
    for group, units in found.permutation.items():
        for i in range(len(units)):
            for j in range(i):
                swapped = units.copy()
                swapped[[i, j]] = swapped[[j, i]]
                other = Permutation(found.permutation.spec, {**found.permutation, group: swapped})
                assert inner_product(a, other.apply(b)) <= found.total + 1e-10


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=10)
def test_brute_force_is_an_upper_limit(seed):
    a, b = mlp(3, 4, 4, 2, seed=seed), mlp(3, 4, 4, 2, seed=seed + 1)
    oracle = match(a, b, method="brute_force")
    np.testing.assert_allclose(
        oracle.total, inner_product(a, oracle.permutation.apply(b)), rtol=1e-10
    )
    starts = ("forward", "identity", *["random"] * 20)
    found = match(a, b, method=Weight(starts=starts), rng=seed)
    assert found.total <= oracle.total + 1e-12
    assert found.total == max(found.starts.values())
    assert list(found.starts)[:4] == ["forward", "identity", "random", "random#2"]
    assert len(found.starts) == 22


def test_one_hidden_layer_is_solved_exactly():
    """With one group the ascent is one assignment: nothing can be better."""
    for seed in range(5):
        a, b = mlp(3, 6, 2, seed=seed), mlp(3, 6, 2, seed=seed + 9)
        oracle = match(a, b, method="brute_force").total
        np.testing.assert_allclose(match(a, b, method="weight").total, oracle, rtol=1e-12)


def test_restarts_are_reproducible_and_keep_the_best():
    a, b = mlp(4, 12, 12, 3, seed=0), mlp(4, 12, 12, 3, seed=1)
    method = Weight(starts=("forward", "random", "random"))
    first, again = (match(a, b, method=method, rng=7) for _ in range(2))
    assert first.permutation == again.permutation and first.starts == again.starts
    assert first.total == max(first.starts.values()) >= match(a, b).total


def test_sweeps_are_limited_and_said_so():
    a, b = mlp(4, 30, 30, 30, 3, seed=0), mlp(4, 30, 30, 30, 3, seed=1)
    found = match(a, b, method=Weight(starts=("identity",), max_sweeps=1))
    assert (found.sweeps, found.stop, found.converged) == (1, "sweeps", False)


@pytest.mark.parametrize(
    "method", ["weight", "weight_incoming", "activation_centred", "activation_correlation"]
)
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("recurrent", "shared")])
def test_exact_copies_of_all_architectures_are_recovered(name, method):
    a, x = build(name), gaussian(300, *ARCHITECTURES[name][1])
    planted = Permutation.random(infer_spec(a), rng=2)
    b = planted.apply(a)
    found = match(a, b, x, method=method).permutation
    torch.testing.assert_close(found.apply(b)(x), a(x), rtol=1e-9, atol=1e-9)
    if method == "weight":
        assert found == planted.inverse()


WIDE = {
    "LayerNorm": lambda: nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.LayerNorm(512), nn.Linear(512, 512), nn.ReLU(),
        nn.LayerNorm(512), nn.Linear(512, 10)),
    "BatchNorm": lambda: nn.Sequential(
        nn.Linear(784, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 512),
        nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 10)),
}  # fmt: skip


@pytest.mark.parametrize("method", ["weight", "weight_incoming", "covariance", *KINDS])
@pytest.mark.parametrize("norm", WIDE)
def test_planted_with_noise(norm, method):
    torch.manual_seed(0)
    a, x = WIDE[norm]().eval(), gaussian(1500, 784, dtype=torch.float32)
    planted = Permutation.random(infer_spec(a), rng=0)
    assert match(a, noisy_copy(a, planted), x, method=method).permutation == planted.inverse()


@pytest.mark.parametrize("method", ["weight", "covariance", "activation_centred"])
def test_sequences_sum_the_scores(method):
    """One checkpoint repeated gives the pair's permutation; a planted sequence is recovered."""
    nets = [mlp(6, 20, 20, 3, seed=s) for s in range(3)]
    x = gaussian(300, 6)
    spec = infer_spec(nets[0])
    planted = Permutation.random(spec, rng=0)
    found = match_sequence(nets, [planted.apply(n) for n in nets], x, method=method)
    assert found.permutation == planted.inverse()
    pair = match(nets[0], nets[1], x, method=method)
    twice = match_sequence([nets[0]] * 2, [nets[1]] * 2, x, method=method)
    assert pair.permutation == twice.permutation
    np.testing.assert_allclose(twice.total, 2 * pair.total, rtol=1e-10)


def test_weight_scores_of_a_sequence():
    a, b = [mlp(3, 5, 2, seed=s) for s in (0, 1)], [mlp(3, 5, 2, seed=s) for s in (2, 3)]
    found = match_sequence(a, b, method="weight")

    def total(order):
        permutation = Permutation(infer_spec(a[0]), {"0": list(order)})
        return sum(inner_product(x, permutation.apply(y)) for x, y in zip(a, b, strict=True))

    np.testing.assert_allclose(found.total, max(map(total, permutations(range(5)))), rtol=1e-10)


def test_starts_on_trained_networks():
    a, b, (x, *_) = trained(0), trained(1), digits()
    found = match(a, b, x, method=Weight(starts=("forward", "activation", "identity")))
    assert set(found.starts) == {"forward", "activation", "identity"}
    assert found.total == max(found.starts.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a: match(a, a, method=Weight(starts=())), "`starts` is empty"),
        (lambda a: match(a, a, method=Weight(starts=("middle",))), "`starts` must be one of"),
        (lambda a: match(a, a, method=Weight(starts=("activation",))), "`inputs` is missing"),
        (lambda a: Weight(max_sweeps=0), "`max_sweeps`"),
        (lambda a: Covariance(sigma="c"), "`sigma` must be one of 'a', 'b', 'mean'"),
        (lambda a: Activation("squared"), "`kind` must be one of"),
        (lambda a: match(mlp(3, 9, 2), mlp(3, 9, 2), method=BruteForce()), "at most 8!"),
        (lambda a: match_sequence([a], [a, a]), "of one length, at least 1; got 1 and 2"),
        (lambda a: match_sequence([], []), "at least 1; got 0 and 0"),
        (lambda a: match_sequence([a, a], [a, mlp(3, 5, 2)]), r"checkpoints_b\[1\]"),
        (lambda a: match(a, a, torch.zeros(2, 3), method="sinkhorn"), "`labels` is missing"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make(mlp(3, 4, 2))
