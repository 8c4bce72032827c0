"""How wide the layers must be for a tolerance."""

import math
from collections.abc import Callable
from typing import Protocol

from otlmc import _check
from otlmc.results import Bound, WidthBound

MAX_LOG2_WIDTH = 2**20
"""Widths beyond 2^(2^20) are not searched."""


class Network(Protocol):
    """What :func:`min_width` asks of a pair of networks."""

    reference: str

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        ...

    def deviation(self, width: int, *, confidence: float | None = None) -> Bound:
        """Upper bound on the deviation at a width."""
        ...

    def matching_shortfall(self, width: int) -> Bound:
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
        ``upper``: the least width whose bound on the deviation meets the tolerance: a theorem
        guarantees that every network of this width or wider does. ``lower``: below this width no
        permutation reaches the matching cost that the theorem asks for.

    Raises
    ------
    TypeError, ValueError
        For a tolerance that is not positive and finite, a confidence outside of (0, 1), or a
        tolerance that no width up to 2^(2^20) reaches.

    Examples
    --------
    >>> from otlmc import bounds, laws
    >>> print(min_width(bounds.TwoLayer(laws.Gaussian(dim=2), lipschitz=1.0), tolerance=0.1))
    width for tolerance 0.1
                                   width    log2 width
    sufficient                     6,144       12.5850
    necessary                        130        7.0224
    assumes: neurons follow Gaussian(dim=2, total variance=2)
    assumes: neurons of A and of B are independent draws from the law
    assumes: mean-field scaling 1/m; sigma(x; .) has lipschitz 1 for all inputs x
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
