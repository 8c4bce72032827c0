"""Every bound against simulation, and its symmetries."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otlmc import bounds, wasserstein
from otlmc.laws import Gaussian, Laplace, Law, Product, TruncatedGaussian, Uniform
from otlmc.results import Comparison

EXPONENTIAL = Product([lambda u: -np.log1p(-u)] * 2)

CASES = [
    *((Gaussian(d), m) for d in (1, 2, 3, 5, 10, 50, 100) for m in (2, 5, 16, 65)),
    *((Uniform(d), m) for d in (1, 2, 5, 20) for m in (3, 24, 128)),
    *((law, m) for law in (Laplace(2), TruncatedGaussian(3), EXPONENTIAL) for m in (7, 64)),
    *((Gaussian(spectrum=np.arange(1.0, 40.0) ** -power), 128) for power in (1, 1.5, 2)),
    (Gaussian(2), 1536),
    (Gaussian(100), 1024),
    (Uniform(5), 1000),
]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize(("law", "width"), CASES, ids=lambda value: f"{value}")
def test_bounds_bracket_the_simulation(law: Law, width: int, p: int) -> None:
    repetitions = max(4, min(400, 20_000 // width))
    cost = wasserstein.two_sample_cost(law, width, repetitions=repetitions, rng=width, p=p)
    bracket = Comparison(
        quantity=cost.quantity,
        measured=cost.measured,
        stderr=cost.stderr,
        lower=float(bounds.lower(law, width, p=p)),
        upper=float(bounds.upper(law, width, p=p)),
        kind="two-sided",
    )
    assert bracket.holds(), bracket


def test_random_spectra() -> None:
    rng = np.random.default_rng(5)
    for case in range(12):
        law = Gaussian(spectrum=rng.exponential(size=int(rng.integers(1, 30))) ** 3)
        width = int(rng.integers(2, 200))
        cost = wasserstein.two_sample_cost(law, width, repetitions=60, rng=case)
        slack = 5 * cost.stderr
        assert float(bounds.lower(law, width)) - slack <= cost.measured
        assert cost.measured <= float(bounds.upper(law, width)) + slack


@pytest.mark.parametrize("law", [Gaussian(2), Uniform(3), Laplace(1)], ids=repr)
@pytest.mark.parametrize("p", [1, 2])
def test_confidence_is_kept(law: Law, p: int) -> None:
    costs = wasserstein.two_sample_costs(law, 32, repetitions=300, rng=1, p=p)
    for confidence in (0.5, 0.9):
        missed = np.mean(costs > float(bounds.upper(law, 32, p=p, confidence=confidence)))
        allowed = 1 - confidence
        assert missed <= allowed + 5 * math.sqrt(allowed * confidence / len(costs))


laws = st.one_of(
    st.builds(
        lambda s: Gaussian(spectrum=s), st.lists(st.floats(0.01, 10.0), min_size=1, max_size=6)
    ),
    st.builds(
        lambda s: Uniform(spectrum=s), st.lists(st.floats(0.01, 10.0), min_size=1, max_size=6)
    ),
)
orders = st.sampled_from([1, 2])


@settings(deadline=None, max_examples=40)
@given(laws, st.integers(0, 60), orders)
def test_both_sides_fall_with_the_width(law: Law, exponent: int, p: int) -> None:
    narrow, wide = 2**exponent, 2 ** (exponent + 1)
    roundoff = 1e-12 * law.variances.sum()  # the rank bound is a difference of such numbers
    for side in (bounds.upper, bounds.lower):
        below, above = float(side(law, wide, p=p)), float(side(law, narrow, p=p))
        assert below ** (2 / p) <= above ** (2 / p) * (1 + 1e-6) + roundoff
    assert float(bounds.lower(law, narrow, p=p)) <= float(bounds.upper(law, narrow, p=p)) * (
        1 + 1e-9
    )


@settings(deadline=None, max_examples=30)
@given(laws, st.integers(1, 3000), st.floats(0.1, 10.0), orders)
def test_a_factor_scales_the_bounds(law: Law, width: int, factor: float, p: int) -> None:
    for side in (bounds.upper, bounds.lower):
        plain, scaled = side(law, width, p=p), side(law.scaled(factor), width, p=p)
        assert float(scaled) == pytest.approx(factor**p * float(plain), rel=1e-7)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.1, 5.0), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_a_rotation_leaves_a_gaussian_alone(spectrum: list[float], seed: int) -> None:
    size = len(spectrum)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    law = Gaussian(covariance=turn @ np.diag(spectrum) @ turn.T)
    for side in (bounds.upper, bounds.lower):
        plain = side(Gaussian(spectrum=spectrum), 100)
        assert float(side(law, 100)) == pytest.approx(float(plain), rel=1e-6)


@pytest.mark.parametrize("exponent", [500, 10**4, 10**6])
def test_astronomic_widths(exponent: int) -> None:
    law = Gaussian(spectrum=np.arange(1.0, 1e5 + 1) ** -1.5)
    upper, lower = bounds.upper(law, 2**exponent), bounds.lower(law, 2**exponent)
    assert 0 <= float(lower) <= float(upper) < 2 * law.variances.sum()


@pytest.mark.parametrize(
    "arguments", [{"lipschitz": 1.0}, {"smoothness": 2.0}, {"lipschitz": 2.0, "kink": 1.0}]
)
@pytest.mark.parametrize("tolerance", [0.3, 0.7])
def test_min_width_is_the_least_by_brute_force(arguments, tolerance) -> None:
    for law in (Gaussian(1), Uniform(2), Gaussian(spectrum=[1.0, 0.1])):
        network = bounds.TwoLayer(law, **arguments)
        found = bounds.min_width(network, tolerance)
        widths = range(1, 1200)
        enough = next(m for m in widths if float(network.deviation(m)) <= tolerance)
        needed = next(m for m in widths if float(network.matching_shortfall(m)) <= tolerance)
        assert (found.upper, found.lower) == (enough, needed)
        assert found.log2_upper == pytest.approx(math.log2(enough))


def test_two_layer_deviation_of_random_networks() -> None:
    """Neurons tanh(<w, x>) with |x| <= 1: L = 1 exactly, beta = max |tanh''|."""
    rng = np.random.default_rng(2)
    law, width, path = Gaussian(3), 40, np.linspace(0, 1, 21)
    x = rng.standard_normal((50, 3))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1)
    beta = 4 / (3 * math.sqrt(3))
    network = bounds.TwoLayer(law, lipschitz=1.0, smoothness=beta)
    worst = []
    for _ in range(40):
        a, b = law.sample(width, rng), law.sample(width, rng)
        b = b[wasserstein.distance(a, b, p=1).permutation]
        ends = np.tanh(x @ a.T).mean(1), np.tanh(x @ b.T).mean(1)
        gaps = [
            np.abs(np.tanh(x @ ((1 - t) * a + t * b).T).mean(1) - (1 - t) * ends[0] - t * ends[1])
            for t in path
        ]
        worst.append(np.max(gaps))
    stderr = np.std(worst, ddof=1) / math.sqrt(len(worst))
    for name, value in network.deviation(width).candidates:
        assert np.mean(worst) <= value + 5 * stderr, name
