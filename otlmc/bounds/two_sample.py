"""The cost of matching two independent samples of one law: the best bound on either side.

``S_p(m) = E W_p^p`` between the empirical measures of two samples of m neurons is, by Birkhoff's
theorem, the expected cost of the best permutation, per neuron. It does not increase with m.
"""

import math

from otlmc import _check
from otlmc.bounds.cap import cap_bound
from otlmc.bounds.nearest import density_bound, mean_bound, nearest_neighbour_bound
from otlmc.bounds.partition import cost_by_levels, partition_bound, unmatched
from otlmc.bounds.rank import rank_bound, sorting_cost
from otlmc.bounds.rate_distortion import rate_distortion
from otlmc.laws import Empirical, Law
from otlmc.results import Bound


def upper(
    law: Law | Empirical, width: int, *, p: int = 2, confidence: float | None = None
) -> Bound:
    """Upper bound on the matching cost S_p(m) = E W_p^p of two m-samples of a law.

    Parameters
    ----------
    law : Law or Empirical
        Law of a neuron; use ``law.in_metric(Sigma)`` for the distance of a metric. Of a measured
        cloud comes an estimate, of the kind ``"upper estimate"``: Proposition U with the cells of a
        k-d tree. It no longer falls beyond the number of neurons of the cloud.
    width : int
        Neurons in each sample, m >= 1, of any size (``2**500`` is an ordinary input).
    p : {1, 2}
        Order of the distance.
    confidence : float, optional
        Bound W_p^p itself with at least this probability, instead of its expectation.

    Returns
    -------
    Bound
        The least of the partition bound (Proposition U), the rank bound (Proposition R) and the
        cap bound (Proposition C); on a line, where ``"sorting"`` gives it, the exact value.

    Raises
    ------
    TypeError, ValueError
        For a width below 1, p other than 1 or 2, a confidence outside of (0, 1), or one for an
        estimate.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> bound = upper(Gaussian(dim=2), 1024)
    >>> bound.method, round(bound.value, 4)
    ('rank', 0.096)
    """
    width = _checked_width(law, width, p)
    if isinstance(law, Empirical):
        if confidence is not None:
            raise ValueError("`confidence` asks for a law; an estimate from a cloud has none")
        fractions = unmatched(width, len(law.within) - 1)
        return Bound.best("upper estimate", {"k-d tree": cost_by_levels(law.within, fractions, p)})
    candidates = {
        "partition": partition_bound(law, width, p),
        "rank": rank_bound(law, width, p),
        "cap": cap_bound(law, width, p),
    }
    if sum(len(block.variances) for block in law.blocks) == 1:
        candidates |= _sorting(law, width, p)
    if confidence is not None:
        confidence = _check.number("confidence", confidence, above=0.0, below=1.0)
        candidates = {
            name: _with_confidence(law, width, p, value, confidence)
            for name, value in candidates.items()
        }
    return Bound.best("upper", candidates)


def lower(law: Law | Empirical, width: int, *, p: int = 2) -> Bound:
    """Lower bound on the matching cost S_p(m) = E W_p^p of two m-samples of a law.

    Parameters and errors as in :func:`upper`.

    Returns
    -------
    Bound
        The largest of the mean, density, nearest-neighbour and (p = 2) rate-distortion bounds and
        (p = 2, up to a width of 4096) of the cost of sorting, exact on a line. Of a cloud (p = 2
        only), the mean bound with its measured variance, of the kind ``"lower estimate"``.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> [lower(Gaussian(dim), 64).method for dim in (2, 10)]
    ['sorting', 'nearest neighbour']
    >>> lower(Gaussian(spectrum=[0.5**i for i in range(8)]), 64).method
    'rate-distortion'
    """
    width = _checked_width(law, width, p)
    if isinstance(law, Empirical):
        if p == 1:
            raise ValueError(
                "`p` must be 2 for a cloud: no lower bound at p = 1 does without a law"
            )
        return Bound.best("lower estimate", {"mean": mean_bound(law, width)})
    candidates = {
        "mean": mean_bound(law, width, p),
        "density": density_bound(law, width, p),
        "nearest neighbour": nearest_neighbour_bound(law, width, p),
    }
    candidates |= _sorting(law, width, p)
    if p == 2:
        candidates["rate-distortion"] = rate_distortion(law, math.log2(width))
    return Bound.best("lower", candidates)


def _sorting(law: Law, width: int, p: int) -> dict[str, float]:
    cost = sorting_cost(law, width) if p == 2 else None
    return {} if cost is None else {"sorting": cost}


def _checked_width(law: Law | Empirical, width: int, p: int) -> int:
    if not isinstance(law, Law | Empirical):
        raise TypeError(f"`law` must be a law of otlmc.laws, got {type(law).__name__}")
    _check.one_of("p", p, (1, 2))
    return _check.positive_int("width", width)


def _with_confidence(law: Law, width: int, p: int, expected: float, confidence: float) -> float:
    """Turn a bound on E W_p^p into one on W_p^p.

    A law that is an L-Lipschitz image of a standard Gaussian: (A, B) -> W_p is L sqrt(2 / m)-
    Lipschitz in the Gaussians, hence P(W_p >= E W_p + r) <= exp(-m r^2 / (4 L^2)), and E W_p <=
    S_p^(1/p). Otherwise Markov's inequality.
    """
    miss = 1 - confidence
    if math.isinf(law.lipschitz):
        return expected / miss
    excess = law.lipschitz * math.sqrt(4 * math.log(1 / miss)) * 2 ** (-math.log2(width) / 2)
    return (expected ** (1 / p) + excess) ** p
