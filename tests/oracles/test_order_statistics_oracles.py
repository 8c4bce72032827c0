"""The cost of sorting on laws whose order statistics have closed forms, heavy tails among them."""

import math

import numpy as np
import pytest
from scipy import special

from otlmc import bounds
from otlmc.bounds import rank
from otlmc.laws import Product

WIDTHS = (1, 2, 3, 50, 400, 1000, 4096)
Array = np.ndarray


def gamma_quotient(start: Array, shift: float) -> Array:
    """Gamma(start + shift) / Gamma(start), for descending or ascending integers from 1."""
    return np.exp(special.gammaln(start + shift) - special.gammaln(start))


def exponential(width: int) -> float:
    """Renyi: X_(s) is a sum of independent exponentials."""
    return 2 * float(np.cumsum(1 / np.arange(width, 0, -1.0) ** 2).mean())


def logistic(width: int) -> float:
    """Var X_(s) = psi'(s) + psi'(m + 1 - s)."""
    rank_of = np.arange(1.0, width + 1)
    return 4 * float(special.polygamma(1, rank_of).mean())


def power(exponent: float, width: int) -> float:
    """Q = u^k: E X_(s) is a quotient of Gamma functions."""
    means = gamma_quotient(np.arange(1.0, width + 1), exponent)
    means /= gamma_quotient(np.array(width + 1.0), exponent)
    return 2 * (1 / (2 * exponent + 1) - float(np.mean(means**2)))


def tukey(shape: float, width: int) -> float:
    """Q = (u^s - (1 - u)^s) / s: symmetric, with tails of any weight."""
    below = gamma_quotient(np.arange(1.0, width + 1), shape)
    below /= gamma_quotient(np.array(width + 1.0), shape)
    means = (below - below[::-1]) / shape
    beta = math.gamma(1 + shape) ** 2 / math.gamma(2 + 2 * shape)
    variance = 2 / shape**2 * (1 / (1 + 2 * shape) - beta)
    return 2 * (variance - float(np.mean(means**2)))


SHAPES = (-0.3, -0.1, 0.14, 0.5)
CASES = {
    "exponential": (lambda u: -np.log1p(-u), exponential),
    "logistic": (special.logit, logistic),
    "ninth power": (lambda u: u**9, lambda width: power(9.0, width)),
    "Pareto": (lambda u: -(u ** (-1 / 3.5)), lambda width: power(-1 / 3.5, width)),
    **{
        f"Tukey {shape}": (
            lambda u, shape=shape: (u**shape - (1 - u) ** shape) / shape,
            lambda width, shape=shape: tukey(shape, width),
        )
        for shape in SHAPES
    },
}


@pytest.mark.parametrize("name", CASES)
def test_sorting_by_closed_forms(name: str) -> None:
    quantile, exact = CASES[name]
    law = Product([quantile])
    # the heaviest tails lose 3e-6 of the variance beyond the quantiles at 3e-16
    slack = 1e-5 if name in ("Pareto", "Tukey -0.3") else 1e-9
    for width in WIDTHS:
        upper, lower = bounds.upper(law, width), bounds.lower(law, width)
        assert dict(upper.candidates)["sorting"] == pytest.approx(
            exact(width), rel=1e-7, abs=slack * law.variances[0]
        )
        assert lower.value <= upper.value * (1 + 1e-9)


@pytest.mark.parametrize("name", ["logistic", *(f"Tukey {shape}" for shape in SHAPES)])
def test_convex_branch_stays_above_the_closed_form(name: str) -> None:
    """Beyond the exact range the rank bound rests on convexity: heavy tails are no excuse."""
    quantile, exact = CASES[name]
    law = Product([quantile])
    for exponent in (13, 14, 17, 20):
        cost = rank._rank_cost(law, 2**exponent)
        assert exact(2**exponent) <= cost <= 10 * exact(2**exponent)
