"""Every refusal names the argument."""

import numpy as np
import pytest

from otlmc import bounds
from otlmc.laws import Gaussian, Product, TruncatedGaussian, Uniform
from otlmc.results import Bound

LAW = Gaussian(2)
NETWORK = bounds.TwoLayer(LAW, lipschitz=1.0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Gaussian(0), "dim"),
        (lambda: Gaussian(2.5), "dim"),
        (lambda: Gaussian(True), "dim"),
        (lambda: Gaussian(), "dim"),
        (lambda: Gaussian(2, spectrum=[1.0]), "dim"),
        (lambda: Gaussian(2, covariance=np.eye(2)), "dim"),
        (lambda: Gaussian(spectrum=[]), "spectrum"),
        (lambda: Gaussian(spectrum=[1.0, -0.1]), "spectrum"),
        (lambda: Gaussian(spectrum=[0.0, 0.0]), "spectrum"),
        (lambda: Gaussian(spectrum=[np.inf]), "spectrum"),
        (lambda: Uniform(spectrum=[np.nan]), "spectrum"),
        (lambda: Gaussian(spectrum=[[1.0]]), "spectrum"),
        (lambda: Gaussian(covariance=[[1.0, 2.0], [0.0, 1.0]]), "covariance"),
        (lambda: Gaussian(covariance=[[1.0, 2.0], [2.0, 1.0]]), "covariance"),
        (lambda: Gaussian(covariance=np.ones((2, 3))), "covariance"),
        (lambda: TruncatedGaussian(2, bound=0.0), "bound"),
        (lambda: Product([]), "quantiles"),
        (lambda: Product([np.sign]), "quantile"),
        (lambda: Product([np.round]), "quantile"),
        (lambda: LAW.sample(0, 0), "width"),
        (lambda: LAW.scaled(-1.0), "factor"),
        (lambda: LAW.in_metric(np.eye(3)), "metric"),
        (lambda: Uniform(2).in_metric([[2.0, 1.0], [1.0, 2.0]]), "metric"),
        (lambda: bounds.upper(LAW, 0), "width"),
        (lambda: bounds.upper(LAW, -4), "width"),
        (lambda: bounds.lower(LAW, 8.0), "width"),
        (lambda: bounds.lower(LAW, True), "width"),
        (lambda: bounds.upper(LAW, 8, p=3), "p"),
        (lambda: bounds.lower(LAW, 8, p=0), "p"),
        (lambda: bounds.upper(LAW, 8, confidence=1.0), "confidence"),
        (lambda: bounds.upper(LAW, 8, confidence=0), "confidence"),
        (lambda: bounds.TwoLayer(LAW), "lipschitz"),
        (lambda: bounds.TwoLayer(LAW, lipschitz=0.0), "lipschitz"),
        (lambda: bounds.TwoLayer(LAW, smoothness=np.inf), "smoothness"),
        (lambda: bounds.TwoLayer(LAW, kink=-1.0), "kink"),
        (lambda: bounds.TwoLayer(LAW, lipschitz=1.0, chaos_error=-1.0), "chaos_error"),
        (lambda: bounds.TwoLayer([1.0], lipschitz=1.0), "neurons"),
        (lambda: bounds.min_width(NETWORK, 0.0), "tolerance"),
        (lambda: bounds.min_width(NETWORK, np.nan), "tolerance"),
        (lambda: bounds.min_width(NETWORK, "small"), "tolerance"),
        (lambda: bounds.min_width(NETWORK, 0.1, confidence=2.0), "confidence"),
    ],
)
def test_bad_argument_is_named(call, name) -> None:
    with pytest.raises((ValueError, TypeError), match=f"`{name}`"):
        call()


def test_a_tolerance_below_the_chaos_error_is_never_reached() -> None:
    with pytest.raises(ValueError, match="`tolerance`"):
        bounds.min_width(bounds.TwoLayer(LAW, lipschitz=1.0, chaos_error=1.0), 0.5)


def test_no_bound_is_chosen_among_numbers_that_are_none() -> None:
    with pytest.raises(FloatingPointError, match="'one': nan"):
        Bound.best("upper", {"one": float("nan"), "other": 1.0})
