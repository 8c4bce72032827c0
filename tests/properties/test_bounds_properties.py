"""What holds for every law, width and order: the bounds fall, bracket, scale and project."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from otlmc import bounds
from otlmc.laws import Gaussian, Laplace, Law, Product, TruncatedGaussian, Uniform

ORDERS = st.sampled_from([1, 2])
SPECTRA = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8)
QUANTILES = [
    lambda u: -np.log1p(-u),
    lambda u: u**2,
    special.ndtri,
    lambda u: np.log(u / (1 - u)),  # logistic
]
LAWS = st.one_of(
    *(
        SPECTRA.map(lambda s, kind=kind: kind(spectrum=s))
        for kind in (Gaussian, Uniform, Laplace, TruncatedGaussian)
    ),
    st.lists(st.sampled_from(QUANTILES), min_size=1, max_size=4).map(Product),
)
WIDTHS = st.integers(1, 300) | st.integers(1, 70_000) | st.integers(0, 200).map(lambda e: 3 * 2**e)
ROUND_OFF = 1 + 1e-9


@settings(deadline=None, max_examples=60)
@given(LAWS, WIDTHS, WIDTHS, ORDERS)
def test_upper_and_lower_bounds_fall_with_any_width(law: Law, one: int, two: int, p: int) -> None:
    narrow, wide = sorted((one, two))
    assert float(bounds.upper(law, wide, p=p)) <= float(bounds.upper(law, narrow, p=p)) * ROUND_OFF
    # the nearest-neighbour integral is a sum of 1024 steps: monotone up to their error
    low = float(bounds.lower(law, narrow, p=p))
    assert float(bounds.lower(law, wide, p=p)) <= low * (1 + 1e-3 * (wide > narrow))


@settings(deadline=None, max_examples=60)
@given(LAWS, WIDTHS, ORDERS)
def test_lower_stays_below_upper(law: Law, width: int, p: int) -> None:
    upper, lower = bounds.upper(law, width, p=p), bounds.lower(law, width, p=p)
    assert 0 <= float(lower) <= float(upper) * ROUND_OFF
    assert float(upper) <= (2 * law.variances.sum()) ** (p / 2) * ROUND_OFF
    assert float(upper) == min(dict(upper.candidates).values())
    assert float(lower) == max(dict(lower.candidates).values())


@settings(deadline=None, max_examples=40)
@given(LAWS, WIDTHS, ORDERS, st.floats(0.01, 0.99))
def test_confidence_costs(law: Law, width: int, p: int, confidence: float) -> None:
    likely = float(bounds.upper(law, width, p=p, confidence=confidence))
    surer = float(bounds.upper(law, width, p=p, confidence=(1 + confidence) / 2))
    assert float(bounds.upper(law, width, p=p)) <= likely * ROUND_OFF
    assert likely <= surer * ROUND_OFF


@settings(deadline=None, max_examples=40)
@given(LAWS, WIDTHS, st.floats(1e-3, 1e3), ORDERS)
def test_a_factor_scales(law: Law, width: int, factor: float, p: int) -> None:
    for side in (bounds.upper, bounds.lower):
        squares = [float(side(one, width, p=p)) ** (2 / p) for one in (law, law.scaled(factor))]
        # costs are differences of variances: round-off is relative to these
        slack = 1e-12 * factor**2 * law.variances.sum()
        assert squares[1] == pytest.approx(factor**2 * squares[0], rel=1e-6, abs=slack)


@settings(deadline=None, max_examples=40)
@given(SPECTRA, WIDTHS, ORDERS, st.randoms(use_true_random=False))
def test_order_of_the_coordinates_and_zeros_do_not_matter(
    spectrum: list[float], width: int, p: int, random
) -> None:
    shuffled = [*random.sample(spectrum, len(spectrum)), 0.0]
    for side in (bounds.upper, bounds.lower):
        one = float(side(Gaussian(spectrum=spectrum), width, p=p))
        other = float(side(Gaussian(spectrum=shuffled), width, p=p))
        slack = 1e-12 * sum(spectrum)
        assert other ** (2 / p) == pytest.approx(one ** (2 / p), rel=1e-8, abs=slack)


@settings(deadline=None, max_examples=40)
@given(SPECTRA, st.floats(1e-3, 1e3), WIDTHS)
def test_one_more_direction_never_helps(spectrum: list[float], extra: float, width: int) -> None:
    """A projection brings neurons closer, so D and the mean bound rise with a coordinate."""
    narrow, wide = Gaussian(spectrum=spectrum), Gaussian(spectrum=[*spectrum, extra])
    for name in ("mean", "density", "rate-distortion"):
        values = [dict(bounds.lower(law, width).candidates)[name] for law in (narrow, wide)]
        assert values[0] <= values[1] * ROUND_OFF


@settings(deadline=None, max_examples=25)
@given(SPECTRA, st.integers(0, 2**32 - 1), st.integers(1, 5000), ORDERS)
def test_a_metric_after_a_rotation(spectrum: list[float], seed: int, width: int, p: int) -> None:
    """Turning the neurons and the metric together leaves all distances alone."""
    rng = np.random.default_rng(seed)
    size = len(spectrum)
    turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
    factor = rng.standard_normal((size, size))
    sigma = factor @ factor.T + 0.1 * np.eye(size)
    flat = Gaussian(covariance=np.diag(spectrum)).in_metric(sigma)
    turned = Gaussian(covariance=turn @ np.diag(spectrum) @ turn.T).in_metric(turn @ sigma @ turn.T)
    assert flat.variances.sum() == pytest.approx(np.sum(np.diag(sigma) * spectrum), rel=1e-7)
    scale = flat.spectrum[0]
    assert turned.spectrum == pytest.approx(flat.spectrum, rel=1e-6, abs=1e-9 * scale)
    one, other = (float(bounds.upper(law, width, p=p)) for law in (flat, turned))
    assert one == pytest.approx(other, rel=1e-4)


@settings(deadline=None, max_examples=8)
@given(
    LAWS,
    st.sampled_from([{"lipschitz": 1.0}, {"smoothness": 2.0}, {"kink": 1.0}]),
    st.floats(0.05, 1.5),
)
def test_min_width_is_what_a_search_over_all_widths_finds(law: Law, constants, share) -> None:
    network = bounds.TwoLayer(law, **constants)
    tolerance = share * float(network.deviation(16))
    found = bounds.min_width(network, tolerance)
    if found.upper is None or found.upper > 160:
        assert float(network.deviation(160)) > tolerance
        return
    enough = next(m for m in range(1, 161) if float(network.deviation(m)) <= tolerance)
    needed = next(m for m in range(1, 161) if float(network.matching_shortfall(m)) <= tolerance)
    assert (found.upper, found.lower) == (enough, needed)
