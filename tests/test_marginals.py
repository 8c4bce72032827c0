"""One-dimensional laws: constants and integrals against numerical integration."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from otlmc.laws import Laplace, Law, Product, TruncatedGaussian
from otlmc.marginals import GAUSSIAN, LAPLACE, UNIFORM, from_quantile, truncated_gaussian

MARGINALS = [GAUSSIAN, UNIFORM, LAPLACE, *map(truncated_gaussian, (0.1, 0.5, 2.0, 6.0))]
LIPSCHITZ = [marginal for marginal in MARGINALS if math.isfinite(marginal.lipschitz)]


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: m.name)
def test_interval_means_and_profile_by_quadrature(marginal) -> None:
    for cuts in (1, 3):
        edges = np.linspace(0, 1, 2**cuts + 1)
        means = [
            2**cuts * integrate.quad(marginal.quantile, a, b, epsabs=1e-12, limit=400)[0]
            for a, b in itertools.pairwise(edges)
        ]
        assert marginal.interval_means(cuts) == pytest.approx(means, abs=1e-8)
        # g by its definition: mean over the cells of E|X - Y|^2 = 2 Var
        second = integrate.quad(lambda u: marginal.quantile(u) ** 2, 0, 1, limit=400)[0]
        assert marginal.profile(cuts) == pytest.approx(2 * (second - np.mean(np.square(means))))


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: m.name)
def test_profile_falls_to_zero(marginal) -> None:
    assert marginal.profile(0) == pytest.approx(2.0, abs=1e-12)
    # smallest drop: 4e-12 for bounded laws at 2^20 cells, beside round-off of means of order 1e-13
    assert (marginal.drops > 0).all()
    assert 0 <= marginal.profile(20) < 1e-5


@pytest.mark.parametrize("marginal", LIPSCHITZ, ids=lambda m: m.name)
def test_lipschitz_constant_is_the_least(marginal) -> None:
    z = np.linspace(-6, 1, 70_001)
    slope = np.diff(marginal.quantile(special.ndtr(z))) / np.diff(z)
    assert slope.max() == pytest.approx(marginal.lipschitz, rel=1e-6)


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: m.name)
def test_entropy_power_and_peak_from_the_slope_of_the_quantile(marginal) -> None:
    """h = integral of log Q'(u), and the density is 1 / Q'."""

    def slope(u: float) -> float:
        step = 1e-6 * min(u, 1 - u)
        return float(marginal.quantile(u + step) - marginal.quantile(u - step)) / (2 * step)

    entropy = 2 * integrate.quad(lambda u: math.log(slope(u)), 0.5, 1 - 1e-9, limit=400)[0]
    power = math.exp(2 * entropy) / (2 * math.pi * math.e)
    assert marginal.entropy_power == pytest.approx(power, rel=1e-5)
    assert 1 / slope(0.5) == pytest.approx(marginal.peak, rel=2e-6)
    assert all(1 / slope(u) <= marginal.peak * (1 + 2e-6) for u in np.linspace(0.01, 0.99, 99))


@pytest.mark.parametrize(
    ("name", "quantile", "variance"),
    [
        ("density without bound at 0", lambda u: u**2, 1 / 5 - 1 / 9),
        ("density without bound at 1", lambda u: 1 - (1 - u) ** 3, 1 / 7 - 1 / 16),
        ("exponential", lambda u: -np.log1p(-u), 1.0),
        ("lognormal", lambda u: np.exp(0.5 * special.ndtri(u)), math.exp(0.5) - math.exp(0.25)),
    ],
)
def test_skewed_laws_by_quantile(name, quantile, variance) -> None:
    marginal, found = from_quantile(name, quantile)
    assert found == pytest.approx(variance, rel=1e-5)
    assert not marginal.unimodal
    assert 0 < marginal.entropy_power < 1  # the Gaussian has the most
    u = np.linspace(0.01, 0.99, 50)
    assert marginal.quantile(u) * math.sqrt(variance) == pytest.approx(
        quantile(u) - integrate.quad(quantile, 0, 1)[0], abs=1e-6
    )


@pytest.mark.parametrize(
    ("name", "quantile", "variance"),
    [
        ("lognormal", lambda u: np.exp(1.5 * special.ndtri(u)), math.exp(4.5) - math.exp(2.25)),
        ("Pareto", lambda u: (1 - u) ** (-1 / 3.5), 3.5 / (1.5 * 2.5**2)),
        ("Student", lambda u: stats.t(4).ppf(u), 2.0),
        ("Weibull", lambda u: np.log1p(-u) ** 2, 20.0),
    ],
)
def test_variance_of_heavy_tails(name, quantile, variance) -> None:
    assert from_quantile(name, quantile)[1] == pytest.approx(variance, rel=3e-6)


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: m.name)
def test_unimodal_laws_are_recognised_by_quantile(marginal) -> None:
    assert from_quantile("given", marginal.quantile)[0].unimodal


def test_laws_with_more_mass_at_the_ends_are_not_unimodal() -> None:
    assert not from_quantile("arcsine", lambda u: np.sin(np.pi * (u - 0.5)))[0].unimodal
    assert not from_quantile("two bumps", lambda u: u + np.tanh(5 * (2 * u - 1)))[0].unimodal


def test_entropy_power_of_the_exponential_law() -> None:
    marginal, _ = from_quantile("exponential", lambda u: -np.log1p(-u))
    assert marginal.entropy_power == pytest.approx(math.e / (2 * math.pi), rel=1e-5)  # h = 1 nat
    assert marginal.peak == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("quantile", "reason"),
    [
        (lambda u: np.tan(np.pi * (u - 0.5)), "tails"),  # Cauchy
        (lambda u: (1 - u) ** -0.4, "tails"),  # Pareto, of variance 20/9 and no fourth moment
        (lambda u: u + 10 * (u > 0.07), "suddenly"),  # a gap in the support
        (lambda u: u + 0.01 * (u > 0.3), "suddenly"),
        (lambda u: special.ndtri(u) + np.tanh(1000 * (u - 0.4)), "suddenly"),  # nearly a gap
        (lambda u: np.where(u < 0.5, u, 4 * u - 1.5), "suddenly"),  # the density jumps
        (lambda u: np.cbrt(u - 0.5), "suddenly"),  # the density vanishes at the median
        (lambda u: np.maximum(u, 0.01), "atom"),
        (lambda u: -u, "atom"),
        (lambda u: np.sqrt(u - 0.5), "finite"),
        (lambda u: 1.0, "vectorised"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_quantile_functions_that_are_refused(quantile, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        Product([quantile])


def test_laws_refuse_what_is_no_law() -> None:
    with pytest.raises(TypeError, match="`quantiles`"):
        Product([0.5])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`bound`"):
        TruncatedGaussian(2, bound=1e-6)
    with pytest.raises(ValueError, match="`marginals`"):
        Law((GAUSSIAN, UNIFORM), np.ones(3))
    with pytest.raises(ValueError, match="total variance"):
        Laplace(spectrum=[1.0, 0.0]).in_metric(np.diag([0.0, 1.0]))
    for spectrum in ([5e307] * 3, [5e-324]):
        with pytest.raises(ValueError, match="total variance"), np.errstate(over="ignore"):
            Laplace(spectrum=spectrum)
    for factor in (1e200, 1e-200):
        with pytest.raises(ValueError, match="total variance"), np.errstate(over="ignore"):
            Laplace(2).scaled(factor)
