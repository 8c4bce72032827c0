"""The cap bound: above simulations, in closed form where there is one, and its range."""

import math

import numpy as np
import pytest

from otlmc import bounds, wasserstein
from otlmc.bounds.cap import cap_bound, mean_cosine
from otlmc.laws import Gaussian, Laplace, Law, Uniform
from otlmc.marginals import GAUSSIAN, UNIFORM

FALLING = Gaussian(spectrum=np.arange(1, 81.0) ** -0.5)
MIXED = Law([GAUSSIAN] * 40 + [UNIFORM] * 4, np.ones(44))
LAWS = [Gaussian(8), Gaussian(20), Gaussian(100), FALLING, MIXED]


@pytest.mark.parametrize(
    "law", [Gaussian(8), Gaussian(20), Gaussian(100), FALLING, MIXED], ids=repr
)
@pytest.mark.parametrize("width", [16, 256])
@pytest.mark.parametrize("p", [1, 2])
def test_above_the_cost_of_matching(law, width: int, p: int) -> None:
    cost = wasserstein.two_sample_cost(law, width, repetitions=12, rng=3, p=p)
    assert cap_bound(law, width, p) >= cost.measured - 5 * cost.stderr
    assert cap_bound(law, width, p) <= (2 * law.variances.sum()) ** (p / 2)


def test_best_upper_bound_of_high_dimensions() -> None:
    for dim in (20, 50, 100, 1000):
        assert bounds.upper(Gaussian(dim), 1024).method == "cap"
    assert bounds.upper(Gaussian(2), 1024).method == "rank"


@pytest.mark.parametrize("angle", [0.1, 0.7, 1.5])
def test_cap_of_the_circle_and_of_the_sphere(angle: float) -> None:
    arc = mean_cosine(np.array([2]), np.array([angle / math.pi]))
    np.testing.assert_allclose(arc, math.sin(angle) / angle, rtol=1e-10)
    cap = mean_cosine(np.array([3]), np.array([(1 - math.cos(angle)) / 2]))
    np.testing.assert_allclose(cap, (1 + math.cos(angle)) / 2, rtol=1e-10)


def test_thin_caps_hold_what_the_bits_can_say() -> None:
    """Exp(-k C^2 / 2) is about the mass: C^2 <= 1 - q^(2/k) up to factors that vanish in k."""
    dim, mass = 10_000, 2.0**-200
    cosine = float(mean_cosine(np.array([dim]), np.array([mass]))[0])
    assert cosine == pytest.approx(math.sqrt(1 - mass ** (2 / dim)), rel=0.03)


def test_never_rises_with_the_width() -> None:
    for law in (Gaussian(20), FALLING):
        widths = [*range(4, 200), *(2**e for e in range(8, 64))]
        values = np.array([cap_bound(law, width) for width in widths])
        assert np.all(np.diff(values) <= 1e-12 * values[:-1])


def test_a_small_coordinate_may_be_left_out() -> None:
    few = cap_bound(Gaussian(30), 512)
    many = cap_bound(Gaussian(spectrum=[1.0] * 30 + [1e-6] * 3000), 512)
    assert few < many <= few * (1 + 1e-9) + 2 * 3000e-6


def test_needs_two_gaussian_coordinates() -> None:
    for law in (Uniform(30), Laplace(30), Gaussian(1), Law([GAUSSIAN, UNIFORM], np.ones(2))):
        assert cap_bound(law, 1024) == math.inf
    assert cap_bound(Gaussian(30), 1) == math.inf


def test_wide_and_high_without_overflow() -> None:
    value = cap_bound(Gaussian(100_000), 2**500)
    assert math.isfinite(value)
    assert 0 < value < 200_000
