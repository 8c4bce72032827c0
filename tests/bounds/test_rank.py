"""The rank bound: exact values on the line, rates, and its range without exact expectations."""

import math

import numpy as np
import pytest
from scipy import integrate, special

from otlmc import bounds, wasserstein
from otlmc.bounds import rank
from otlmc.bounds.rank import rank_bound
from otlmc.laws import Gaussian, Laplace, Product, TruncatedGaussian, Uniform
from otlmc.marginals import UNIFORM

LINES = [Gaussian(1), Uniform(1), Laplace(1), TruncatedGaussian(1), TruncatedGaussian(1, bound=0.5)]
EXPONENTIAL = Product([lambda u: -np.log1p(-u)])


def line_cost(quantile, width: int) -> float:
    """S_2 on the line by adaptive quadrature.

    Sorted samples have S_2 = (2/m) sum Var X_(s) = 2 (1 - (1/m) sum (E X_(s))^2), and E X_(s) by
    quadrature against the Beta density.
    """
    means = []
    for s in range(1, width + 1):
        log_c = -special.betaln(s, width + 1 - s)
        means.append(
            integrate.quad(
                lambda u, s=s, c=log_c: (
                    float(quantile(u))
                    * math.exp(c + (s - 1) * math.log(u) + (width - s) * math.log1p(-u))
                ),
                0,
                1,
                limit=400,
                epsabs=1e-12,
            )[0]
        )
    return 2 * (1 - float(np.mean(np.square(means))))


@pytest.mark.parametrize("law", LINES, ids=repr)
@pytest.mark.parametrize("width", [2, 5, 12])
def test_exact_on_the_line_by_quadrature(law, width: int) -> None:
    quantile = law.marginals[0].quantile
    values = [line_cost(quantile, w) for w in range(1, width + 1)]
    assert np.all(np.diff(values) < 0)  # so that no narrower width can be better
    # widths of four bits or more are rounded down to three
    used = width if width < 8 else width >> (width.bit_length() - 3) << (width.bit_length() - 3)
    assert rank_bound(law, width) == pytest.approx(values[used - 1], rel=1e-8)


@pytest.mark.parametrize("law", LINES, ids=repr)
@pytest.mark.parametrize("width", [2, 9, 23])
def test_both_bounds_are_exact_on_the_line(law, width: int) -> None:
    exact = line_cost(law.marginals[0].quantile, width)
    assert float(bounds.lower(law, width)) == pytest.approx(exact, rel=1e-8)
    assert float(bounds.upper(law, width)) == pytest.approx(exact, rel=1e-8)
    assert bounds.lower(law, width).method == "sorting"


@pytest.mark.parametrize("width", [2, 8, 96])
def test_exponential_spacings_in_closed_form(width: int) -> None:
    """Renyi: X_(s) is a sum of independent exponentials, Var X_(s) = sum of 1 / (m - j)^2."""
    variances = np.cumsum(1 / np.arange(width, 0, -1.0) ** 2)
    assert rank_bound(EXPONENTIAL, width) == pytest.approx(2 * variances.mean(), rel=1e-6)


def test_printed_monte_carlo_value_of_the_line_is_noise() -> None:
    """The design notes print 0.095 for a Gaussian line at m = 64; the exact value is 0.0825."""
    exact = rank_bound(Gaussian(1), 64)
    assert exact == pytest.approx(0.08246, abs=5e-6)
    cost = wasserstein.two_sample_cost(Gaussian(1), 64, repetitions=8000, rng=0)
    assert abs(cost.measured - exact) <= 5 * cost.stderr
    assert cost.measured + 5 * cost.stderr < 0.095


@pytest.mark.parametrize(("dim", "low", "high"), [(2, 10, 20), (3, 9, 21), (4, 12, 24)])
def test_slope_of_the_uniform_law(dim: int, low: int, high: int) -> None:
    """Between two powers of the number of cells: m^-1 log m in the plane, m^(-2/d) above."""
    values = [rank_bound(Uniform(dim), 2**e) for e in (low, high)]
    measured = math.log(values[1] / values[0]) / ((high - low) * math.log(2))
    predicted = -2 / dim if dim > 2 else -1 + math.log2(high / low) / (high - low)
    assert measured == pytest.approx(predicted, abs=0.02)


CONVEX = [
    Gaussian(1),
    Gaussian(spectrum=[1.0, 0.3]),
    Laplace(1),
    Laplace(spectrum=[1.0, 0.3]),
    TruncatedGaussian(2),
    Uniform(3),
    Product([lambda u: np.arctanh(1.98 * (u - 0.5))]),
]


@pytest.mark.parametrize("law", CONVEX, ids=repr)
def test_convex_branch_is_never_below_the_exact_one(law, monkeypatch) -> None:
    widths = (512, 640, 768, 1024, 1792, 4096)
    exact = [rank._rank_cost(law, width) for width in widths]
    monkeypatch.setattr(rank, "EXACT_WIDTH", 300)
    rank._explained.cache_clear()
    convex = [rank._rank_cost(law, width) for width in widths]
    rank._explained.cache_clear()
    if law.marginals[0] is not UNIFORM:  # whose Q is linear, so that nothing is lost
        assert any(abs(c - e) > 1e-9 for c, e in zip(convex, exact, strict=True))
    for c, e in zip(convex, exact, strict=True):
        assert c >= e - 1e-9
        assert c <= 3 * e


def test_laws_without_a_centre_stop_at_the_exact_range() -> None:
    law = Product([lambda u: -np.log1p(-u)] * 2)
    assert rank_bound(law, 2**20) == rank_bound(law, rank.EXACT_WIDTH)


@pytest.mark.parametrize("law", [Gaussian(2), Laplace(3), Uniform(5)], ids=repr)
def test_bound_never_rises(law) -> None:
    widths = sorted({*range(1, 130), *(round(2 ** (k / 3)) for k in range(21, 90)), 2**60, 2**70})
    values = np.array([rank_bound(law, width) for width in widths])
    assert (np.diff(values) <= 1e-12 * values[:-1]).all()


def test_order_one_is_the_root() -> None:
    assert rank_bound(Gaussian(3), 48, 1) == pytest.approx(math.sqrt(rank_bound(Gaussian(3), 48)))
