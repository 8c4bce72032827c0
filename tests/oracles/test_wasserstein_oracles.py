"""W_p against independent solvers, enumeration and closed forms."""

from itertools import permutations

import numpy as np
import ot
import pytest
from scipy import stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otlmc import wasserstein

EXACT = 1e-10


def samples(seed, m, n, dim):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, dim)), 1.5 * rng.normal(size=(n, dim)) + 0.3


def costs(x, y, p):
    return np.linalg.norm(x[:, None] - y[None], axis=2) ** p


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("m", [1, 2, 3, 5, 7])
def test_brute_force(m, dim, p):
    x, y = samples(m, m, m, dim)
    table = costs(x, y, p)
    best = min(table[range(m), order].mean() for order in permutations(range(m)))
    result = wasserstein.distance(x, y, p=p)
    assert result.cost == pytest.approx(best, rel=EXACT)
    assert table[range(m), result.permutation].mean() == pytest.approx(best, rel=EXACT)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("m", [16, 200])
def test_assignment_solver_of_scipy(m, dim, p):
    x, y = samples(dim, m, m, dim)
    table = costs(x, y, p)
    result = wasserstein.distance(x, y, p=p)
    assert result.cost == pytest.approx(table[linear_sum_assignment(table)].mean(), rel=EXACT)
    assert sorted(result.permutation) == list(range(m))
    assert result.plan is None
    assert abs(result.gap) <= EXACT * result.cost


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("m", "n"), [(1, 9), (40, 25), (60, 60)])
def test_emd_of_pot(m, n, weighted, dim, p):
    x, y = samples(m + n, m, n, dim)
    rng = np.random.default_rng(5)
    a = rng.dirichlet(np.full(m, 0.5)) if weighted else None
    b = rng.dirichlet(np.ones(n)) if weighted else None
    result = wasserstein.distance(x, y, p=p, weights_x=a, weights_y=b)
    expected = ot.emd2([] if a is None else a, [] if b is None else b, costs(x, y, p))
    assert result.cost == pytest.approx(expected, rel=EXACT)
    assert abs(result.gap) <= EXACT * result.cost
    if result.permutation is None:
        plan = result.plan.toarray()
        np.testing.assert_allclose(plan.sum(1), np.full(m, 1 / m) if a is None else a, atol=1e-12)
        np.testing.assert_allclose(plan.sum(0), np.full(n, 1 / n) if b is None else b, atol=1e-12)
        assert (plan * costs(x, y, p)).sum() == pytest.approx(result.cost, rel=EXACT)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 7), (500, 300)])
def test_line_against_scipy(m, n):
    x, y = samples(1, m, n, 1)
    rng = np.random.default_rng(2)
    a, b = rng.dirichlet(np.ones(m)), rng.dirichlet(np.ones(n))
    result = wasserstein.distance(x, y, p=1, weights_x=a, weights_y=b)
    expected = stats.wasserstein_distance(x[:, 0], y[:, 0], a, b)
    assert result.value == pytest.approx(expected, rel=EXACT)
    square = ot.wasserstein_1d(x[:, 0], y[:, 0], a, b, p=2)
    result = wasserstein.distance(x, y, weights_x=a, weights_y=b)
    assert result.cost == pytest.approx(square, rel=EXACT)


@pytest.mark.parametrize("p", [1, 2])
def test_the_line_and_the_simplex_agree(p):
    x, y = samples(3, 70, 50, 1)
    flat = [np.hstack([points, np.zeros_like(points)]) for points in (x, y)]
    on_line, in_plane = wasserstein.distance(x, y, p=p), wasserstein.distance(*flat, p=p)
    assert (on_line.method, in_plane.method) == ("sort", "network simplex")
    assert on_line.cost == pytest.approx(in_plane.cost, rel=EXACT)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("rank", [1, 3, 6])
def test_metric_against_its_own_cost_matrix(rank, p):
    x, y = samples(4, 30, 45, 6)
    factor = np.random.default_rng(6).normal(size=(6, rank))
    sigma = factor @ factor.T
    table = cdist(x @ factor, y @ factor) ** p
    result = wasserstein.distance(x, y, p=p, metric=sigma)
    assert result.cost == pytest.approx(ot.emd2([], [], table), rel=EXACT)
    assert result.method == ("sort" if rank == 1 else "network simplex")


def test_closed_forms():
    # A translation costs its length; a central symmetry of a line pairs the order statistics.
    x = np.random.default_rng(7).normal(size=(20, 3))
    shift = np.array([3.0, 4.0, 12.0])
    for p in (1, 2):
        assert wasserstein.distance(x, x + shift, p=p).value == pytest.approx(13, rel=EXACT)
    # A mass at the origin against any sample: the coupling is the product.
    norms = np.linalg.norm(x, axis=1)
    origin = np.zeros((1, 3))
    assert wasserstein.distance(x, origin, p=1).cost == pytest.approx(norms.mean(), rel=EXACT)
    assert wasserstein.distance(x, origin).cost == pytest.approx((norms**2).mean(), rel=EXACT)
    # A scaling about the mean is a gradient of a convex function, hence optimal.
    centred = x - x.mean(0)
    expected = 4 * (centred**2).sum(1).mean()
    assert wasserstein.distance(centred, 3 * centred).cost == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize(("m", "dim"), [(64, 1), (64, 2), (64, 5), (16, 20)])
def test_expected_cost_of_uniform_and_gaussian_samples(m, dim):
    """On the line S_2 = (2/m) sum of the variances of the order statistics; else its mean bound."""
    rng = np.random.default_rng(8)
    uniform = wasserstein.two_sample_cost(
        lambda width, rng: rng.uniform(size=(width, dim)), m, repetitions=200, rng=rng
    )
    k = np.arange(1, m + 1)
    exact = 2 / m * (k * (m + 1 - k) / ((m + 1) ** 2 * (m + 2))).sum()
    if dim == 1:
        assert abs(uniform.measured - exact) < 5 * uniform.stderr
    else:  # each coordinate costs at least what it costs alone
        assert uniform.measured > dim * exact - 5 * uniform.stderr
