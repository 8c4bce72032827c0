"""Kernels of infinitely wide layers: the covariances that the data give to the pre-activations.

A layer computes ``z = (s / sqrt(fan in)) W phi + b beta`` with W and beta standard Gaussian, so
that the pre-activations of a unit on n examples are Gaussian with covariance ``s^2 K + b^2``, K the
mean product of the activations below. When that layer is wide, K is the kernel of its activation.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check

Array = NDArray[np.float64]
Activation = Literal["relu", "erf", "linear"]


def activation_kernel(covariance: ArrayLike, activation: Activation = "relu") -> Array:
    """Return E[sigma(z) sigma(z)^T] for Gaussian pre-activations z, in closed form.

    Parameters
    ----------
    covariance : array_like, shape (n, n)
        Covariance of z, with a positive diagonal.
    activation : {"relu", "erf", "linear"}
        ReLU: the arc-cosine kernel of degree 1 (Cho and Saul 2009), E relu(z)^2 = Var(z) / 2.
        erf: the arc-sine kernel (Williams 1996).

    Raises
    ------
    ValueError
        If the matrix is not square and finite with a positive diagonal.

    Examples
    --------
    >>> activation_kernel([[1.0, 0.0], [0.0, 1.0]]).round(4)      # 1 / 2 and 1 / (2 pi)
    array([[0.5   , 0.1592],
           [0.1592, 0.5   ]])
    """
    _check.one_of("activation", activation, get_args(Activation))
    values = _check.finite("covariance", covariance, ndim=2)
    variances = np.diag(values)
    if values.shape[0] != values.shape[1] or variances.min() <= 0:
        raise ValueError("`covariance` must be square with a positive diagonal")
    if activation == "linear":
        return values.copy()
    if activation == "erf":
        scale = np.sqrt(1 + 2 * variances)
        return 2 / np.pi * np.arcsin(2 * values / np.outer(scale, scale))
    scale = np.sqrt(np.outer(variances, variances))
    cosine = np.clip(values / scale, -1.0, 1.0)
    angle = np.arccos(cosine)
    return scale / (2 * np.pi) * (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine)


def fourth_moment(covariance: ArrayLike, activation: Activation = "relu") -> Array:
    """Return ``E[sigma(z) sigma(z)^T |sigma(z)|^2]`` for Gaussian z, the spread of Gram matrices.

    The variance of the mean of m independent matrices ``sigma(z) sigma(z)^T``, applied to a vector
    u, is ``(u . H u - |K u|^2) / m`` with H this matrix and K the kernel.

    Parameters
    ----------
    covariance : array_like, shape (n, n)
        Covariance of z, with a positive diagonal.
    activation : {"relu", "erf", "linear"}
        Exact for ReLU and for linear networks. For erf n times the kernel, which is no smaller as
        a quadratic form, because ``|erf| <= 1``.

    Notes
    -----
    For ReLU, ``|relu z|^2`` is half of ``|z|^2 + T`` with T the sum of z_c ``|z_c|``, odd in z. The
    first part needs E[relu relu z_c^2] (integrate by parts twice); in the second only the odd part
    of ``relu(z_a) relu(z_b)``, ``(z_a |z_b| + |z_a| z_b) / 4``, counts, and one integration by
    parts over z_a leaves pairs alone. So no moment of three coordinates is needed.

    Examples
    --------
    >>> fourth_moment([[1.0, 0.0], [0.0, 1.0]]).round(4)      # 3 / 2 + 1 / 4 and 2 / pi
    array([[1.75  , 0.6366],
           [0.6366, 1.75  ]])
    """
    values = _check.finite("covariance", covariance, ndim=2)
    kernel = activation_kernel(values, activation)
    if activation == "linear":
        return float(np.trace(kernel)) * kernel + 2 * kernel @ kernel
    if activation == "erf":
        return len(kernel) * kernel
    deviation = np.sqrt(np.diag(values))
    scale = np.outer(deviation, deviation)
    cosine = np.clip(values / scale, -1.0, 1.0)
    sine, angle = np.sqrt(1 - cosine**2), np.arccos(cosine)
    square = values @ values
    at_zero = sine * deviation / deviation[:, None] / (2 * np.pi)  # E[delta(z_a) relu(z_b)]
    curved = np.diag(square)[:, None] * at_zero
    even = float(np.trace(values)) * kernel + curved + curved.T
    even += square * (np.pi - angle) / np.pi
    absolute = 2 / np.pi * scale * (sine + cosine * np.arcsin(cosine))  # E |z_a| |z_b|
    # sum over c of E[sign(z_b) z_c |z_c|]
    signed = 2 / np.pi * (cosine * sine + np.arcsin(cosine)) @ deviation**2
    odd = values * signed + 2 * values @ absolute  # sum over c of E[z_a |z_b| z_c |z_c|]
    return even / 2 + (odd + odd.T) / 8


def preactivation_covariances(
    inputs: ArrayLike,
    layers: int,
    *,
    weight_std: float = 2**0.5,
    bias_std: float = 0.0,
    activation: Activation = "relu",
) -> list[Array]:
    """Return the covariance of the pre-activations of every hidden layer, shape (n, n) each.

    Exact for layers 1 and 2 whatever the width, and the limit of infinite width above.

    Parameters
    ----------
    inputs : array_like, shape (n, d)
        The data.
    layers : int
        Hidden layers.
    weight_std, bias_std : float
        s and b: weights have standard deviation s / sqrt(fan in), biases b.
    activation : {"relu", "erf", "linear"}
        The activation of the hidden layers.

    Raises
    ------
    ValueError
        If a pre-activation below the last layer has a variance outside of 1e-60 and 1e60: without
        biases, one of an example of zeros has none.

    Examples
    --------
    >>> [k.round(3).tolist() for k in preactivation_covariances([[1.0, 0.0]], 2)]
    [[[1.0]], [[1.0]]]
    """
    data = _check.finite("inputs", inputs, ndim=2)
    _check.positive_int("layers", layers)
    weight_std = _check.number("weight_std", weight_std, above=0.0)
    bias_std = _check.number("bias_std", bias_std, least=0.0)
    with np.errstate(over="ignore"):
        below = data @ data.T / data.shape[1]
    covariances = []
    for layer in range(layers):
        if layer:
            _check_variances(np.diag(covariances[-1]), layer)
            below = activation_kernel(covariances[-1], activation)
        covariances.append(weight_std**2 * below + bias_std**2)
    return covariances


def _check_variances(variances: Array, layer: int) -> None:
    if not (variances.min() >= 1e-60 and variances.max() <= 1e60):
        raise ValueError(
            f"`inputs` give the pre-activations of layer {layer} variances from "
            f"{variances.min():.3g} to {variances.max():.3g}, outside of 1e-60 and 1e60: scale the "
            "inputs or the weights, and without biases leave out examples of zeros"
        )


def spectrum(covariance: ArrayLike) -> Array:
    """Return the eigenvalues of ``covariance / n``, descending: the law of a unit on the data.

    The squared distance of two units is the mean over the n examples of their squared difference.

    Examples
    --------
    >>> spectrum([[2.0, 0.0], [0.0, 4.0]])
    array([2., 1.])
    """
    values = _check.finite("covariance", covariance, ndim=2)
    eigenvalues = np.linalg.eigvalsh(values)[::-1] / len(values)
    return np.where(eigenvalues > 1e-13 * eigenvalues[0], eigenvalues, 0.0)
