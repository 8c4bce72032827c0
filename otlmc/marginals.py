"""One-dimensional laws with mean 0 and variance 1: what a single coordinate of a neuron follows.

The bounds read only three things off a marginal: its quantile function Q, the integral of Q
(conditional means of equal-mass intervals are its differences), and a few constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]
Function = Callable[[Array], Array]

MAX_CUTS = 20
"""A coordinate is never cut into more than 2**20 intervals; stopping early is always allowed.

g is then 2e-12 for the uniform law, 1.5e-7 for the Gaussian and 2.1e-6 for the Laplace law: below
that, times the total variance, no upper bound falls."""


@dataclass(frozen=True, eq=False)
class Marginal:
    """A standardised one-dimensional law; two marginals are equal if they are one object.

    Attributes
    ----------
    name : str
        What the law is called in tables.
    quantile : callable
        Q on (0, 1), vectorised.
    integrated_quantile : callable
        u -> integral of Q over (0, u), vectorised on [0, 1]; it vanishes at both ends.
    entropy_power : float
        2^(2h) / (2 pi e) with h the differential entropy in bits; 1 for the Gaussian, less else.
    peak : float
        Supremum of the density.
    unimodal : bool
        Whether the law is symmetric with a density that falls away from 0; then Q is convex above
        1/2, which the rank bound uses beyond its exact range.
    lipschitz : float
        Least constant L such that the law is the image of a standard Gaussian under an
        L-Lipschitz map (infinite where there is none): the source of concentration.
    """

    name: str
    quantile: Function
    integrated_quantile: Function
    entropy_power: float
    peak: float
    unimodal: bool
    lipschitz: float

    def interval_means(self, cuts: int) -> Array:
        """Conditional means of the ``2**cuts`` intervals of equal mass, shape (2**cuts,)."""
        edges = np.linspace(0.0, 1.0, 2**cuts + 1)
        return np.diff(self.integrated_quantile(edges)) * 2.0**cuts

    def profile(self, cuts: int) -> float:
        """g(b): mean squared distance of two points of one interval after ``cuts`` = b halvings.

        ``g(b) = 2 (1 - mean of squared conditional means)``, so g(0) = 2.

        Examples
        --------
        >>> [round(GAUSSIAN.profile(b), 5) for b in range(3)]
        [2.0, 0.72676, 0.27888]
        """
        return _profile(self, cuts)

    @property
    def drops(self) -> Array:
        """g(b) - g(b+1) for b = 0, 1, ..., shape (MAX_CUTS,)."""
        return _drops(self)


@lru_cache(maxsize=4096)
def _profile(marginal: Marginal, cuts: int) -> float:
    return 2.0 * (1.0 - float(np.mean(marginal.interval_means(cuts) ** 2)))


@cache
def _drops(marginal: Marginal) -> Array:
    profile = np.array([marginal.profile(b) for b in range(MAX_CUTS + 1)])
    drops = -np.diff(profile)
    drops.flags.writeable = False
    return drops


def _gaussian_density(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


GAUSSIAN = Marginal(
    name="Gaussian",
    quantile=special.ndtri,
    integrated_quantile=lambda u: -_gaussian_density(special.ndtri(u)),
    entropy_power=1.0,
    peak=1 / np.sqrt(2 * np.pi),
    unimodal=True,
    lipschitz=1.0,
)

UNIFORM = Marginal(
    name="Uniform",
    quantile=lambda u: np.sqrt(3.0) * (2 * u - 1),
    integrated_quantile=lambda u: np.sqrt(3.0) * (u * u - u),
    entropy_power=6 / (np.pi * np.e),
    peak=1 / np.sqrt(12.0),
    unimodal=True,
    lipschitz=np.sqrt(6 / np.pi),  # x -> 2 sqrt(3) Phi(x), steepest at 0
)


def _laplace_quantile(u: Array) -> Array:
    tail = np.minimum(u, 1 - u)
    return np.sign(u - 0.5) * -np.log(2 * tail) / np.sqrt(2.0)


def _laplace_integral(u: Array) -> Array:
    tail = np.minimum(u, 1 - u)  # the integral is symmetric about 1/2
    return (special.xlogy(tail, 2 * tail) - tail) / np.sqrt(2.0)


LAPLACE = Marginal(
    name="Laplace",
    quantile=_laplace_quantile,
    integrated_quantile=_laplace_integral,
    entropy_power=np.e / np.pi,  # h = log2(e sqrt 2): 2 e^2 / (2 pi e)
    peak=1 / np.sqrt(2.0),
    unimodal=True,
    lipschitz=np.inf,
)


@cache
def truncated_gaussian(bound: float) -> Marginal:
    """Return the standardised Gaussian conditioned on lying within ``bound`` standard deviations.

    The map T = F^-1(Phi) from the untruncated Gaussian has T(0) = 0 and, before the scaling by
    1 / std, ``|T(z)| <= |z|``; so its slope mass phi(z) / phi(T(z)) is at most the mass, with
    equality at 0.
    """
    low, mass = special.ndtr(-bound), special.ndtr(bound) - special.ndtr(-bound)
    density_at_bound = float(_gaussian_density(np.array(bound)))
    variance = 1 - 2 * bound * density_at_bound / mass
    std = float(np.sqrt(variance))

    def quantile(u: Array) -> Array:
        return special.ndtri(low + mass * np.asarray(u)) / std

    def integrated(u: Array) -> Array:
        z = np.clip(special.ndtri(low + mass * np.asarray(u)), -bound, bound)
        return (density_at_bound - _gaussian_density(z)) / (mass * std)

    # entropy in nats of the truncated Gaussian before scaling by 1 / std
    entropy = np.log(np.sqrt(2 * np.pi) * mass) + 0.5 * variance
    return Marginal(
        name=f"Gaussian truncated at {bound:g}",
        quantile=quantile,
        integrated_quantile=integrated,
        entropy_power=float(np.exp(2 * entropy) / variance / (2 * np.pi * np.e)),
        peak=float(std / (np.sqrt(2 * np.pi) * mass)),
        unimodal=True,
        lipschitz=float(mass / std),
    )


_GRID = np.linspace(-8.1, 8.1, 32_401)
"""Where a quantile function is read, as z with u = ndtr(z): all but 6e-16 of the mass."""
_SHIFTS = 41
"""So many grids of step 0.0205, the coarsest of the rank bound, make up the grid above."""


def from_quantile(name: str, quantile: Callable[[Array], ArrayLike]) -> tuple[Marginal, float]:
    """Standardise a law given by its quantile function; return the marginal and the variance.

    The integral of Q, the mean and the variance are computed by quadrature on a grid that is fine
    in both tails. What is computed from Q is right to about 1e-5 of the variance: a law for which
    it would not be is refused. That the law is symmetric and unimodal is checked on the grid, not
    proved.

    Raises
    ------
    ValueError
        If the quantile function is not finite and strictly increasing on (0, 1): a flat piece is
        an atom (a discrete law), for which half-mass cuts do not exist. If the tails are so heavy
        that the variance is infinite, or lies beyond the grid. If it jumps, bends or rises too
        suddenly for quadrature: the support has a gap, or the density jumps or has a narrow
        valley or peak.

    Examples
    --------
    >>> marginal, variance = from_quantile("exponential", lambda u: -np.log1p(-u))
    >>> round(variance, 9), marginal.unimodal
    (1.0, False)
    """
    z = _GRID
    u = special.ndtr(z)
    q = np.asarray(quantile(u), dtype=np.float64)
    if q.shape != u.shape or not np.isfinite(q).all():
        raise ValueError(f"`quantile` of {name} must be vectorised and finite on (0, 1)")
    steps = np.diff(q)
    # a steep density leaves steps below the resolution of floats in a tail: no atom
    if steps.min() < -1e-14 * np.abs(q).max() or np.diff(u)[steps <= 0].sum() > 1e-3:
        raise ValueError(
            f"`quantile` of {name} must increase strictly: a flat piece is an atom, and a law with "
            "atoms (a discrete law) has no cuts into halves of equal mass"
        )
    # the trapezium rule converges fast in z
    weight = _gaussian_density(z) * (z[1] - z[0])
    weight /= weight.sum()
    mean = float(q @ weight)
    squares = (q - mean) ** 2 * weight
    variance = float(squares.sum())
    if squares[np.abs(z) > 7.5].sum() > 1e-4 * variance:
        raise ValueError(
            f"`quantile` of {name} has tails so heavy that more than 1e-4 of the variance lies "
            "beyond the quantiles at 3e-14 and 1 - 3e-14: the variance is infinite, or cannot be "
            "computed"
        )
    std = np.sqrt(variance)
    standard = (q - mean) / std
    if _disagreement(standard, weight) > 1e-5:
        raise ValueError(
            f"`quantile` of {name} changes too suddenly to be integrated: a jump is a gap in the "
            "support, a kink a jump of the density; a narrow valley or peak of the density is alike"
        )
    increments = 0.5 * (standard[1:] + standard[:-1]) * np.diff(u)
    integral = np.concatenate([[0.0], np.cumsum(increments)])
    integral -= u * integral[-1]  # both ends lie at 0
    # beyond, and in the upper tail first, differences of Q lose their digits
    inner = np.abs(z) <= 6.5
    slope = np.gradient(q, z)[inner] / std
    density = np.divide(
        _gaussian_density(z[inner]), slope, out=np.full_like(slope, np.inf), where=slope > 0
    )
    resolved = np.isfinite(density)
    entropy = float(-np.log(density[resolved]) @ weight[inner][resolved])
    upper = density[(z[inner] >= 0) & (z[inner] <= 4.5)]
    falling = bool(np.all(upper[1:] <= upper[:-1] + 1e-6 * upper[0]))
    middle = standard[np.abs(z) <= 4.5]
    symmetric = np.allclose(middle, -middle[::-1], rtol=1e-7, atol=1e-7)
    marginal = Marginal(
        name=name,
        quantile=lambda v: (np.asarray(quantile(v), dtype=np.float64) - mean) / std,
        integrated_quantile=lambda v: np.interp(v, u, integral),
        entropy_power=float(np.exp(2 * entropy) / (2 * np.pi * np.e)),
        peak=float(density.max()),
        unimodal=symmetric and falling,
        lipschitz=np.inf,  # a grid cannot certify a supremum over the tails
    )
    return marginal, variance


def _disagreement(standard: Array, weight: Array) -> float:
    """Return by how much two moments differ over the coarse grids that make up the fine one."""
    moments = []
    for start in range(_SHIFTS):
        q, w = standard[start::_SHIFTS], weight[start::_SHIFTS]
        moments.append([q @ w / w.sum(), q * q @ w / w.sum()])
    return float(np.ptp(moments, axis=0).max())
