"""Upper bound by halvings at sample medians (Proposition R): rate optimal in every dimension.

The partition bound cuts space at the medians of the law, so that the numbers of neurons of A
and B in a cell differ, and what is left over travels far: at p = 2 that costs the order m^-1/2
whatever the dimension. Here a cell is cut at the median *of its own neurons*, in A and in B alike.
The counts then agree exactly, nothing is left over, and what fluctuates instead is where the cuts
lie, which costs only the square of the shift: the order 1/m in dimension 1 (where the bound is the
exact value), log(m)/m in dimension 2 and m^(-2/d) above.

The halvings suit some widths better than others. As S_p does not increase with the width, the bound
at a width is the least of those at some narrower ones.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from otlmc.bounds.partition import greedy_cuts
from otlmc.laws import Law
from otlmc.marginals import Marginal

Array = NDArray[np.float64]

EXACT_WIDTH = 4096
"""Up to this width the expectations of the order statistics are taken exactly."""

_TINY = np.finfo(float).tiny
_LEAF_WIDTH = 256  # beyond it, cells of at most this size are exact and the cuts above convex
_MAX_LEVELS = 60  # a deeper tree gains nothing in float64 and the partition bound serves as well
_MAX_OWN_CUTS = 14  # of one coordinate: 2^14 cells are kept apart, a bound on time and memory


def rank_bound(law: Law, width: int, p: int = 2) -> float:
    """Upper bound on S_p(m) = E W_p^p between two m-samples of a product law.

    Coordinate i of a cell follows a law that depends only on the ranks kept at the cuts of
    coordinate i; with e the expected coordinate of a neuron of the cell, the cost of matching
    inside the cells at random is ``sum_i 2 lambda_i (1 - mean over cells of e^2)``. Up to
    ``EXACT_WIDTH`` the e are exact, beyond it bounded by Jensen's inequality, which asks for
    unimodal marginals. For p = 1, the square root. S_p does not increase with the width, so the
    least value over narrower widths is returned: over the four of the form (4 to 7) 2^k below, and
    ``EXACT_WIDTH``. They differ because an odd factor cuts a single coordinate.

    Proof: ``docs/derivations/rank``.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> round(rank_bound(Gaussian(dim=1), 1024), 6)          # exact in dimension 1
    0.006156
    >>> round(rank_bound(Gaussian(dim=2), 1024), 4)          # the partition bound gives 0.3249
    0.096
    """
    if not all(block.marginal.unimodal for block in law.blocks):
        width = min(width, EXACT_WIDTH)
    return min(_rank_cost(law, w) for w in _narrower(min(width, 2**_MAX_LEVELS))) ** (p / 2)


def sorting_cost(law: Law, width: int) -> float | None:
    """Return the cost of sorting every coordinate on its own, ``None`` beyond ``EXACT_WIDTH``.

    Sorting matches two samples of a line best, at the cost ``(2 / m) sum_s Var X_(s)`` with the
    order statistics X_(s). No permutation does better in any coordinate, so that the sum over the
    coordinates is a lower bound on S_2(m), and S_2(m) itself on a line. Proof:
    ``docs/derivations/rank``.

    References
    ----------
    Bobkov and Ledoux (2019), on order statistics.

    Examples
    --------
    >>> from otlmc.laws import Uniform
    >>> round(sorting_cost(Uniform(dim=1), 99), 9)          # 4 / (m + 1) at variance 1
    0.04
    """
    if width > EXACT_WIDTH:
        return None
    schedule = ((width, width),)
    return sum(
        2 * float(block.variances.sum()) * (1 - _explained(block.marginal, schedule))
        for block in law.blocks
    )


def _narrower(width: int) -> list[int]:
    """Return the last widths of at most three leading bits up to ``width``, over an octave."""
    shift = width.bit_length() - 3
    if shift <= 0:
        return list(range(1, width + 1))
    leading = width >> shift
    widths = [k << shift for k in range(4, leading + 1)]
    widths += [k << (shift - 1) for k in range(leading + 1, 8)]
    return [*widths, EXACT_WIDTH] if width > EXACT_WIDTH else widths


def _rank_cost(law: Law, width: int) -> float:
    """Bound S_2 at a width of at most three leading bits."""
    levels = (width & -width).bit_length() - 1
    odd = width >> levels  # 1, 3, 5 or 7
    cuts = greedy_cuts(law, levels + (odd > 1))
    schedules: dict[int, list[tuple[int, int]]] = {}
    for level, coordinate in enumerate(cuts.coordinates):
        size = odd << (levels - level)  # neurons of a cell when it is cut, and into how many parts
        schedules.setdefault(int(coordinate), []).append((size, 2 if level < levels else odd))
    gain, first = 0.0, 0
    for block in law.blocks:
        for coordinate in range(first, first + len(block.variances)):
            if coordinate in schedules:
                schedule = tuple(schedules[coordinate][:_MAX_OWN_CUTS])
                explained = _explained(block.marginal, schedule)
                gain += 2 * block.variances[coordinate - first] * explained
        first += len(block.variances)
    return float(max(2 * law.variances.sum() - gain, 0.0))


@lru_cache(maxsize=1024)
def _explained(marginal: Marginal, schedule: tuple[tuple[int, int], ...]) -> float:
    """Lower bound on the mean over cells of e^2, for one coordinate cut as scheduled."""
    exact = schedule[0][0] <= EXACT_WIDTH
    top = [] if exact else [size for size, _ in schedule if size > _LEAF_WIDTH]
    bottom = schedule[len(top) :]
    low, high = np.zeros(1), np.ones(1)
    for size in top:  # expected ends of the rank cells: a median of n uniforms is a Beta variable
        span = high - low
        lower_end, upper_end = low + span * (size / 2 + 1) / (size + 1), high
        upper_start = low + span * (size / 2) / (size + 1)
        low = np.stack([low, upper_start], axis=1).ravel()
        high = np.stack([lower_end, upper_end], axis=1).ravel()
    if bottom:
        nodes, kernel = _order_statistics(bottom[0][0])
        places = low[:, None] + (high - low)[:, None] * nodes
        # clipped towards 1/2 where the tail is below the resolution of floats: |e| only falls
        values = marginal.quantile(np.clip(places, _TINY, 1 - np.finfo(float).epsneg))
        if exact:
            means = _cell_means(kernel @ values.T, bottom)
        else:
            means = values @ _cell_means(kernel, bottom).T
    else:
        mass = np.diff(marginal.integrated_quantile(np.stack([low, high])), axis=0)
        means = (mass / (high - low)).T
    slack = 0.0
    if top:  # of the upper half only what lies above 0 is proved, of the lower its mirror image
        upper = len(means) // 2
        means = np.concatenate([np.minimum(means[:upper], 0), np.maximum(means[upper:], 0)])
        slack = 2 * np.abs(means).max() * _crossing(marginal, top[0])
    return max(float(np.mean(means**2)) - slack, 0.0)


def _cell_means(values: Array, schedule: tuple[tuple[int, int], ...]) -> Array:
    """Average ``values`` (one row for each rank of a cell) over the cells at the end.

    Between two cuts of its own the coordinate sees the cuts of others as uniformly random halvings.
    """
    cells = values[None]
    for size, parts in schedule:
        if cells.shape[1] != size:
            cells = _thinning(cells.shape[1], size) @ cells
        cells = cells.reshape(-1, size // parts, values.shape[1])
    return cells.mean(axis=1)


@lru_cache(maxsize=8)  # up to 70 MB each
def _thinning(size: int, kept: int) -> Array:
    """P(rank s among ``size`` | rank j among a uniformly random subset), shape (kept, size)."""
    rank, among = np.arange(1.0, kept + 1)[:, None], np.arange(1.0, size + 1)[None, :]

    def log_choose(n: Array | int, k: Array | int) -> Array:
        return -special.betaln(n - k + 1.0, k + 1.0) - np.log(n + 1.0)

    below, above = among - rank, (size - among) - (kept - rank)
    possible = (below >= 0) & (above >= 0)
    log_p = (
        log_choose(among - 1, np.where(possible, rank - 1, 0))
        + log_choose(size - among, np.where(possible, kept - rank, 0))
        - log_choose(size, kept)
    )
    return np.where(possible, np.exp(log_p), 0.0)


@lru_cache(maxsize=8)  # up to 70 MB each
def _order_statistics(size: int) -> tuple[Array, Array]:
    """Nodes u in (0, 1) and weights, shape (size, nodes), of the order statistics of uniforms.

    The trapezium rule in z with u = ndtr(z); its step resolves the narrowest law, and where Q'' has
    a jump at the median (the Laplace law) it is right to 1e-9; all but 1e-16 of the mass is inside.
    """
    steps = max(400, math.ceil(8.2 * 2 * math.sqrt(size) + 64))
    z = np.linspace(-8.2, 8.2, 2 * steps + 1)  # 0 is a node: a kink of Q there does no harm
    rank = np.arange(1, size + 1)[:, None]
    log_weight = (
        (rank - 1) * special.log_ndtr(z)
        + (size - rank) * special.log_ndtr(-z)
        - special.betaln(rank, size + 1 - rank)
        - 0.5 * z * z
        + math.log((z[1] - z[0]) / math.sqrt(2 * math.pi))
    )
    return special.ndtr(z), np.exp(log_weight)


@lru_cache(maxsize=1024)
def _crossing(marginal: Marginal, size: int) -> float:
    """Bound what Jensen's inequality may lose because Q is convex only above 1/2.

    Q is replaced by h = Q above 1/2 and a tangent below; a neuron at u = 1/2 - x below the
    median of the law is above the median of its cell with probability at most
    exp(-2 (n - 1) x^2) (Hoeffding). Returns the mean over cells of E (h - Q)(U; U < 1/2).
    """
    reach = min(0.5, 7 / math.sqrt(size))
    x = np.linspace(0.0, reach, 2001)[1:]
    if reach == 0.5:
        x = x[:-1]
    slope = 1 / marginal.peak  # a unimodal law has its peak at the median
    excess = -slope * x - marginal.quantile(0.5 - x)
    return float(2 * np.sum(excess * np.exp(-2 * (size - 1) * x * x)) * (x[1] - x[0]))
