"""Upper bound by nested halvings of the space (Proposition U).

Level k of the partition has 2^k cells of mass 2^-k. Neurons of A and B are paired inside the
finest cells as far as the counts allow, what is left over inside the next coarser ones, and so on.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray
from scipy import special

from otlmc.laws import Law
from otlmc.marginals import MAX_CUTS

Array = NDArray[np.float64]

EXACT_WIDTH = 2**16
"""Up to this width the unmatched fractions are exact; beyond it they are bounded from above."""


def unmatched(width: int, depth: int) -> Array:
    """Return T_k, the expected fraction of neurons without a partner in their own cell, k <= depth.

    ``T_k = E|N - N'| / (2 width 2^-k)`` with N, N' independent Binomial(width, 2^-k). Beyond
    ``EXACT_WIDTH`` an upper bound: the binomial is below the Poisson law of the same mean in convex
    order, for which T_k is a Bessel function, E|N - N'| is at most the standard deviation of
    N - N', and T_k does not increase with the width; the least of the three is returned.

    Returns
    -------
    ndarray, shape (depth + 1,)

    Examples
    --------
    >>> unmatched(1024, 3).round(7)
    array([0.       , 0.0176288, 0.0305314, 0.0466267])
    """
    if width <= EXACT_WIDTH:
        return np.array([_binomial_unmatched(width, k) for k in range(depth + 1)])
    narrower = [_binomial_unmatched(EXACT_WIDTH, k) for k in range(min(depth, 16) + 1)]
    levels = np.arange(depth + 1)
    mean = np.exp2(np.minimum(math.log2(width) - levels, 1000.0))  # T is below 1e-150 there
    poisson = special.ive(0, 2 * mean) + special.ive(1, 2 * mean)
    spread = np.sqrt(-np.expm1(-levels * math.log(2)) / (2 * mean))
    bound = np.fmin(np.fmin(poisson, spread), 1.0)
    bound[: len(narrower)] = np.fmin(bound[: len(narrower)], narrower)
    return bound


@lru_cache(maxsize=4096)
def _binomial_unmatched(width: int, level: int) -> float:
    if level == 0:
        return 0.0
    law = scipy.stats.binom(width, 2.0**-level)
    reach = 12 * law.std() + 40  # the rest of the distribution is below 1e-30
    counts = np.arange(max(0, int(law.mean() - reach)), min(width, int(law.mean() + reach)) + 1)
    below = law.cdf(counts)
    return float(np.sum(below * (1 - below)) / law.mean())  # E|N - N'| = 2 sum F (1 - F)


@dataclass(frozen=True, eq=False)
class Cuts:
    """A sequence of cuts, each halving one coordinate in every cell.

    Attributes
    ----------
    drops : ndarray, shape (k,)
        Decrease of v, the mean squared distance of two neurons of one cell, at each cut.
    coordinates : ndarray of int, shape (k,)
        The coordinate that is cut, as an index into the concatenated blocks of the law.
    """

    drops: Array
    coordinates: NDArray[np.int64]


def greedy_cuts(law: Law, depth: int) -> Cuts:
    """Cut ``depth`` times, each time the coordinate whose v drops most.

    Fewer than ``depth`` cuts come back where every coordinate has reached its finest profile.
    """
    drops, keys, coordinates = [np.empty(0)], [np.empty(0)], [np.empty(0, dtype=np.int64)]
    first = 0
    for block in law.blocks:
        variances = block.variances[: max(depth, 1)]  # smaller ones are never among the best
        # cut b + 1 of a coordinate has to come after its cut b, also where drops are not monotone
        leading = np.minimum.accumulate(block.marginal.drops)
        for cut in range(min(MAX_CUTS, depth)):
            drops.append(variances * block.marginal.drops[cut])
            keys.append(variances * leading[cut])
            coordinates.append(first + np.arange(len(variances)))
        first += len(block.variances)
    order = np.argsort(-np.concatenate(keys), kind="stable")[:depth]
    return Cuts(np.concatenate(drops)[order], np.concatenate(coordinates)[order])


def partition_bound(law: Law, width: int, p: int = 2) -> float:
    """Upper bound U_p(m) on S_p(m) = E W_p^p by nested halvings, p in {1, 2}.

    With v_k the mean squared distance of two neurons of one level-k cell, c_k = 2 v_{k-1} - v_k and
    T_k the unmatched fractions, S_p(m) <= v_K^{p/2} (1 - T_K) + sum_k c_k^{p/2} (T_k - T_{k-1}) for
    every depth K; the least value is returned. Proof: ``docs/derivations/partition``.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> [round(partition_bound(Gaussian(dim=5), 1024, p), 5) for p in (1, 2)]
    [1.54357, 2.67684]
    """
    # below 2^-16 neurons a cell the gain of a further level is lost in the printed digits
    cuts = greedy_cuts(law, int(math.log2(width)) + 16)
    fractions = unmatched(width, len(cuts.drops))
    within = 2 * law.variances.sum() - np.concatenate([[0.0], np.cumsum(cuts.drops)])
    # v = 0 is reached up to round-off by a law whose finest profile vanishes
    return cost_by_levels(np.clip(within, 0.0, None), fractions, p)


def cost_by_levels(within: Array, fractions: Array, p: int) -> float:
    """Evaluate Proposition U for v_k and T_k, levels 0 to K, with the least value over the depth.

    Examples
    --------
    >>> cost_by_levels(np.array([2.0, 0.5]), np.array([0.0, 0.1]), 2)    # 0.9 v_1 + 0.1 c_1
    0.8
    """
    inside = within ** (p / 2)
    across = np.clip(2 * within[:-1] - within[1:], 0.0, None) ** (p / 2)
    # Summed by parts, with fractions T_k >= 0 that may be upper bounds: where c_k falls with k, the
    # usual case, a larger T_k raises the value; where it does not, T_k >= 0 drops the term.
    steps = fractions[1:-1] * np.clip(across[:-1] - across[1:], 0.0, None)
    passed = np.concatenate([[0.0], np.cumsum(steps)])
    last = fractions[1:] * np.clip(across - inside[1:], 0.0, None)
    return float(min(inside[0], np.min(inside[1:] + passed + last, initial=np.inf)))
