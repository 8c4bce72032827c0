"""Lower bound by rate-distortion theory (Proposition L).

A permutation of m neurons tells at most log2 m bits about where a neuron goes, so the matched pair
(X, Y) has mutual information at most log2 m, and its distortion is at least D(log2 m).
"""

from collections.abc import Callable

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

from otlmc.laws import Law

Array = NDArray[np.float64]


class _ReverseWaterFilling:
    """Rate and distortion of a product law against the slope nu = lambda (1 - rho^2) / rho.

    A coordinate that is not Gaussian has a correlation rho for which the bound asks no rate.
    """

    def __init__(self, law: Law) -> None:
        self.variances = np.concatenate([b.variances for b in law.blocks])
        powers = [np.full(len(b.variances), b.marginal.entropy_power) for b in law.blocks]
        self.entropy_power = np.concatenate(powers)
        # outside of these slopes, rate or distortion leaves the range of floats
        self.log_slopes = np.log(self.variances.min()) - 600, np.log(self.variances.max()) + 40

    def unexplained(self, log_slope: float) -> Array:
        """1 - rho^2 in every coordinate, in the form without cancellation."""
        ratio = np.exp(np.clip(log_slope - np.log(self.variances), -700.0, 300.0))
        stationary = 2 * ratio / (ratio + np.sqrt(ratio * ratio + 4))
        return np.minimum(stationary, self.entropy_power)

    def rate(self, log_slope: float) -> float:
        """Bits spent."""
        explained = np.log2(self.entropy_power) - np.log2(self.unexplained(log_slope))
        return float(0.5 * explained.sum())

    def distortion(self, log_slope: float) -> float:
        """E|X - Y|^2 = sum of 2 lambda (1 - rho)."""
        unexplained = self.unexplained(log_slope)
        return float(np.sum(2 * self.variances * unexplained / (1 + np.sqrt(1 - unexplained))))

    def solve(self, quantity: Callable[[float], float], target: float) -> float:
        """Return the log slope at which the (monotone) quantity takes the target."""
        low, high = self.log_slopes
        return scipy.optimize.root_scalar(
            lambda s: quantity(s) - target, bracket=(low, high), method="brentq", xtol=1e-12
        ).root


def rate_distortion(law: Law, bits: float) -> float:
    """D(R): least E|X - Y|^2 over X, Y ~ law whose mutual information is at most R bits.

    Exact for a Gaussian; for another product law a lower bound, through the entropy powers of its
    coordinates. Proof: ``docs/derivations/lower``.

    References
    ----------
    Cover and Thomas (2006), chapter 10.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(rate_distortion(Gaussian(dim=5), 10.0), 6)
    0.317542
    """
    curve = _ReverseWaterFilling(law)
    if bits <= 0:
        return curve.distortion(curve.log_slopes[1])
    if bits >= curve.rate(curve.log_slopes[0]):
        return 0.0  # the distortion is below the smallest float
    return curve.distortion(curve.solve(curve.rate, bits))


def rate_for_distortion(law: Law, distortion: float) -> float:
    """Inverse of D: the bits, hence log2 of the width, without which no permutation reaches it.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(rate_for_distortion(Gaussian(dim=5), 0.317542), 4)
    10.0
    """
    curve = _ReverseWaterFilling(law)
    finest, coarsest = (curve.distortion(s) for s in curve.log_slopes)
    if distortion >= coarsest:
        return 0.0
    return curve.rate(curve.solve(curve.distortion, max(distortion, finest)))
