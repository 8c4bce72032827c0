"""Two layers of neurons with one kink, such as ReLU: a deviation of the order W_2^(4/3), not W_1.

Along the path a piecewise linear neuron leaves the straight line only for inputs that put its kink
between its two ends. Few neurons stand so near their kink: the law of <theta, x> has a density.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.laws import Law


def kinked_deviation(
    width: int, cost: float, *, density: float, variance: float = 0.0, miss: float | None = None
) -> float:
    """Bound the deviation of two layers of neurons with one kink, for a unit jump of the slope.

    For any k > 0 the deviation is at most ``k S_2 + F / (384 k^2) + sqrt(V / m)`` in expectation.
    The code takes ``k^3 = F / (192 S_2)``, which makes the first two terms
    ``(3/8) (F S_2^2 / 3)^(1/3)``. Proof: ``docs/derivations/kink``.

    Parameters
    ----------
    width : int
        Neurons of each network.
    cost : float
        Upper bound on the expected matching cost S_2(m); with ``miss``, on W_2^2 itself.
    density : float
        F, a bound on the density of ``<theta, x>`` over unit vectors x; for the mean of the
        deviation over given inputs, that of :func:`kink_metric`, whose metric is then that of the
        cost. Where there is none (``math.inf``), neither is there a bound on the deviation.
    variance : float
        V, the total variance of the law, for the supremum over all ``|x| <= 1``; 0 for a mean.
    miss : float, optional
        Bound the deviation itself, not its expectation: it holds but for this probability, whenever
        ``cost`` does.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.

    References
    ----------
    Ledoux and Talagrand (1991), section 4.2, for all inputs at once; McDiarmid (1989), for a
    confidence; Rogozin (1987) and Ball (1986), for the density of projections.

    Examples
    --------
    >>> round(kinked_deviation(2**20, 0.3, density=0.4, variance=5.0), 4)
    0.088
    """
    width = _check.positive_int("width", width)
    cost = _check.number("cost", cost, least=0.0)
    if math.isinf(density):
        return math.inf
    density = _check.number("density", density, above=0.0)
    variance = _check.number("variance", variance, least=0.0)
    # powers of the factors one by one: their product may leave the range of floats
    near_or_far = 3 / 8 * (density / 3) ** (1 / 3) * cost ** (2 / 3)
    per_root = 2.0 ** (-math.log2(width) / 2)
    total = near_or_far + math.sqrt(variance) * per_root
    if miss is None:
        return total
    miss = _check.number("miss", miss, above=0.0, below=1.0)
    height = 192 ** (1 / 3) * cost ** (1 / 3) / density ** (1 / 3) / 128  # 1 / (128 k)
    return total + math.sqrt(-math.log(miss)) * per_root * height


def kink_metric(law: Law, inputs: ArrayLike) -> tuple[NDArray[np.float64], float]:
    """Return the metric and the density F in which given inputs ask for the distances.

    With F_x the density of ``<theta, x>``, F is the harmonic mean of the F_x and the metric
    ``|v|^2 = mean (F_x / F) <v, x>^2``: small inputs weigh more in it, as kinks are near to more
    neurons there, which makes the bound homogeneous in every single input. Proof:
    ``docs/derivations/kink``.

    Parameters
    ----------
    law : Law
        Law of a neuron.
    inputs : array_like, shape (n, d)
        Where the deviation is averaged.

    Returns
    -------
    metric : ndarray, shape (d, d)
    density : float

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> metric, density = kink_metric(Gaussian(dim=2), [[1.0, 0.0], [0.0, 3.0]])
    >>> metric.round(3), round(density, 4)                      # F_x = 0.3989 / |x|
    (array([[1., 0.],
           [0., 3.]]), 0.1995)
    """
    densities = law.density_along(inputs)
    x, seen = np.asarray(inputs, dtype=np.float64), np.isfinite(densities)
    if not seen.any():
        return x.T @ x / len(x), math.inf
    harmonic = 1 / float(np.mean(1 / densities))
    # an input at which every network is 0 asks for nothing
    weights = np.where(seen, densities / harmonic, 0.0)
    return (x * weights[:, None]).T @ x / len(x), harmonic
