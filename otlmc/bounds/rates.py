"""Rates of widths in the literature, with their unknown constants as parameters.

A published rate such as O~(eps^-d) says how the width grows, not how large it is: its constants
and logarithms are hidden. Here they are parameters (``constant`` for C, ``scale`` for T in
``C (T / eps)^d``), 1 unless given, so that a number from this module is a comparison of growth.

What was read: of Ferbach et al. (2024) the abstract and a list of the statements, in which those of
section 5 stand one number lower; the rates are those that the design notes of this project
quote, like that of Entezari et al. (2022). Of Zhan, Li and Wu (2025) the abstract, which states the
rate. None of the proofs was checked.
"""

import math
from collections.abc import Sequence

from otlmc import _check
from otlmc.bounds.tower import Tower, power_law


def layer_widths(
    input_dim: int,
    tolerance: float,
    *,
    layers: int = 1,
    constant: float = 1.0,
    scale: float | Sequence[float] = 1.0,
) -> tuple[Tower, ...]:
    """Sufficient widths of Ferbach et al. (2024), Theorem 5.2: Gaussian weights, layer by layer.

    ``m~_l = C (T_l / eps)^(m~_{l-1})`` with ``m~_0 = m_0`` the dimension of the inputs, stated for
    m_0 >= 5. The sufficient width of one layer is the exponent of the next: a tower of powers. For
    sub-Gaussian rows (section 5.5 there) the rate is the same, with other constants.

    Parameters
    ----------
    input_dim : int
        m_0.
    tolerance : float
        eps, the deviation along the path; below every ``scale``.
    layers : int
        Hidden layers.
    constant : float
        C, hidden in the O~ of the paper.
    scale : float or sequence of float
        T_l, of all layers or of each.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> print(*layer_widths(5, 0.1, layers=3))
    2^16.6096 2^332192.8095 2^2^332194.5415
    """
    scales = list(scale) if isinstance(scale, Sequence) else [scale] * layers
    if len(scales) != _check.positive_int("layers", layers):
        raise ValueError(f"`scale` must be a number or {layers} of them, got {len(scales)}")
    power: float | Tower = float(_check.positive_int("input_dim", input_dim))
    widths = []
    for value in scales:
        power = power_law(_log2_ratio(value, tolerance), power, log2_factor=_log2(constant))
        widths.append(power)
    return tuple(widths)


def density_width(
    dim: int, tolerance: float, *, log2_density: float = 0.0, constant: float = 1.0
) -> Tower:
    """Necessary width of Ferbach et al. (2024), Theorem 5.3: neurons with a density of at most F.

    ``m >= C / (F eps^d)``: no permutation matches two samples of fewer neurons with a root mean
    square distance of eps. With its constant: :func:`otlmc.bounds.lower`, candidate ``"density"``.

    Parameters
    ----------
    dim : int
        d, the dimension of a neuron.
    tolerance : float
        eps.
    log2_density : float
        Binary logarithm of F.
    constant : float
        C.

    Examples
    --------
    >>> print(density_width(10, 0.5), density_width(10, 0.5, log2_density=-3.0))
    2^10 2^13
    """
    bits = -math.log2(_check.number("tolerance", tolerance, above=0.0))
    log2 = _check.positive_int("dim", dim) * bits - _check.number("log2_density", log2_density)
    return Tower.power_of_two(max(log2 + _log2(constant), 0.0))


def subspace_width(
    dim: int, tolerance: float, *, distance: float, constant: float = 1.0, scale: float = 1.0
) -> Tower:
    """Sufficient width of Ferbach et al. (2024), Theorem 5.4: weights close to a subspace.

    With neurons within eta of a subspace of dimension k, the width ``C (T / eps)^k`` is enough, as
    long as it is below ``eta^-k``, that is for eps >= T eta up to constants.

    Parameters
    ----------
    dim : int
        k.
    tolerance : float
        eps, at least ``scale * distance`` and below ``scale``.
    distance : float
        eta, in units of ``scale``.
    constant, scale : float
        C and T.

    Examples
    --------
    >>> print(subspace_width(3, 0.125, distance=0.01))
    2^9
    """
    reach = _check.number("distance", distance, least=0.0) * _check.number("scale", scale)
    _check.number("tolerance", tolerance, above=0.0, least=reach)
    return layer_widths(dim, tolerance, constant=constant, scale=scale)[0]


def random_network_width(
    input_dim: int, tolerance: float, *, constant: float = 1.0, scale: float = 1.0
) -> Tower:
    """Sufficient width of Entezari et al. (2022): one hidden layer at random initialisation.

    ``m = C (T / eps)^(2 d + 4)`` in d input dimensions. Parameters as in :func:`layer_widths`.

    Examples
    --------
    >>> print(random_network_width(10, 0.5))
    2^24
    """
    power = 2 * _check.positive_int("input_dim", input_dim) + 4
    return power_law(_log2_ratio(scale, tolerance), power, log2_factor=_log2(constant))


def student_width(tolerance: float, *, constant: float = 1.0, scale: float = 1.0) -> Tower:
    """Sufficient width of Zhan, Li and Wu (2025): trained students of a ReLU teacher.

    Two layers; the barrier of the loss, permuted, is of the order m^(-1/2) for large m, whatever
    the dimension: ``m = C (T / eps)^2`` with eps the barrier.

    Examples
    --------
    >>> print(student_width(0.125))
    2^6
    """
    return power_law(_log2_ratio(scale, tolerance), 2.0, log2_factor=_log2(constant))


def _log2(constant: float) -> float:
    return math.log2(_check.number("constant", constant, above=0.0))


def _log2_ratio(scale: float, tolerance: float) -> float:
    """log2(T / eps), which must be positive for the rate to say anything."""
    scale = _check.number("scale", scale, above=0.0)
    tolerance = _check.number("tolerance", tolerance, above=0.0, below=scale)
    return math.log2(scale) - math.log2(tolerance)
