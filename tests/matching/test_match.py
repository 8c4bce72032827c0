import numpy as np
import pytest
import torch
from small_networks import digits, gaussian, mlp, trained
from torch import nn

from otlmc.connectivity import path
from otlmc.matching import (
    Permutation,
    PermutationSpec,
    approximate_dimension,
    assign,
    infer_spec,
    layer_dimensions,
    match,
)

METHODS = ("weight_incoming", "covariance", "activation_centred")


def hidden(net: nn.Sequential, x: torch.Tensor) -> list[np.ndarray]:
    """What each linear layer reads, by hand."""
    read = []
    for layer in net:
        if isinstance(layer, nn.Linear):
            read.append(x.detach().numpy())
        x = layer(x)
    return read


@pytest.mark.parametrize("method", METHODS)
def test_closed_forms(method):
    """The scores of paper 3, written out with NumPy and solved with scipy, layer by layer."""
    a, b, x = mlp(5, 9, 8, 7, 3, seed=0), mlp(5, 9, 8, 7, 3, seed=1), gaussian(50, 5)
    found = match(a, b, x, method=method, batch_size=7)
    read_a, read_b = hidden(a, x), hidden(b, x)
    previous = np.arange(5)
    for depth, group in enumerate(("0", "2", "4")):
        wa, wb = (net[2 * depth].weight.detach().numpy() for net in (a, b))
        wb = wb[:, previous]
        if method == "weight_incoming":
            scores = wa @ wb.T
        elif method == "covariance":  # depth 0 uses the raw inputs
            scores = wa @ (read_a[depth].T @ read_a[depth] / 50) @ wb.T
        else:
            scores = np.cov(read_a[depth + 1].T, read_b[depth + 1].T, bias=True)
            scores = scores[: len(wa), len(wa) :]
        previous = assign(scores)
        np.testing.assert_array_equal(found.permutation[group], previous)
        value = scores[np.arange(len(wa)), previous].sum()
        np.testing.assert_allclose(found.objective[group], value, rtol=1e-10)
        np.testing.assert_allclose(found.gain[group], value - np.trace(scores), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_planted_permutation_is_recovered(method):
    float32 = torch.float32
    a, x = mlp(784, 512, 512, 10, dtype=float32), gaussian(2000, 784, dtype=float32)
    spec = infer_spec(a)
    planted = Permutation.random(spec, rng=0)
    b = planted.apply(a)
    with torch.no_grad():
        for k, parameter in enumerate(b.parameters()):
            parameter += 0.1 * parameter.std() * gaussian(*parameter.shape, seed=k, dtype=float32)
    assert match(a, b, x, method=method).permutation == planted.inverse()


def test_none_moves_nothing():
    a, b = mlp(3, 4, 2), mlp(3, 4, 2, seed=1)
    assert match(a, b, method="none").permutation == Permutation.identity(infer_spec(a))


def test_state_dicts_with_a_hand_written_spec():
    a, b = mlp(3, 4, 2), mlp(3, 4, 2, seed=1)
    axes = {"0.weight": ["h"], "0.bias": ["h"], "2.weight": [None, "h"]}
    spec = PermutationSpec.from_axes(axes, a)
    by_hand = match(a.state_dict(), b.state_dict(), method="weight_incoming", spec=spec)
    traced = match(a, b, method="weight_incoming")
    np.testing.assert_array_equal(by_hand.permutation["h"], traced.permutation["0"])


def test_orderings_on_digits():
    """Protocol 3.A at a low learning rate; means over two pairs."""
    x, _, x_test, y_test = digits()
    means = {}
    for method in ("none", *METHODS):
        midpoints = []
        for seed in (0, 2):
            a, b = trained(seed), trained(seed + 1)
            perm = match(a, b, x, method=method).permutation
            midpoints.append(path(a, perm.apply(b), x_test, y_test).midpoint_loss)
        means[method] = np.mean(midpoints)
    assert means["activation_centred"] <= means["covariance"]
    assert means["covariance"] < means["weight_incoming"] < means["none"]


def test_dimensions():
    a, x = mlp(5, 9, 8, 3), gaussian(50, 5)
    read = hidden(a, x)
    for depth, group in enumerate(("0", "2")):
        w = a[2 * depth].weight.detach().numpy()
        sigma, after = (r.T @ r / 50 for r in (read[depth], read[depth + 1]))
        for method, s in (
            ("weight_incoming", w @ w.T),
            ("covariance", w @ sigma @ w.T),
            ("activation_centred", after),
        ):
            eigenvalues = np.linalg.eigvalsh(s)
            expected = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
            measured = layer_dimensions(a, x, method=method)[group]
            np.testing.assert_allclose(measured, expected, rtol=1e-10)
            np.testing.assert_allclose(approximate_dimension(eigenvalues), expected, rtol=1e-10)


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("maximize", [True, False])
def test_assignment_against_brute_force(n, maximize):
    from itertools import permutations

    scores = np.random.default_rng(n).normal(size=(n, n))
    values = [scores[np.arange(n), list(p)].sum() for p in permutations(range(n))]
    found = scores[np.arange(n), assign(scores, maximize=maximize)].sum()
    np.testing.assert_allclose(found, max(values) if maximize else min(values), rtol=1e-10)


def nan(net: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        net[2].bias[0] = torch.nan
    return net


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a, x: match(a, mlp(3, 5, 2), x, method="covariance"),
         r"'0.weight' is \(4, 3\) in `a` and \(5, 3\) in `b`"),
        (lambda a, x: match(a, mlp(3, 4, 4, 2), x, method="covariance"),
         r"'2.weight' is \(2, 4\) in `a` and \(4, 4\) in `b`"),
        (lambda a, x: match(a, a, x, method="magic"), "`method` must be one of 'none'"),
        (lambda a, x: match(a, a, method="covariance"), "`inputs` is missing: method 'covariance'"),
        (lambda a, x: match(a, nan(mlp(3, 4, 2)), x, method="none"), r"`b`: tensor '2.bias' holds"),
        (lambda a, x: match(a, a, x / 0, method="covariance"), "`inputs` holds NaN or inf"),
        (lambda a, x: match(a, a, x[:0], method="covariance"), r"`inputs` must be \(samples"),
        (lambda a, x: match(a, a, x, method="covariance", batch_size=0), "`batch_size`"),
        (lambda a, x: layer_dimensions(a, method="covariance"), "`inputs` is missing"),
        (lambda a, x: layer_dimensions(a, method="none"), "`method` must be one of"),
        (lambda a, x: approximate_dimension([0.0, 0.0]), "`spectrum` is zero"),
        (lambda a, x: approximate_dimension(np.ones((2, 3))), r"`spectrum` must be \(n,\)"),
        (lambda a, x: assign(np.ones((2, 3))), "`scores` must be square"),
        (lambda a, x: assign([[np.nan]]), "`scores` holds NaN"),
    ],
)  # fmt: skip
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make(mlp(3, 4, 2), gaussian(6, 3))


def test_refused_types():
    a, x = mlp(3, 4, 2), gaussian(6, 3)
    with pytest.raises(TypeError, match="`spec` must be given to match state dicts"):
        match(a.state_dict(), a.state_dict(), method="none")
    with pytest.raises(TypeError, match="must be modules"):
        match(a.state_dict(), a, x, method="covariance", spec=infer_spec(a))
