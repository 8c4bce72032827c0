"""Exact Wasserstein distances between samples, their expectation S_p(m), and fits of its rate."""

import warnings
from typing import Protocol

import numpy as np
import ot
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats
from scipy.spatial.distance import cdist

from otlmc import _check
from otlmc.laws import Law
from otlmc.results import Comparison, RateFit, Transport

Array = NDArray[np.float64]
Coupling = tuple[Array, NDArray[np.intp], NDArray[np.intp]]  # masses, places in x, places in y
Seed = int | np.random.Generator | np.random.SeedSequence

# POT stops at 100 000 pivots by default, fewer than 2048 points need; its status is checked.
_PIVOTS = 10**9


class Sampler(Protocol):
    """A function that draws ``width`` independent points, as an array of shape (width, dim)."""

    def __call__(self, width: int, /, *, rng: np.random.Generator) -> Array:
        """Draw the points."""
        ...


def distance(
    x: ArrayLike,
    y: ArrayLike,
    *,
    p: int = 2,
    metric: ArrayLike | None = None,
    weights_x: ArrayLike | None = None,
    weights_y: ArrayLike | None = None,
) -> Transport:
    r"""Exact W_p between two weighted samples, with its optimal coupling and a certificate.

    .. math:: W_p^p = \min_{\pi} \sum_{ij} \pi_{ij} |x_i - y_j|^p

    over the couplings of the two weights. Samples of equal size and uniform weights are coupled by
    a permutation (Birkhoff). Points on a line are sorted, in O(m log m); all others go through
    POT's network simplex, in memory O(mn).

    Parameters
    ----------
    x : array_like, shape (m, d)
        The first sample.
    y : array_like, shape (n, d)
        The second sample.
    p : {1, 2}
        The order.
    metric : array_like, shape (d, d), optional
        Positive semidefinite matrix Sigma of the norm ``|v|^2 = v @ Sigma @ v``; Euclidean if
        absent. Directions of its kernel cost nothing.
    weights_x, weights_y : array_like, shapes (m,) and (n,), optional
        Non-negative weights that sum to 1; uniform if absent.

    Returns
    -------
    Transport
        ``gap`` is the cost less the value of potentials that satisfy every constraint of the dual,
        so the cost is optimal up to ``gap`` whatever the solver did.

    Raises
    ------
    ValueError
        For a `p` other than 1 or 2, empty or non-finite samples, samples of different dimension,
        weights that are negative or do not sum to 1, or a `metric` that is not symmetric positive
        semidefinite.
    RuntimeError
        If the network simplex reports that it did not finish.

    References
    ----------
    Birkhoff (1946), permutations; Flamary et al. (2021), the network simplex.

    Examples
    --------
    >>> result = distance([[0.0, 0.0], [1.0, 0.0]], [[1.0, 3.0], [0.0, 3.0]])
    >>> result.value, result.permutation.tolist()
    (3.0, [1, 0])
    """
    _check.one_of("p", p, (1, 2))
    points_x = _check.finite("x", x, ndim=2)
    points_y = _check.finite("y", y, ndim=2)
    if points_x.shape[1] != points_y.shape[1]:
        raise ValueError(
            "`x` and `y` must have the same dimension, "
            f"got shapes {points_x.shape} and {points_y.shape}"
        )
    a = _weights("weights_x", weights_x, len(points_x))
    b = _weights("weights_y", weights_y, len(points_y))
    if metric is not None:
        root = _square_root(metric, points_x.shape[1])
        points_x, points_y = points_x @ root, points_y @ root

    # A point without mass would leave its potential free, and the certificate loose.
    shape = len(a), len(b)
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    points_x, points_y, a, b = points_x[rows], points_y[columns], a[rows], b[columns]

    # Neither a shift nor a change of scale alters the coupling; with coordinates in [-1, 1] no
    # square overflows or underflows.
    both = np.concatenate([points_x, points_y])
    centre = both.min(0) / 2 + both.max(0) / 2
    scale = float(np.abs(both - centre).max()) or 1.0
    points_x, points_y = (points_x - centre) / scale, (points_y - centre) / scale

    route = _line if points_x.shape[1] == 1 else _simplex
    cost, dual, (mass, i, j) = route(points_x, points_y, a, b, p)
    plan = sparse.coo_array((mass, (rows[i], columns[j])), shape=shape)
    permutation = None
    if _uniform(a, b) and shape == (len(rows), len(columns)):
        permutation = plan.tocsr().indices.astype(np.int64)
    return Transport(
        value=scale * cost ** (1 / p),
        cost=scale**p * cost,
        p=p,
        gap=scale**p * (cost - dual),
        method="sort" if route is _line else "network simplex",
        permutation=permutation,
        plan=plan if permutation is None else None,
    )


def two_sample_costs(
    sampler: Sampler | Law,
    width: int,
    *,
    repetitions: int,
    rng: Seed,
    p: int = 2,
    metric: ArrayLike | None = None,
) -> Array:
    """Draw W_p^p between two independent samples of ``width`` points, ``repetitions`` times.

    Parameters
    ----------
    sampler : callable or law
        ``sampler(width, rng=generator)``, or an object with such a method ``sample``.
    width : int
        Number m of points of each sample.
    repetitions : int
        Number of independent pairs of samples.
    rng : int, Generator or SeedSequence
        Source of randomness.
    p, metric
        As in :func:`distance`.

    Returns
    -------
    ndarray, shape (repetitions,)
        Independent unbiased estimates of S_p(m) = E W_p^p.

    Examples
    --------
    >>> two_sample_costs(lambda width, rng: rng.normal(size=(width, 3)), 8, repetitions=2, rng=0)
    array([...])
    """
    _check.positive_int("width", width)
    _check.positive_int("repetitions", repetitions)
    generator = np.random.default_rng(rng)
    sample = sampler if callable(sampler) else sampler.sample
    return np.array(
        [
            distance(
                sample(width, rng=generator), sample(width, rng=generator), p=p, metric=metric
            ).cost
            for _ in range(repetitions)
        ]
    )


def two_sample_cost(
    sampler: Sampler | Law,
    width: int,
    *,
    repetitions: int,
    rng: Seed,
    p: int = 2,
    metric: ArrayLike | None = None,
) -> Comparison:
    """Estimate S_p(m) = E W_p^p between two independent samples of ``width`` points.

    The parameters are those of :func:`two_sample_costs`, with at least 2 repetitions.

    Returns
    -------
    Comparison
        The mean and its standard error, as a measurement without limits.

    Examples
    --------
    >>> uniform = lambda width, rng: rng.uniform(size=(width, 1))
    >>> estimate = two_sample_cost(uniform, 4, repetitions=2000, rng=0)
    >>> abs(estimate.measured - 1 / 15) < 4 * estimate.stderr  # m = 4: 1 / (3 (m + 1))
    True
    """
    if _check.positive_int("repetitions", repetitions) < 2:
        raise ValueError("`repetitions` must be at least 2 for a standard error, got 1")
    costs = two_sample_costs(sampler, width, repetitions=repetitions, rng=rng, p=p, metric=metric)
    return Comparison(
        quantity=f"E W_{p}^{p}, m = {width}",
        measured=float(costs.mean()),
        stderr=float(costs.std(ddof=1) / np.sqrt(repetitions)),
    )


def fit_rate(sizes: ArrayLike, values: ArrayLike, *, confidence: float = 0.95) -> RateFit:
    """Fit the power law c n^s to the means of repeated measurements over a ladder of sizes.

    Least squares of log mean against log size; the interval is Student's over the jackknife of the
    repetitions. So it holds for two sizes as for ten, and also where the measurements of one
    repetition depend on each other across sizes (subsamples of one pair of networks). Weights by
    the estimated variances made it longer, not shorter, below ten repetitions.

    Parameters
    ----------
    sizes : array_like, shape (k,)
        At least two distinct positive sizes.
    values : array_like, shape (k, repetitions)
        Measurements, one row per size, of positive mean; columns are independent of each other.
    confidence : float
        Level of the interval.

    Returns
    -------
    RateFit
        The exponent s, its interval, and the ladder.

    Raises
    ------
    ValueError
        For fewer than two sizes or repetitions, sizes that are not positive and distinct, shapes
        that do not agree or means that are not positive.

    Examples
    --------
    >>> fit = fit_rate([10, 100], [[2.0, 2.0, 2.0], [0.2, 0.2, 0.2]])
    >>> round(fit.exponent, 12), round(fit.constant, 12)
    (-1.0, 20.0)
    """
    ladder = _check.finite("sizes", sizes, ndim=1)
    table = _check.finite("values", values, ndim=2)
    _check.number("confidence", confidence, above=0, below=1)
    if len(ladder) < 2 or ladder.min() <= 0 or len(np.unique(ladder)) < len(ladder):
        raise ValueError(f"`sizes` must be at least 2 distinct positive numbers, got {ladder}")
    repetitions = table.shape[1]
    if len(table) != len(ladder) or repetitions < 2:
        raise ValueError(
            f"`values` must have shape ({len(ladder)}, repetitions >= 2), got {table.shape}"
        )
    means = table.mean(1)
    left_out = (table.sum(1, keepdims=True) - table) / (repetitions - 1)
    if min(means.min(), left_out.min()) <= 0:
        raise ValueError("`values` must have positive means, also without any one repetition")

    log_sizes = np.log(ladder) - np.log(ladder).mean()
    projection = log_sizes / (log_sizes @ log_sizes)
    exponent = float(projection @ np.log(means))
    jackknife = projection @ np.log(left_out)
    stderr = np.sqrt(np.var(jackknife) * (repetitions - 1))
    half = float(stderr * stats.t.ppf(0.5 + confidence / 2, repetitions - 1))
    return RateFit(
        exponent=exponent,
        low=exponent - half,
        high=exponent + half,
        constant=float(np.exp(np.mean(np.log(means) - exponent * np.log(ladder)))),
        confidence=confidence,
        sizes=ladder,
        means=means,
        stderrs=table.std(1, ddof=1) / np.sqrt(repetitions),
    )


def _weights(name: str, weights: ArrayLike | None, size: int) -> Array:
    """Return checked weights that sum to 1, uniform if absent."""
    if weights is None:
        return np.full(size, 1 / size)
    array = _check.finite(name, weights, ndim=1)
    if len(array) != size:
        raise ValueError(f"`{name}` must have one entry per point ({size}), got {len(array)}")
    if array.min() < 0:
        raise ValueError(f"`{name}` must be non-negative, got an entry {array.min()}")
    total = array.sum()
    if abs(total - 1) > 1e-9:
        raise ValueError(f"`{name}` must sum to 1, got {total}")
    # Exactly 1/m where all are equal, so that two such samples are seen to share their weights.
    return np.full(size, 1 / size) if np.ptp(array) == 0 else array / total


def _uniform(a: Array, b: Array) -> bool:
    """Whether a permutation is an optimal coupling: equal sizes and equal weights."""
    return len(a) == len(b) and bool(np.ptp(a) == np.ptp(b) == 0)


def _square_root(metric: ArrayLike, dim: int) -> Array:
    """Return R of shape (dim, rank) with R R^T = metric, so that the norm of v is |v R|."""
    sigma = _check.finite("metric", metric, ndim=2)
    if sigma.shape != (dim, dim):
        raise ValueError(f"`metric` must have shape ({dim}, {dim}), got {sigma.shape}")
    slack = 1e-10 * np.abs(sigma).max()
    if np.abs(sigma - sigma.T).max() > slack:
        raise ValueError("`metric` must be symmetric")
    values, vectors = np.linalg.eigh(sigma)
    if values[0] < -slack:
        raise ValueError(
            f"`metric` must be positive semidefinite, got an eigenvalue {values[0]:.3g}"
        )
    # At least one direction stays, so that the zero metric gives points on a line, all equal.
    keep = values > dim * np.finfo(float).eps * values[-1]
    keep[-1] = True
    return vectors[:, keep] * np.sqrt(np.maximum(values[keep], 0.0))


def _line(x: Array, y: Array, a: Array, b: Array, p: int) -> tuple[float, float, Coupling]:
    """Couple points on a line in their order; return the cost, a dual value and the coupling.

    The potentials are the derivative of the monotone map integrated, so that they satisfy the dual
    constraints by their form: slopes in [-1, 1] for p = 1, convexity for p = 2.
    """
    order_x, order_y = x[:, 0].argsort(kind="stable"), y[:, 0].argsort(kind="stable")
    xs, ys = x[order_x, 0], y[order_y, 0]
    mass_x, mass_y = (np.minimum(w.cumsum(), 1.0) for w in (a[order_x], b[order_y]))
    mass_x[-1] = mass_y[-1] = 1.0
    levels = np.union1d(mass_x, mass_y)
    mass = np.diff(levels, prepend=0.0)
    i, j = mass_x.searchsorted(levels), mass_y.searchsorted(levels)
    cost = mass @ np.abs(xs[i] - ys[j]) ** p

    if p == 1:
        knots = np.union1d(xs, ys)
        below_x = np.append(0.0, mass_x)[xs.searchsorted(knots[:-1], side="right")]
        below_y = np.append(0.0, mass_y)[ys.searchsorted(knots[:-1], side="right")]
        potential = np.append(0.0, np.cumsum(np.sign(below_y - below_x) * np.diff(knots)))
        dual = a[order_x] @ potential[knots.searchsorted(xs)]
        dual -= b[order_y] @ potential[knots.searchsorted(ys)]
    else:
        slopes = ys[mass_y.searchsorted(mass_x[:-1])]
        convex = np.append(0.0, np.cumsum(slopes * np.diff(xs)))
        touch = slopes.searchsorted(ys)
        conjugate = xs[touch] * ys - convex[touch]
        dual = a[order_x] @ (xs**2 - 2 * convex) + b[order_y] @ (ys**2 - 2 * conjugate)
    return float(cost), float(dual), (mass, order_x[i], order_y[j])


def _simplex(x: Array, y: Array, a: Array, b: Array, p: int) -> tuple[float, float, Coupling]:
    """Couple points by the network simplex; return the cost, a dual value and the coupling.

    One solver for every size, by measurement (benchmarks/wasserstein.py, one thread, certificate
    included): SciPy's assignment solver returns no potentials, and the shortest paths that recover
    them cost as much again. It saves 0.3 ms at 64 points and up to 60 ms at 1024 in dimension 100;
    at 2048 points the simplex is 1.2 to 6 times as fast, most in low dimension.
    """
    costs = cdist(x, y, "sqeuclidean" if p == 2 else "euclidean")
    # Equal weights enter as whole numbers, so that the flow has no round-off.
    mass = 1 / len(a) if _uniform(a, b) else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # raised below, from the solver's own report
        flow, log = ot.emd(a / mass, b / mass, costs, numItermax=_PIVOTS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the network simplex did not finish: {log['warning']}")
    i, j = flow.nonzero()
    flow = flow[i, j] * mass
    cost = flow @ costs[i, j]

    # The solver's potentials for y, and the largest ones for x that satisfy every constraint.
    dual = b @ log["v"]
    dual += a @ np.subtract(costs, log["v"], out=costs).min(1)
    return float(cost), float(dual), (flow, i, j)
