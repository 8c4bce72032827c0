"""Neurons with a kink: the inequality of a pair, the constants, and the bound above simulations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from otlmc import bounds, cite, wasserstein
from otlmc.bounds import kink_metric, kinked_deviation
from otlmc.laws import Gaussian, Laplace, Law, Product, Uniform
from otlmc.marginals import GAUSSIAN, UNIFORM

NEURONS = {
    "relu": (lambda u: np.maximum(u, 0.0), 1.0),
    "leaky relu": (lambda u: np.where(u > 0, u, 0.2 * u), 0.8),
    "absolute value": (np.abs, 2.0),
}
LAWS = [Gaussian(2), Gaussian(5), Gaussian(spectrum=[2.0, 1.0, 0.5]), Uniform(3), Laplace(2)]
PATH = np.linspace(0, 1, 21)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1), st.floats(0.01, 10))
def test_a_pair_is_far_apart_or_near_its_kink(u: float, v: float, t: float, shift: float) -> None:
    def near(s: float) -> float:
        return max(abs(s) / 4 - 2 * shift * s * s, 0.0)

    right = shift * (u - v) ** 2 + near(u) + near(v)
    for psi, jump in NEURONS.values():
        left = abs(psi(np.float64((1 - t) * u + t * v)) - (1 - t) * psi(u) - t * psi(v))
        assert left <= jump * right * (1 + 1e-12) + 1e-15


def test_the_shift_is_the_best_one() -> None:
    width, cost, density, total = 10**6, 0.3, 0.7, math.sqrt(4 / 10**6)
    shifts = np.geomspace(1e-3, 1e2, 100_001)
    least = (shifts * cost + density / (384 * shifts**2)).min() + total
    assert kinked_deviation(width, cost, density=density, variance=4.0) == pytest.approx(
        least, rel=1e-8
    )
    closed = 3 / 8 * (density * cost**2 / 3) ** (1 / 3) + total
    assert kinked_deviation(width, cost, density=density, variance=4.0) == pytest.approx(
        closed, rel=1e-12
    )


def test_the_order_is_four_thirds_of_the_distance() -> None:
    """Of W_2: in dimension 7 the deviation falls as m^(-4/21), the Lipschitz bound as m^(-1/7)."""
    law = Uniform(7)
    values = {
        name: [float(bounds.TwoLayer(law, **{name: 1.0}).deviation(2**e)) for e in (21, 42)]
        for name in ("kink", "lipschitz")
    }
    slopes = {name: math.log2(low / high) / 21 for name, (low, high) in values.items()}
    assert slopes["kink"] == pytest.approx(4 / 21, abs=0.01)
    assert slopes["lipschitz"] == pytest.approx(1 / 7, abs=0.01)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("width", [8, 96])
def test_above_random_networks(law: Law, name: str, width: int) -> None:
    psi, jump = NEURONS[name]
    rng = np.random.default_rng(4)
    x = rng.standard_normal((200, law.dim))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    worst = []
    for _ in range(40):
        a, b = law.sample(width, rng), law.sample(width, rng)
        b = b[wasserstein.distance(a, b).permutation]
        ends = psi(x @ a.T).mean(1), psi(x @ b.T).mean(1)
        gaps = [
            np.abs(psi(x @ ((1 - t) * a + t * b).T).mean(1) - (1 - t) * ends[0] - t * ends[1])
            for t in PATH
        ]
        worst.append(np.max(gaps))
    network = bounds.TwoLayer(law, kink=jump)
    stderr = np.std(worst, ddof=1) / math.sqrt(len(worst))
    assert np.mean(worst) <= float(network.deviation(width)) + 5 * stderr
    assert np.max(worst) <= float(network.deviation(width, confidence=0.99))


@pytest.mark.parametrize(
    ("law", "density"),
    [
        (Uniform(spectrum=[1.0, 0.3, 0.7]), lambda s: np.sinc(s * math.sqrt(3) / math.pi)),
        (Laplace(spectrum=[1.0, 2.0]), lambda s: 1 / (1 + s * s / 2)),
    ],
    ids=["uniform", "Laplace"],
)
def test_density_of_projections_by_fourier_inversion(law: Law, density) -> None:
    """At 0, where the density of a symmetric unimodal law is largest."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        e = rng.standard_normal(law.dim)
        e *= np.sqrt(law.variances) / np.linalg.norm(e)
        found, error = integrate.quad(
            lambda s, e=e: float(np.prod(density(s * e))) / math.pi, 0, 200, limit=2000
        )
        assert found - error - 1e-3 <= law.projection_density()


def test_density_of_gaussian_projections_is_exact() -> None:
    assert Gaussian(spectrum=[3.0, 0.25, 0.0]).projection_density() == pytest.approx(
        2 / math.sqrt(2 * math.pi)
    )
    mixed = Law([GAUSSIAN, UNIFORM], np.ones(2))
    assert mixed.projection_density() == pytest.approx(math.sqrt(2) / math.sqrt(2 * math.pi))


INPUTS = np.random.default_rng(9).standard_normal((100, 3)) * np.array([1.0, 0.3, 0.05])


@pytest.mark.parametrize("constants", [{"lipschitz": 1.0}, {"kink": 1.0}], ids=str)
@pytest.mark.parametrize("width", [8, 96])
def test_mean_over_inputs_above_random_networks(width: int, constants) -> None:
    law, rng, metric = Gaussian(3), np.random.default_rng(2), INPUTS.T @ INPUTS / len(INPUTS)
    if "kink" in constants:
        metric, _ = kink_metric(law, INPUTS)
    network, p = (
        bounds.TwoLayer(law, inputs=INPUTS, **constants),
        1 if "lipschitz" in constants else 2,
    )
    found = []
    for _ in range(40):
        a, b = law.sample(width, rng), law.sample(width, rng)
        b = b[wasserstein.distance(a, b, p=p, metric=metric).permutation]
        u, v = INPUTS @ a.T, INPUTS @ b.T
        ends = np.maximum(u, 0).mean(1), np.maximum(v, 0).mean(1)
        gaps = [
            np.abs(np.maximum((1 - t) * u + t * v, 0).mean(1) - (1 - t) * ends[0] - t * ends[1])
            for t in PATH
        ]
        found.append(np.max(gaps, axis=0).mean())
    stderr = np.std(found, ddof=1) / math.sqrt(len(found))
    assert np.mean(found) <= float(network.deviation(width)) + 5 * stderr
    assert np.max(found) <= float(network.deviation(width, confidence=0.99))
    everywhere = bounds.TwoLayer(law.scaled(np.linalg.norm(INPUTS, axis=1).max()), **constants)
    assert float(network.deviation(width)) < float(everywhere.deviation(width))


def test_inputs_set_the_metric_and_the_density() -> None:
    law = Gaussian(3)
    network = bounds.TwoLayer(law, smoothness=2.0, inputs=INPUTS)
    metric = INPUTS.T @ INPUTS / len(INPUTS)
    assert float(network.deviation(50)) == pytest.approx(
        float(bounds.upper(law.in_metric(metric), 50)) / 4
    )
    norms = np.linalg.norm(INPUTS, axis=1)
    root = math.sqrt(2 * math.pi)
    np.testing.assert_allclose(law.density_along(INPUTS), 1 / (root * norms))
    covariance = np.diag([1.0, 2.0, 3.0]) + 0.5
    spread = np.einsum("ni,ij,nj->n", INPUTS, covariance, INPUTS)
    turned = Gaussian(covariance=covariance)
    np.testing.assert_allclose(turned.density_along(INPUTS), 1 / (root * np.sqrt(spread)))
    np.testing.assert_allclose(Uniform(3).density_along(np.eye(3)), Uniform(3).projection_density())


def test_the_kink_weighs_inputs_by_their_densities() -> None:
    """Then the bound is homogeneous in every input, and a very small one does no harm."""
    law, norms = Gaussian(3), np.linalg.norm(INPUTS, axis=1)
    metric, density = kink_metric(law, INPUTS)
    assert density == pytest.approx(1 / (math.sqrt(2 * math.pi) * norms.mean()))
    weighted = (INPUTS / norms[:, None]).T @ INPUTS * norms.mean() / len(INPUTS)
    np.testing.assert_allclose(metric, weighted)
    plain = float(bounds.TwoLayer(law, kink=1.0, inputs=INPUTS).deviation(64))
    for added in (np.zeros((len(INPUTS), 3)), 1e-12 * INPUTS):  # halves the mean deviation
        both = np.vstack([INPUTS, added])
        found = float(bounds.TwoLayer(law, kink=1.0, inputs=both).deviation(64))
        assert found == pytest.approx(plain / 2, rel=1e-9)
    unbounded = Product([lambda u: np.sin(np.pi * (u - 0.5))] * 3)
    network = bounds.TwoLayer(unbounded, kink=1.0, lipschitz=1.0, inputs=np.eye(3))
    assert network.deviation(64).method == "lipschitz"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.ones((4, 2)), "`inputs` must have 3 columns"),
        (np.full((4, 3), np.nan), "`inputs`"),
        (np.ones(3), "`inputs`"),
        (np.zeros((4, 3)), "`inputs`"),
    ],
)
def test_bad_inputs_are_named(inputs, message) -> None:
    with pytest.raises(ValueError, match=message):
        bounds.TwoLayer(Gaussian(3), kink=1.0, inputs=inputs)


def test_inputs_that_turn_a_law_that_is_not_gaussian_are_named() -> None:
    with pytest.raises(ValueError, match="`inputs` ask for a metric"):
        bounds.TwoLayer(Uniform(3), lipschitz=1.0, inputs=INPUTS)
    assert float(bounds.TwoLayer(Uniform(3), kink=1.0, inputs=np.eye(3)).deviation(8)) > 0


def test_chaos_and_confidence_cost_something() -> None:
    law = Gaussian(3)
    plain, chaotic = bounds.TwoLayer(law, kink=2.0), bounds.TwoLayer(law, kink=2.0, chaos_error=0.1)
    cost = float(bounds.upper(law, 64))
    constants = {"density": 1 / math.sqrt(2 * math.pi), "variance": 3.0}
    kinked = kinked_deviation(64, (math.sqrt(cost) + 0.2) ** 2, **constants)
    assert float(chaotic.deviation(64)) == pytest.approx(2 * kinked + 2 * 0.05)
    levels = [float(plain.deviation(64, confidence=c)) for c in (0.5, 0.9, 0.999)]
    assert float(plain.deviation(64)) < levels[0] < levels[1] < levels[2]
    sure = float(bounds.upper(law, 64, confidence=0.95))
    assert levels[1] == pytest.approx(2 * kinked_deviation(64, sure, miss=0.05, **constants))


def test_a_density_without_bound_says_nothing() -> None:
    """The arcsine law: its density is infinite at both ends."""
    network = bounds.TwoLayer(Product([lambda u: np.sin(np.pi * (u - 0.5))] * 2), kink=1.0)
    for found in (network.deviation(100), network.deviation(100, confidence=0.9)):
        assert found.value == math.inf
    assert network.matching_shortfall(100).value == math.inf


@pytest.mark.parametrize("variance", [1e-300, 1e-100, 1e100, 1e300])
def test_very_small_and_very_large_neurons(variance: float) -> None:
    """The deviation is homogeneous in the neurons."""
    one, other = (bounds.TwoLayer(Gaussian(spectrum=[v]), kink=1.0) for v in (1.0, variance))
    for confidence in (None, 0.9):
        plain, scaled = (n.deviation(100, confidence=confidence).value for n in (one, other))
        assert scaled == pytest.approx(math.sqrt(variance) * plain, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width"),
        ({"cost": -1.0}, "cost"),
        ({"density": 0.0}, "density"),
        ({"variance": -1.0}, "variance"),
        ({"miss": 1.0}, "miss"),
    ],
)
def test_bad_arguments_of_the_kinked_deviation_are_named(arguments, message) -> None:
    given = {"width": 4, "cost": 1.0, "density": 1.0} | arguments
    with pytest.raises(ValueError, match=f"`{message}`"):
        kinked_deviation(given.pop("width"), given.pop("cost"), **given)


def test_heavy_tails_and_astronomic_widths_stay_finite() -> None:
    law = Product([lambda u: np.tan(1.2 * (u - 0.5))] * 2)
    assert 0 < float(bounds.TwoLayer(law, kink=1.0).deviation(10, confidence=0.9)) < math.inf
    network = bounds.TwoLayer(Gaussian(3), kink=1.0)
    assert 0 < float(network.deviation(2**500)) <= float(network.deviation(2**60))


def test_cited_with_its_proof() -> None:
    network = bounds.TwoLayer(Gaussian(2), lipschitz=1.0, kink=1.0)
    pages = [r.where for r in cite(bounds.min_width(network, 0.1)).references if r.key == "otlmc"]
    assert pages == ["docs/derivations/two_layer", "docs/derivations/kink"]
    keys = {reference.key for reference in cite(network.deviation(2**20)).references}
    assert {"ledoux1991", "mcdiarmid1989", "rogozin1987", "ball1986"} <= keys
