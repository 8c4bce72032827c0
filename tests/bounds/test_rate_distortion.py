"""D(R) against a general optimiser and its properties."""

import math

import numpy as np
import pytest
from scipy import optimize

from otlmc.bounds import rate_distortion, rate_for_distortion
from otlmc.laws import Gaussian, Laplace, Law, Product, Uniform

RNG = np.random.default_rng(7)
SPECTRA = [RNG.exponential(size=size) ** 2 for size in (2, 4, 7)]
LAWS = [
    *(Gaussian(spectrum=spectrum) for spectrum in SPECTRA),
    Uniform(spectrum=[4.0, 1.0, 0.2]),
    Laplace(spectrum=[1.0, 0.5]),
    Product([lambda u: -np.log1p(-u), lambda u: 2 * u]),
]


def optimised(law: Law, bits: float) -> float:
    """Minimise sum 2 lambda (1 - rho) over rho in [0, 1) at a rate of at most ``bits``."""
    variances = np.concatenate([block.variances for block in law.blocks])
    powers = np.concatenate(
        [np.full(len(b.variances), b.marginal.entropy_power) for b in law.blocks]
    )
    start = np.sqrt(1 - powers)  # the correlation that asks for no rate

    def rate(rho: np.ndarray) -> float:
        return float(np.sum(0.5 * np.log2(powers / (1 - rho**2))))

    result = optimize.minimize(
        lambda rho: float(np.sum(2 * variances * (1 - rho))),
        start + 0.3 * (1 - start),
        jac=lambda rho: -2 * variances,
        bounds=[(low, 1 - 1e-9) for low in start],
        constraints={"type": "ineq", "fun": lambda rho: bits - rate(rho)},
        method="SLSQP",
        options={"ftol": 1e-11, "maxiter": 1000},
    )
    assert result.success, result.message
    return float(result.fun)


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("bits", [0.7, 3.0, 8.0])
def test_distortion_against_a_constrained_optimiser(law: Law, bits: float) -> None:
    assert rate_distortion(law, bits) == pytest.approx(optimised(law, bits), rel=1e-6)


def test_one_gaussian_coordinate_in_closed_form() -> None:
    for bits in (0.0, 1e-3, 1.0, 20.0):
        rest = 4.0**-bits  # 1 - rho^2
        closed = 2 * rest / (1 + math.sqrt(1 - rest))
        assert rate_distortion(Gaussian(1), bits) == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_curve_is_falling_and_convex(law: Law) -> None:
    curve = np.array([rate_distortion(law, bits) for bits in np.linspace(0, 12, 49)])
    assert (np.diff(curve) < 0).all()
    assert (np.diff(curve, 2) > -1e-9).all()
    assert curve[0] <= 2 * law.variances.sum()


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_inverse(law: Law) -> None:
    for bits in (1e-2, 1.0, 30.0, 200.0):
        assert rate_for_distortion(law, rate_distortion(law, bits)) == pytest.approx(bits, rel=1e-6)
    for share in (1e-6, 0.1, 0.5):
        distortion = share * law.variances.sum()
        found = rate_distortion(law, rate_for_distortion(law, distortion))
        assert found == pytest.approx(distortion, rel=1e-9)


def test_equal_coordinates_share_the_bits() -> None:
    for dim in (2, 10):
        shared = dim * rate_distortion(Gaussian(1), 6.0 / dim)
        assert rate_distortion(Gaussian(dim), 6.0) == pytest.approx(shared, rel=1e-9)
