"""Invariances of W_p and the axioms of a metric."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from otlmc import wasserstein

ORDERS = st.sampled_from([1, 2])
# Round-off of a distance of samples whose coordinates are of order one, through a square root.
SLACK = 1e-7


@st.composite
def clouds(draw, count=1, equal=False):
    """``count`` samples of one dimension, with ties and repeated points."""
    dim = draw(st.integers(1, 4))
    size = draw(st.integers(1, 12))
    entries = st.integers(-8, 8).map(lambda k: k / 4) | st.floats(-2, 2, width=32)
    return [
        draw(
            arrays(np.float64, (size if equal else draw(st.integers(1, 12)), dim), elements=entries)
        )
        for _ in range(count)
    ]


def value(x, y, p, **options):
    result = wasserstein.distance(x, y, p=p, **options)
    assert abs(result.gap) <= 1e-10
    return result.value


@given(clouds(2), ORDERS)
def test_symmetry(pair, p):
    x, y = pair
    assert value(x, y, p) == pytest.approx(value(y, x, p), abs=SLACK)


@given(clouds(3), ORDERS)
def test_triangle_inequality(triple, p):
    x, y, z = triple
    assert value(x, z, p) <= value(x, y, p) + value(y, z, p) + SLACK


@given(clouds(1), ORDERS, st.randoms(use_true_random=False))
def test_zero_only_between_equal_samples(cloud, p, random):
    (x,) = cloud
    order = random.sample(range(len(x)), len(x))
    assert value(x, x[order], p) == 0
    moved = x.copy()
    moved[0, 0] += 1.0
    # Total mass 1/m moves, and the means differ by 1/m: W_p >= W_1 >= 1/m.
    assert value(x, moved, p) >= 1 / len(x) - SLACK


@given(clouds(2, equal=True), ORDERS, st.randoms(use_true_random=False))
def test_order_of_the_points_does_not_matter(pair, p, random):
    x, y = pair
    order = random.sample(range(len(y)), len(y))
    before, after = wasserstein.distance(x, y, p=p), wasserstein.distance(x, y[order], p=p)
    assert before.cost == pytest.approx(after.cost, abs=SLACK)
    for result, points in ((before, y), (after, y[order])):
        steps = np.linalg.norm(x - points[result.permutation], axis=1)
        assert (steps**p).mean() == pytest.approx(result.cost, rel=1e-10, abs=1e-12)


@given(clouds(2), st.floats(-100, 100))
def test_translation(pair, shift):
    x, y = pair
    gap = y.mean(0) - x.mean(0)
    assert value(x + shift, y + shift, 1) == pytest.approx(value(x, y, 1), abs=SLACK)
    # W_2^2 splits into the squared distance of the means and the cost between centred samples.
    centred = value(x - x.mean(0), y - y.mean(0), 2) ** 2
    assert value(x, y, 2) ** 2 == pytest.approx(centred + gap @ gap, rel=1e-9, abs=1e-12)


@given(clouds(2), ORDERS, st.integers(-500, 500))
def test_scale(pair, p, exponent):
    """Powers of two, up to where the cost itself, a square, would overflow."""
    x, y = (np.ldexp(points, exponent) for points in pair)
    assert wasserstein.distance(x, y, p=p).value == pytest.approx(
        np.ldexp(value(*pair, p), exponent), rel=1e-12
    )


@given(clouds(2))
def test_jensen(pair):
    assert value(*pair, 1) <= value(*pair, 2) + SLACK


@given(clouds(2), ORDERS, st.integers(0, 1000))
def test_rotation_and_identity_metric(pair, p, seed):
    x, y = pair
    dim = x.shape[1]
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))
    assert value(x @ q, y @ q, p) == pytest.approx(value(x, y, p), abs=SLACK)
    assert value(x, y, p, metric=4 * np.eye(dim)) == pytest.approx(2 * value(x, y, p), abs=SLACK)


@given(clouds(2), ORDERS, st.data())
def test_weights_are_multiplicities(pair, p, data):
    x, y = pair
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(x), max_size=len(x))))
    counts[0] += 1
    repeated = np.repeat(x, counts, axis=0)
    weighted = value(x, y, p, weights_x=counts / counts.sum())
    assert weighted == pytest.approx(value(repeated, y, p), abs=SLACK)


@settings(max_examples=30)
@given(clouds(2), ORDERS, st.integers(0, 1000))
def test_any_coupling_costs_at_least_the_optimum(pair, p, seed):
    x, y = pair
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(len(x))), rng.dirichlet(np.ones(len(y)))
    table = np.linalg.norm(x[:, None] - y[None], axis=2) ** p
    cost = wasserstein.distance(x, y, p=p, weights_x=a, weights_y=b).cost
    assert cost <= a @ table @ b + 1e-12
