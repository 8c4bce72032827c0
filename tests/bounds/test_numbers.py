"""The table of numbers from an independent implementation, to its printed digits."""

import math

import numpy as np
import pytest
from scipy import integrate, special

from otlmc.bounds.nearest import density_bound, mean_bound
from otlmc.bounds.partition import EXACT_WIDTH, partition_bound, unmatched
from otlmc.bounds.rank import rank_bound
from otlmc.bounds.rate_distortion import rate_distortion, rate_for_distortion
from otlmc.laws import Gaussian, Uniform
from otlmc.marginals import GAUSSIAN


def digits(value: float, printed: str) -> bool:
    """Whether ``value`` prints as ``printed`` at its number of decimals."""
    decimals = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 0.5 * 10**-decimals * (1 + 1e-9)


def test_profile() -> None:
    printed = ["2", "0.72676", "0.278883", "0.109931", "0.0444498", "0.0184229"]
    assert all(digits(GAUSSIAN.profile(b), text) for b, text in enumerate(printed))


def test_unmatched_fractions() -> None:
    printed = (
        "0.0176288 0.0305314 0.0466267 0.0682214 0.0979784 0.1394 0.197132 0.27705 0.385403 "
        "0.523567 0.673568"
    )
    fractions = unmatched(1024, 11)
    assert fractions[0] == 0
    assert all(digits(t, text) for t, text in zip(fractions[1:], printed.split(), strict=True))


SQUARES = Gaussian(spectrum=np.arange(1, 101.0) ** -2)
HARMONIC = Gaussian(spectrum=1 / np.arange(1, 501.0))


@pytest.mark.parametrize(
    ("law", "width", "u2", "u1", "d"),
    [
        (Gaussian(1), 64, "0.348577", "0.346975", "0.000244156"),
        (Gaussian(2), 64, "1.06661", "0.850182", "0.031373"),
        (Gaussian(5), 64, "5.14868", "2.18739", "0.997026"),
        (Gaussian(5), 1024, "2.67684", "1.54357", "0.317542"),
        (Gaussian(20), 1024, "29.8493", "5.45024", "11.7157"),
        (Gaussian(100), 1024, "189.8", None, "128"),
        (SQUARES, 1024, "0.791095", "0.859022", "0.295361"),
        (HARMONIC, 1024, "9.96", None, "7.475"),
        (Uniform(5), 1024, "1.86784", "1.21299", None),
        (Uniform(20), 1024, "28.0414", "5.27518", None),
    ],
)
def test_two_sample_bounds(law, width, u2, u1, d) -> None:
    assert digits(partition_bound(law, width), u2)
    assert u1 is None or digits(partition_bound(law, width, 1), u1)
    assert d is None or digits(rate_distortion(law, math.log2(width)), d)


def test_wide_fractions_bound_the_exact_ones() -> None:
    width = EXACT_WIDTH
    exact = unmatched(width, 20)
    bounded = unmatched(width + 1, 20)  # beyond the exact range; T falls with the width
    assert (bounded >= exact * (1 - 1e-4)).all()
    assert (bounded[4:] <= exact[4:] * 1.05).all()


@pytest.mark.parametrize("width", [2, 3, 5, 8, 48, 320])
def test_rank_bound_is_exact_in_one_dimension(width: int) -> None:
    """S_2 = (2 / m) sum of Var X_(s), for the uniform law from Beta variances."""
    rank = np.arange(1, width + 1)
    variances = rank * (width + 1 - rank) / ((width + 1) ** 2 * (width + 2))
    assert rank_bound(Uniform(1), width) == pytest.approx(12 * 2 * variances.mean(), rel=1e-9)


@pytest.mark.parametrize("width", [2, 7, 16])
def test_rank_bound_of_the_gaussian_line_by_quadrature(width: int) -> None:
    def moment(s: int, power: int) -> float:
        constant = s * special.comb(width, s)

        def density(x: float) -> float:
            below = special.ndtr(x)
            return constant * below ** (s - 1) * (1 - below) ** (width - s)

        value, _ = integrate.quad(
            lambda x: x**power * density(x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi), -9, 9
        )
        return value

    variances = [moment(s, 2) - moment(s, 1) ** 2 for s in range(1, width + 1)]
    assert rank_bound(Gaussian(1), width) == pytest.approx(2 * np.mean(variances), rel=1e-7)


def test_rank_bound_has_the_rate_of_the_dimension() -> None:
    """Uniform law: log(m) / m in dimension 2, m^(-2/d) above; no lost power of the width."""
    for dim in (3, 4):
        widths = [2 ** (dim * k) for k in (6, 7)]
        low, high = (rank_bound(Uniform(dim), w) for w in widths)
        slope = math.log(high / low) / math.log(widths[1] / widths[0])
        assert slope == pytest.approx(-2 / dim, abs=0.03)
    wide = [rank_bound(Uniform(2), 2**e) * 2**e for e in (12, 14, 16, 18)]
    steps = np.diff(wide)
    assert steps == pytest.approx(np.full(3, steps[0]), rel=0.05)  # linear in log m


@pytest.mark.parametrize("law", [Gaussian(1), Gaussian(2), Uniform(3), SQUARES], ids=repr)
def test_convex_branch_stays_above_the_exact_one(law, monkeypatch) -> None:
    from otlmc.bounds import rank

    exact = [rank_bound(law, width) for width in (1024, 4096)]
    monkeypatch.setattr(rank, "EXACT_WIDTH", 512)
    rank._explained.cache_clear()
    convex = [rank_bound(law, width) for width in (1024, 4096)]
    rank._explained.cache_clear()
    for one, other in zip(exact, convex, strict=True):
        assert one <= other * (1 + 1e-9)
    assert convex[1] < partition_bound(law, 4096)


def test_inverse_of_the_distortion() -> None:
    for law in (Gaussian(3), SQUARES, Uniform(4)):
        for bits in (0.5, 6.0, 40.0):
            assert rate_for_distortion(law, rate_distortion(law, bits)) == pytest.approx(bits)
    assert rate_for_distortion(Gaussian(3), 100.0) == 0.0
    assert rate_distortion(Gaussian(1), 1e5) == 0.0


def test_closed_lower_bounds() -> None:
    assert mean_bound(Gaussian(3), 6) == pytest.approx(1.0)
    # uniform on a square of area 12: F = 1/12, p = d = 2: (F pi)^-1 Gamma(2) / (m + 1)
    assert density_bound(Uniform(2), 9) == pytest.approx(12 / math.pi / 10)
