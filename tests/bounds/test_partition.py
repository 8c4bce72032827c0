"""The unmatched fractions T_k and the cuts of the partition bound."""

import math

import numpy as np
import pytest
from scipy import stats

from otlmc.bounds.partition import EXACT_WIDTH, greedy_cuts, partition_bound, unmatched
from otlmc.laws import Gaussian, Product, Uniform
from otlmc.marginals import GAUSSIAN

SKEWED = Product([lambda u: -np.log1p(-u)] * 2)


@pytest.mark.parametrize("width", [1, 2, 3, 6, 11])
def test_fractions_by_enumeration(width: int) -> None:
    for level, found in enumerate(unmatched(width, 4)):
        q = 2.0**-level
        mass = [math.comb(width, n) * q**n * (1 - q) ** (width - n) for n in range(width + 1)]
        gap = sum(
            mass[i] * mass[j] * abs(i - j) for i in range(width + 1) for j in range(width + 1)
        )
        assert found == pytest.approx(gap / (2 * width * q), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("width", [EXACT_WIDTH + 1, 100_000, 2**18 + 3])
def test_fractions_beyond_the_exact_range_stay_above_the_exact_ones(width: int) -> None:
    bounded = unmatched(width, 24)
    for level in range(1, 25):
        law = stats.binom(width, 2.0**-level)
        reach = 12 * law.std() + 40
        counts = np.arange(max(0, int(law.mean() - reach)), int(law.mean() + reach))
        exact = np.sum(law.cdf(counts) * law.sf(counts)) / law.mean()
        assert exact <= bounded[level] * (1 + 1e-9)
        assert bounded[level] <= exact * 1.26  # the worst: sqrt(pi / 2) at the first level


def test_fractions_at_widths_beyond_floats() -> None:
    fractions = unmatched(2**2000, 2030)
    assert ((fractions >= 0) & (fractions <= 1)).all()
    assert fractions[-1] > 0.9 and fractions[1] < 1e-3


def test_fractions_fall_with_the_width_and_rise_with_the_level() -> None:
    widths = [1, 2, 3, 4, 7, 8, 100, 101, EXACT_WIDTH, EXACT_WIDTH + 1, 2**17, 2**40, 2**41]
    table = np.array([unmatched(width, 20) for width in widths])
    assert (np.diff(table, axis=0) <= 1e-15).all()
    assert (np.diff(table, axis=1) >= -1e-15).all()


@pytest.mark.parametrize("law", [Gaussian(1), Gaussian(spectrum=[3.0, 1.0, 0.1]), SKEWED], ids=repr)
@pytest.mark.parametrize("p", [1, 2])
def test_bound_does_not_rise_where_the_exact_fractions_end(law, p: int) -> None:
    wide = partition_bound(law, EXACT_WIDTH + 1, p)
    assert wide <= partition_bound(law, EXACT_WIDTH, p) * (1 + 1e-12)


def test_greedy_cuts_are_the_best_by_brute_force() -> None:
    """The least v after k cuts, over all ways of sharing k cuts among three coordinates."""
    spectrum = np.array([5.0, 1.0, 0.3])
    for depth in range(9):
        cuts = greedy_cuts(Gaussian(spectrum=spectrum), depth)
        found = 2 * spectrum.sum() - cuts.drops.sum()
        counts = np.bincount(cuts.coordinates, minlength=3)
        assert found == pytest.approx(sum(spectrum * [GAUSSIAN.profile(int(b)) for b in counts]))
        shares = [(i, j, depth - i - j) for i in range(depth + 1) for j in range(depth + 1 - i)]
        best = min(sum(spectrum * [GAUSSIAN.profile(b) for b in share]) for share in shares)
        assert found == pytest.approx(best)


def test_bound_by_its_formula() -> None:
    """Proposition U, summed as it is written, at every depth."""
    law, width = Uniform(spectrum=[2.0, 1.0]), 100
    drops = greedy_cuts(law, 22).drops
    v = np.concatenate([[6.0], 6.0 - np.cumsum(drops)])
    c, t = 2 * v[:-1] - v[1:], unmatched(width, 22)
    for p in (1, 2):
        values = [
            v[depth] ** (p / 2) * (1 - t[depth])
            + sum(c[k - 1] ** (p / 2) * (t[k] - t[k - 1]) for k in range(1, depth + 1))
            for depth in range(23)
        ]
        assert partition_bound(law, width, p) == pytest.approx(min(values), rel=1e-10)
