"""Lower bounds through means, densities and nearest neighbours."""

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.spatial import cKDTree

from otlmc.bounds import nearest
from otlmc.bounds.nearest import density_bound, mean_bound, nearest_neighbour_bound
from otlmc.laws import Gaussian, Laplace, TruncatedGaussian, Uniform


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("width", [1, 4, 100, 1024])
def test_nearest_neighbour_on_the_line_by_quadrature(width: int, p: int) -> None:
    """E min_j |a - b_j|^p = E over a of the integral of P(nearest farther than r) d(r^p)."""

    def given(a: float) -> float:
        def survival(r: float) -> float:
            inside = special.ndtr(a + r) - special.ndtr(a - r)
            return p * r ** (p - 1) * (1 - inside) ** width

        return integrate.quad(survival, 0, 20 + abs(a), limit=400, points=[20 / width])[0]

    exact = 2 * integrate.quad(lambda a: given(a) * stats.norm.pdf(a), 0, 9, limit=200)[0]
    found = nearest_neighbour_bound(Gaussian(1), width, p)
    assert found <= exact * (1 + 1e-9)
    assert found >= 0.7 * exact  # a lower sum over steps, coarse on the line


@pytest.mark.parametrize("dim", [2, 5, 30])
@pytest.mark.parametrize("p", [1, 2])
def test_nearest_neighbour_against_sampling(dim: int, p: int) -> None:
    rng, width = np.random.default_rng(dim), 200
    nearest = []
    for _ in range(300):
        tree = cKDTree(rng.standard_normal((width, dim)))
        nearest.append(np.mean(tree.query(rng.standard_normal((20, dim)))[0] ** p))
    mean, stderr = np.mean(nearest), np.std(nearest, ddof=1) / math.sqrt(len(nearest))
    found = nearest_neighbour_bound(Gaussian(dim), width, p)
    assert 0.95 * mean <= found <= mean + 5 * stderr


@pytest.mark.parametrize("dim", [1, 2, 5, 30])
@pytest.mark.parametrize("p", [1, 2])
def test_quadrature_over_the_norm_errs_on_the_low_side(dim: int, p: int, monkeypatch) -> None:
    widths = (1, 16, 1024, 2**40)
    found = [nearest_neighbour_bound(Gaussian(dim), width, p) for width in widths]
    nodes = np.polynomial.legendre.leggauss(480)
    monkeypatch.setattr(np.polynomial.legendre, "leggauss", lambda _: nodes)
    nearest._isotropic_nearest.cache_clear()
    finer = [nearest_neighbour_bound(Gaussian(dim), width, p) for width in widths]
    nearest._isotropic_nearest.cache_clear()
    assert all(f <= g for f, g in zip(found, finer, strict=True))


@pytest.mark.parametrize(
    "law", [Gaussian(2), Uniform(2), Laplace(2), TruncatedGaussian(2, bound=1.0)], ids=repr
)
@pytest.mark.parametrize("p", [1, 2])
def test_density_bound_is_below_the_nearest_neighbour(law, p: int) -> None:
    rng, width = np.random.default_rng(3), 100
    costs = []
    for _ in range(300):
        tree = cKDTree(law.sample(width, rng))
        costs.append(np.mean(tree.query(law.sample(20, rng))[0] ** p))
    stderr = np.std(costs, ddof=1) / math.sqrt(len(costs))
    assert density_bound(law, width, p) <= np.mean(costs) + 5 * stderr


@pytest.mark.parametrize("p", [1, 2])
def test_density_bound_by_quadrature(p: int) -> None:
    """The integral of (1 - F omega r^d)^m d(r^p)."""
    law, dim, width = Uniform(3), 3, 50
    peak, ball = 12.0**-1.5, 4 / 3 * math.pi
    end = (peak * ball) ** (-1 / dim)
    value, _ = integrate.quad(
        lambda r: p * r ** (p - 1) * (1 - peak * ball * r**dim) ** width, 0, end
    )
    # a projection to fewer coordinates may do better
    assert density_bound(law, width, p) >= value * (1 - 1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3, 40])
@pytest.mark.parametrize("p", [1, 2])
def test_density_bound_is_never_rounded_up(dim: int, p: int) -> None:
    """The quotient of Gamma functions in 60 digits, on widths of every size."""
    for width in (1, 2, 9, 1000, 2**16, 2**16 + 1, 1_516_371, 2**34 + 5, 2**50, 2**200):
        with mpmath.workdps(60 + width.bit_length()):
            exact = mpmath.mpf(0)
            for k in range(1, dim + 1):
                power, ball = mpmath.mpf(p) / k, mpmath.pi ** (k / 2) / mpmath.gamma(1 + k / 2)
                value = (mpmath.mpf(12) ** (-k / 2) * ball) ** -power * mpmath.gamma(1 + power)
                step = mpmath.loggamma(width + 1) - mpmath.loggamma(width + 1 + power)
                exact = max(exact, value * mpmath.exp(step))
            relative = float(mpmath.mpf(density_bound(Uniform(dim), width, p)) / exact - 1)
        assert -5e-5 <= relative <= 1e-9


@pytest.mark.parametrize("width", [1, 6, 500])
def test_mean_bound_of_order_one_on_the_line(width: int) -> None:
    # |N(0, 2 / m)| has the mean 2 / sqrt(pi m)
    assert mean_bound(Gaussian(1), width, 1) == pytest.approx(2 / math.sqrt(math.pi * width))
    assert mean_bound(Uniform(1), width, 1) == 0


def test_neurons_that_fill_no_space() -> None:
    """A coordinate without variance changes nothing."""
    thin = Gaussian(spectrum=[1.0, 0.0, 1.0])
    for bound in (mean_bound, density_bound, nearest_neighbour_bound):
        for p in (1, 2):
            assert bound(thin, 77, p) == pytest.approx(bound(Gaussian(2), 77, p), rel=1e-12)
