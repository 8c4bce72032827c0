"""Other ways to predict across widths, each as the exponent that it gives near the source."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls
from torch import Tensor, nn

from otlmc import bounds, laws
from otlmc.matching.cost import matching_costs

_DIMENSIONS = np.geomspace(1.0, 100.0, 600)
_APART = 4
"""The exponents are slopes over this factor of the width, from the source up."""


def floor_exponent(sizes: ArrayLike, means: ArrayLike) -> float:
    """Fit ``c n^(-2/k) + floor`` by relative least squares; return its slope above the ladder.

    Parameters
    ----------
    sizes, means : array_like, shape (rungs,)
        A ladder, its largest size first.

    Examples
    --------
    >>> n = np.array([64, 32, 16, 8])
    >>> round(floor_exponent(n, 3 / n**0.5), 2), floor_exponent(n, np.ones(4)) > -1e-6
    (-0.5, True)
    """
    n, values = np.asarray(sizes, dtype=float), np.asarray(means, dtype=float)
    fits = []
    for k in _DIMENSIONS:
        terms = np.column_stack([n ** (-2 / k), np.ones(len(n))])
        weights, error = nnls(terms / values[:, None], np.ones(len(n)))
        fits.append((error, k, *weights))
    _, k, factor, floor = min(fits)

    def at(size: float) -> float:
        return factor * size ** (-2 / k) + floor

    return math.log(at(_APART * n[0]) / at(n[0])) / math.log(_APART)


def gaussian_exponent(a: nn.Module, b: nn.Module, inputs: Tensor) -> list[float]:
    """Return for every layer the slope of the cost of Gaussian units with the measured spectrum.

    The cost is taken in the middle, on a logarithmic scale, of the theorems' two bounds.
    """
    costs = matching_costs(a, b, inputs, space="activation_centred")
    slopes = []
    for cost in costs.values():
        law = laws.Gaussian(spectrum=cost.spectrum)
        here, there = (
            math.log(float(bounds.lower(law, width)) * float(bounds.upper(law, width))) / 2
            for width in (cost.width, _APART * cost.width)
        )
        slopes.append((there - here) / math.log(_APART))
    return slopes
