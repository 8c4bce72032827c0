"""Lower bounds that need no information theory: means, densities and nearest neighbours."""

import math
from functools import lru_cache

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray
from scipy import special

from otlmc.laws import Empirical, Law
from otlmc.marginals import GAUSSIAN

Array = NDArray[np.float64]

MAX_WIDTH = 2**50
"""The nearest-neighbour integral is evaluated up to this width."""


def mean_bound(law: Law | Empirical, width: int, p: int = 2) -> float:
    """W_p >= W_1 >= the distance of the two means.

    For p = 2, S_2(m) >= 2 tr C / m, for every law. For p = 1 and a Gaussian, S_1(m) >=
    2 sqrt(tr C / (pi m)), because a Gaussian vector Z has E|Z| >= sqrt(2 / pi) sqrt(E|Z|^2), with
    equality in dimension 1; other laws get 0. Proof: ``docs/derivations/lower``.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> mean_bound(Gaussian(dim=3), 6)
    1.0
    """
    variance = math.exp(math.log(2 * float(law.spectrum.sum())) - math.log(width))
    if p == 2:
        return variance
    if all(block.marginal is GAUSSIAN for block in law.blocks):
        return math.sqrt(2 / math.pi * variance)
    return 0.0


def density_bound(law: Law, width: int, p: int = 2) -> float:
    """S_p(m) >= (F omega_k)^(-p/k) Gamma(1 + p/k) Gamma(m + 1) / Gamma(m + 1 + p/k).

    F is the supremum of the density of the first k coordinates (by peak density), omega_k the
    volume of the unit ball of R^k; the largest value over k is returned, since a projection brings
    points closer. It is the form of Theorem 5.3 of Ferbach et al. with its constant: a neuron
    finds no partner closer than its nearest neighbour among m, and P(nearest farther than r) >=
    (1 - F omega_k r^k)^m. Proof: ``docs/derivations/lower``.

    References
    ----------
    Ferbach et al. (2024), Theorem 5.3.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(density_bound(Gaussian(dim=5), 1024), 4)
    0.1793
    """
    log_peaks = np.sort(
        np.concatenate([math.log(b.marginal.peak) - 0.5 * np.log(b.variances) for b in law.blocks])
    )
    k = np.arange(1, len(log_peaks) + 1)
    log_ball = 0.5 * k * math.log(math.pi) - special.gammaln(0.5 * k + 1)
    power = p / k
    if width <= 2**16:
        # the quotient of Gamma functions through the Beta function, to 1e-9
        log_ratio = special.betaln(width + 1.0, power) - special.gammaln(power)
    else:
        # from below and to 3e-5: Gamma(x + a) <= x^a Gamma(x) for a <= 1 (Wendel 1948), and for
        # a = 2 the quotient is (m + 1) (m + 2)
        log_ratio = -power * math.log(width + 2)
    log_bound = -power * (np.cumsum(log_peaks) + log_ball) + special.gammaln(1 + power) + log_ratio
    return float(np.exp(log_bound.max()))


def nearest_neighbour_bound(law: Law, width: int, p: int = 2) -> float:
    """S_p(m) >= E min_j |a - b_j|^p, the mean cost to the nearest of m neurons.

    For a Gaussian: evaluated on its leading coordinates of equal variance, where the squared
    distance of b to a given a is a noncentral chi-square variable; the other coordinates only add.
    Other laws get 0. Sharper than the density bound because it sees the density fall in the tails.
    Proof: ``docs/derivations/lower``.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(nearest_neighbour_bound(Gaussian(dim=5), 1024), 3)
    0.563
    """
    if any(block.marginal is not GAUSSIAN for block in law.blocks) or width > MAX_WIDTH:
        return 0.0
    spectrum = law.blocks[0].variances
    leading = int(np.sum(spectrum > spectrum[0] * (1 - 1e-12)))
    return float(spectrum[0] ** (p / 2)) * _isotropic_nearest(leading, width, p)


@lru_cache(maxsize=4096)
def _isotropic_nearest(dim: int, width: int, p: int) -> float:
    """E min over m of |a - b_j|^p for standard Gaussians in R^dim, from below."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    norms = scipy.stats.chi2.ppf(0.5 * (nodes + 1), dim)[:, None]  # |a|^2, by quantile
    farthest = norms + dim + 12 * np.sqrt(2 * dim + 4 * norms)

    def survival(squared_radii: Array) -> Array:
        inside = scipy.stats.ncx2.cdf(squared_radii, dim, norms)
        return np.exp(width * np.log1p(-np.minimum(inside, 1 - 1e-16)))

    # with 2^50 neurons on a line the nearest is at a squared distance of 1e-30
    coarse = farthest * np.geomspace(1e-50, 1.0, 600)
    alone = survival(coarse)
    start = np.take_along_axis(coarse, np.sum(alone > 1 - 1e-9, axis=1, keepdims=True) - 1, 1)
    last = np.minimum(np.sum(alone >= 1e-12, axis=1, keepdims=True), coarse.shape[1] - 1)
    stop = np.take_along_axis(coarse, last, 1)
    radii = start + (stop - start) * np.linspace(0.0, 1.0, 1025)
    # E R^p = integral of P(R > r) d(r^p), with the survival taken at the right end of every step:
    # it falls, so the sum is a lower one
    steps = np.diff(radii ** (p / 2), axis=1, prepend=0.0)
    return float(0.5 * weights @ np.sum(survival(radii) * steps, axis=1))
