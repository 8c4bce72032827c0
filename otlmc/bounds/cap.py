"""Upper bound by fractional matching inside spherical caps (Proposition C): for d of 20 and more.

In high dimension a cut explains little of a neuron, as it sees one coordinate out of many. Here a
neuron of A is joined to every neuron of B whose direction lies in a cap around its own. A cap of
mass c / m holds c neurons on average, whatever the dimension, and its mean cosine is what
log2(m / c) bits can say about a direction. The joined neurons share their unit masses in equal
parts, what is left over is matched blindly.
"""

import math
from functools import lru_cache

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray
from scipy import special

from otlmc.laws import Law
from otlmc.marginals import GAUSSIAN

Array = NDArray[np.float64]

_MAX_WIDTH = 2**40  # beyond it the counts of neurons in a cap are no longer exact in float64
_COUNTS = np.geomspace(0.5, 256.0, 28)
"""Mean numbers c of neurons in a cap that are tried."""
_ALL_BLOCKS = 64  # leading coordinates up to which every number of them is tried


def cap_bound(law: Law, width: int, p: int = 2) -> float:
    """Upper bound on S_p(m) = E W_p^p between two m-samples of a law with Gaussian coordinates.

    With k leading Gaussian coordinates of variances lambda_1 >= ... >= lambda_k of sum s, and caps
    of mass q = c / m on the sphere of their standardised directions, S_2(m) is at most
    ``2 sum(all variances) - 2 (s / k) chi_k^2 M C + (sqrt(2 lambda_1) + sqrt(s / m))^2 +
    lambda_1 / m`` with chi_k the mean length of a standard Gaussian vector, M the expected matched
    fraction and C the mean cosine of a cap. The least over a grid of k and c is returned; for
    p = 1, its square root. Proof: ``docs/derivations/cap``.

    Returns
    -------
    float
        ``inf`` for a law with fewer than two Gaussian coordinates.

    References
    ----------
    Davidson and Szarek (2001), Theorem II.13, for the norm of a Gaussian matrix.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(cap_bound(Gaussian(dim=100), 1024), 2)         # the rank bound gives 188.76
    159.61
    """
    variances = [block.variances for block in law.blocks if block.marginal == GAUSSIAN]
    if not variances or len(variances[0]) < 2:
        return math.inf
    width = min(width, _MAX_WIDTH)
    counts = _COUNTS[width >= 4 * _COUNTS]
    if not len(counts):
        return math.inf
    dims = np.arange(2, len(variances[0]) + 1)
    if len(dims) > _ALL_BLOCKS:
        grid = np.geomspace(_ALL_BLOCKS, dims[-1], _ALL_BLOCKS).round().astype(int)
        dims = np.unique(np.concatenate([dims[:_ALL_BLOCKS], grid]))
    total = np.cumsum(variances[0])[dims - 1]
    largest = variances[0][0]
    # log of (E chi_k)^2
    length = np.exp(math.log(2) + 2 * (special.gammaln((dims + 1) / 2) - special.gammaln(dims / 2)))
    cosines = mean_cosine(dims[:, None], counts / width)
    inside = (cosines * matched_fraction(width)[: len(counts)]).max(axis=1)
    left_over = (math.sqrt(2 * largest) + np.sqrt(total / width)) ** 2 + largest / width
    gain = 2 * (total / dims) * length * inside - left_over
    return float(2 * law.variances.sum() - max(gain.max(), 0.0)) ** (p / 2)


@lru_cache(maxsize=1024)
def matched_fraction(width: int) -> Array:
    """Return M for every mean number c of neurons in a cap, as far as c <= width / 4.

    ``M = c E[1 / max(1 + N, 1 + N')]`` with N, N' independent Binomial(width - 1, c / width).

    Examples
    --------
    >>> matched_fraction(1024).round(3)[[0, 6, 12, 18]]
    array([0.326, 0.615, 0.803, 0.902])
    """
    fractions = []
    for count in _COUNTS[width >= 4 * _COUNTS]:
        others = scipy.stats.binom(width - 1, count / width)
        reach = min(width - 1, math.ceil(others.mean() + 12 * others.std() + 40))
        largest = np.diff(others.cdf(np.arange(reach + 1)) ** 2, prepend=0.0)
        fractions.append(count * float(np.sum(largest / np.arange(1, reach + 2))))
    return np.array(fractions)


def mean_cosine(dim: NDArray[np.int64], mass: Array) -> Array:
    """Return the mean cosine between the axis of a cap and a direction in it.

    Parameters
    ----------
    dim : ndarray of int
        Dimension k >= 2 of the space.
    mass : ndarray
        Mass of the cap under the uniform law on directions, below 1/2.

    Examples
    --------
    >>> mean_cosine(np.array([3]), np.array([0.25])).round(12)    # Archimedes: cosines are uniform
    array([0.75])
    """
    half = (dim - 1) / 2
    square_of_sine = special.betaincinv(half, 0.5, 2 * mass)
    log_mean = half * np.log(square_of_sine) - np.log(dim - 1) - special.betaln(half, 0.5)
    return np.exp(log_mean) / mass
