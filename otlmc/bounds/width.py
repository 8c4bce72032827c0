"""How wide the layers must be for a tolerance."""

import math
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Protocol

from otlmc import _check
from otlmc.results import Bound, LayerWidths, WidthBound

MAX_LOG2_WIDTH = 2**20
"""Widths beyond 2^(2^20) are not searched."""

_RATIOS = (1.0, 0.7, 0.5, 0.3, 1.5)
"""Proportions of one layer to the one below from which the search for single widths starts."""


class Network(Protocol):
    """What :func:`min_width` asks of a pair of networks."""

    @property
    def reference(self) -> str:
        """Where the proofs are."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        ...

    def deviation(self, width: int, /, *, confidence: float | None = None) -> Bound:
        """Upper bound on the deviation at a width."""
        ...

    def matching_shortfall(self, width: int, /) -> Bound:
        """Lower bound on the right-hand side of the statements at a width."""
        ...


def min_width(network: Network, tolerance: float, *, confidence: float | None = None) -> WidthBound:
    """Width at which two independent networks are linearly connected up to a tolerance.

    Parameters
    ----------
    network : TwoLayer or another pair of networks
        The law of the networks.
    tolerance : float
        Allowed deviation along the path, in units of the network's output.
    confidence : float, optional
        Ask for the deviation to stay below the tolerance with this probability; without it, for its
        expectation.

    Returns
    -------
    WidthBound
        ``upper``: the least width whose bound on the deviation meets the tolerance; then networks
        of this width or wider do, too (a theorem, unless ``assumptions`` name an error that is left
        out). ``lower``: below this width no permutation brings the right-hand side of the statement
        down to the tolerance.

    Raises
    ------
    TypeError, ValueError
        For a tolerance that is not positive and finite, a confidence outside of (0, 1), or a
        tolerance that no width up to 2^(2^20) reaches.

    Examples
    --------
    >>> from otlmc import bounds, laws
    >>> print(min_width(bounds.TwoLayer(laws.Gaussian(dim=2), smoothness=1.0), tolerance=0.1))
    width for tolerance 0.1
                                   width    log2 width
    sufficient                        40        5.3219
    necessary                         11        3.4594
    assumes: neurons follow Gaussian(dim=2, total variance=2)
    assumes: neurons of A and of B are independent draws from the law
    assumes: mean-field scaling 1/m; sigma(x; .) has smoothness 1 for all inputs x
    assumes: the deviation is bounded in expectation
    proof:   docs/derivations/two_layer; Ferbach et al. (2024), section 3
    """
    tolerance = _check.number("tolerance", tolerance, above=0.0)
    upper = least_width(
        lambda width: float(network.deviation(width, confidence=confidence)), tolerance
    )
    lower = least_width(lambda width: float(network.matching_shortfall(width)), tolerance)
    holds = "in expectation" if confidence is None else f"with probability {confidence:g}"
    return WidthBound(
        upper=upper if upper < 2**53 else None,
        lower=lower if lower < 2**53 else None,
        log2_upper=math.log2(upper),
        log2_lower=math.log2(lower),
        tolerance=tolerance,
        assumptions=(*network.assumptions, f"the deviation is bounded {holds}"),
        reference=network.reference,
    )


class LayeredNetwork(Protocol):
    """What :func:`min_widths` asks of a pair of networks."""

    @property
    def reference(self) -> str:
        """Where the proofs are."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        ...

    @property
    def hidden_layers(self) -> int:
        """Number of widths."""
        ...

    def deviation(self, widths: int | Sequence[int], *, confidence: float | None = None) -> Bound:
        """Upper bound on the deviation at one width, or at one for each layer."""
        ...


def min_widths(
    network: LayeredNetwork, tolerance: float, *, confidence: float | None = None
) -> LayerWidths:
    """Widths of the single layers at which two networks connect, with as few units as possible.

    From equal and from geometrically falling or growing widths on, units move between layers: one
    layer gives some up, another gets fewer than that, and the bound on the deviation still meets
    the tolerance. The search ends when no such exchange between two layers helps, and no layer
    alone can be narrower: a local minimum of the sum, the best of those found.

    Parameters
    ----------
    network : DeepReLU
        The law of the networks.
    tolerance, confidence : float
        As for :func:`min_width`.

    Returns
    -------
    LayerWidths
        Sufficient widths; ``equal`` is the sufficient width of :func:`min_width`.

    Raises
    ------
    TypeError, ValueError
        As :func:`min_width`.

    Notes
    -----
    The bounds are step functions of the widths, so that many sums are near the least one; on small
    grids the result is the minimum over all widths (tests).

    Examples
    --------
    >>> from otlmc import bounds
    >>> networks = bounds.DeepReLU(spectra=[[1.0, 0.5], [0.3, 0.2]], hidden_layers=2)
    >>> found = min_widths(networks, tolerance=0.2)
    >>> found.widths, found.units, found.equal
    ((320, 128), 448, 256)
    """
    tolerance = _check.number("tolerance", tolerance, above=0.0)

    def meets(widths: Sequence[int]) -> bool:
        return float(network.deviation(widths, confidence=confidence)) <= tolerance

    def least(profile: Sequence[float]) -> int:
        def bound(width: int) -> float:
            widths = _profiled(width, profile)
            return float(network.deviation(widths, confidence=confidence))

        return least_width(bound, tolerance)

    layers = network.hidden_layers
    equal = least([1.0] * layers)
    found = []
    for ratio in _RATIOS:
        profile = [ratio**layer for layer in range(layers)]
        found.append(_exchange(_profiled(least(profile), profile), meets))
    widths = min(found, key=sum)
    return LayerWidths(
        widths=tuple(widths),
        units=sum(widths),
        equal=equal,
        deviation=float(network.deviation(widths, confidence=confidence)),
        tolerance=tolerance,
        assumptions=network.assumptions,
        reference=network.reference,
    )


def _profiled(width: int, profile: Sequence[float]) -> list[int]:
    """Return widths in given proportions, exact beyond the range of floats."""
    return [max(1, width * round(share * 2**10) // 2**10) for share in profile]


def _exchange(widths: list[int], meets: Callable[[Sequence[int]], bool]) -> list[int]:
    """Move units between pairs of layers until no exchange makes the sum smaller."""
    for layer in range(len(widths)):
        _narrow(widths, layer, meets)
    improved = True
    while improved:
        improved = False
        for giver, taker in permutations(range(len(widths)), 2):
            for step in _steps(widths[giver]):
                changed = widths.copy()
                changed[giver] -= step
                changed[taker] += step - 1
                if meets(changed):
                    _narrow(changed, taker, meets)
                    widths, improved = changed, True
                    break
    return widths


def _steps(width: int) -> list[int]:
    """Return how many units a layer may give, the most first: all up to 16, 8 per octave above.

    Of a layer wider than 2^16 it gives no less than a part of 2^-16.
    """
    shift = max(0, width.bit_length() - 16)
    steps = [*range(1, 16), *((8 + k) << octave for octave in range(1, 13) for k in range(8))]
    return [step << shift for step in reversed(steps) if step << shift < width]


def _narrow(widths: list[int], layer: int, meets: Callable[[Sequence[int]], bool]) -> None:
    """Make a layer as narrow as the others allow, to 53 significant bits; ``widths`` changes."""
    low, high = 0, widths[layer]  # low fails, or is no width
    while high - low > max(1, high >> 53):
        widths[layer] = middle = (low + high) // 2
        low, high = (low, middle) if meets(widths) else (middle, high)
    widths[layer] = high


def least_width(bound: Callable[[int], float], tolerance: float) -> int:
    """Return the least width at which a bound that falls with the width meets a tolerance.

    Beyond 2^53 the width is found to 53 significant bits.

    Examples
    --------
    >>> least_width(lambda width: 1 / width, 0.01)
    100
    """
    if bound(1) <= tolerance:
        return 1
    fails, meets = 0, 1  # exponents of 2
    while bound(2**meets) > tolerance:
        fails, meets = meets, 2 * meets
        if meets > MAX_LOG2_WIDTH:
            raise ValueError(
                f"`tolerance` {tolerance:g} is not reached by any width up to 2^{MAX_LOG2_WIDTH}"
            )
    while meets - fails > 1:
        middle = (fails + meets) // 2
        fails, meets = (fails, middle) if bound(2**middle) <= tolerance else (middle, meets)
    unit = 2 ** max(meets - 53, 0)
    low, high = 2**fails // unit, 2**meets // unit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle * unit) <= tolerance else (middle, high)
    return high * unit
