"""Kernels against quadrature."""

import numpy as np
import pytest
from scipy.special import erf

from otlmc import kernels

SIGMA = {"relu": lambda z: np.maximum(z, 0), "erf": erf, "linear": lambda z: z}


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("correlation", [-1.0, -0.6, 0.0, 0.3, 0.99, 1.0])
def test_closed_form_is_the_gaussian_expectation(activation: str, correlation: float) -> None:
    first, second = 1.3, 0.7
    covariance = np.array(
        [[first**2, correlation * first * second], [correlation * first * second, second**2]]
    )
    radius, weight = np.polynomial.legendre.leggauss(200)  # polar coordinates meet the kinks evenly
    r = 6.0 * (radius + 1)
    angle = (np.arange(20_000) + 0.5) / 20_000 * 2 * np.pi
    x, y = np.outer(r, np.cos(angle)), np.outer(r, np.sin(angle))
    sigma = SIGMA[activation]
    values = sigma(first * x) * sigma(second * (correlation * x + np.sqrt(1 - correlation**2) * y))
    expected = 6.0 * weight @ (r * np.exp(-(r**2) / 2) * values.mean(axis=1))
    kernel = kernels.activation_kernel(covariance, activation)
    assert kernel[0, 1] == pytest.approx(expected, abs=2e-7)
    assert kernel[1, 0] == kernel[0, 1]


def test_second_layer_is_exact_at_finite_width() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4))
    expected = kernels.preactivation_covariances(x, 2, weight_std=1.5, bias_std=0.3)[1]
    weights = rng.standard_normal((200_000, 4)) * 1.5 / 2
    phi = np.maximum(weights @ x.T + 0.3 * rng.standard_normal((200_000, 1)), 0)
    products = 1.5**2 * phi[:, :, None] * phi[:, None, :] + 0.3**2
    error = products.std(0) / np.sqrt(len(products))
    assert (np.abs(products.mean(0) - expected) <= 5 * error).all()


@pytest.mark.parametrize("activation", SIGMA)
def test_fourth_moment_is_the_gaussian_expectation(activation: str) -> None:
    rng = np.random.default_rng(5)
    root = rng.standard_normal((4, 4))
    phi = SIGMA[activation](rng.standard_normal((400_000, 4)) @ root.T)
    products = phi[:, :, None] * phi[:, None, :] * np.square(phi).sum(1)[:, None, None]
    moment = kernels.fourth_moment(root @ root.T, activation)
    error = products.std(0) / np.sqrt(len(products))
    if activation == "erf":  # a bound as a quadratic form
        assert np.linalg.eigvalsh(moment - products.mean(0)).min() >= -5 * error.max()
        return
    assert (np.abs(products.mean(0) - moment) <= 5 * error).all()


@pytest.mark.parametrize("covariance", [[[1.0, 0.0]], [[0.0]], [[np.nan]]])
def test_bad_covariances_are_refused(covariance) -> None:
    with pytest.raises(ValueError, match="`covariance`"):
        kernels.activation_kernel(covariance)


@pytest.mark.parametrize(
    ("inputs", "weight_std"),
    [([[0.0, 0.0], [1.0, 0.0]], 1.0), ([[1e160]], 1.0), ([[1e-40]], 1.0), ([[1.0]], 1e10)],
)
def test_variances_that_leave_the_range_are_refused(inputs, weight_std) -> None:
    with pytest.raises(ValueError, match="`inputs` give the pre-activations of layer"):
        kernels.preactivation_covariances(inputs, 5, weight_std=weight_std)


def test_an_example_of_zeros_has_a_first_layer_and_with_biases_all() -> None:
    inputs = [[0.0, 0.0], [1.0, 0.0]]
    (first,) = kernels.preactivation_covariances(inputs, 1)
    assert first.tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]
    assert len(kernels.preactivation_covariances(inputs, 3, bias_std=0.1)) == 3
