"""Exact W_p with a certificate: otlmc's network simplex against SciPy's assignment solver.

SciPy returns no potentials, so that its certificate takes shortest paths (Bellman-Ford) on the
costs that its permutation leaves. Run with one thread: ``OMP_NUM_THREADS=1``.
"""

import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otlmc import wasserstein


def assignment_gap(costs, order):
    """Return the cost of a permutation less the dual value of its shortest-path potentials."""
    edges = costs[:, order]
    edges -= np.diag(edges).copy()[:, None]
    potential = edges.min(0)
    slack = 1e-15 * np.abs(edges).max()
    moved = np.flatnonzero(potential < 0)
    for _ in range(len(edges)):
        if not len(moved):
            break
        lower = np.minimum(potential, (edges[moved] + potential[moved, None]).min(0))
        moved = np.flatnonzero(lower < potential - slack)
        potential = lower
    return -(potential.mean() + (edges - potential).min(1).mean())


def seconds(function):
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def scipy_route(x, y):
    costs = cdist(x, y, "sqeuclidean")
    rows, order = linear_sum_assignment(costs)
    return costs[rows, order].mean(), assignment_gap(costs, order)


def main():
    rng = np.random.default_rng(0)
    print(f"{'points':>7}{'dim':>5}{'otlmc s':>10}{'scipy s':>10}{'ratio':>8}{'relative gap':>14}")
    for size in (64, 256, 1024, 2048):
        for dim in (1, 2, 5, 20, 100):
            x, y = rng.normal(size=(2, size, dim))
            ours, our_time = seconds(lambda x=x, y=y: wasserstein.distance(x, y))
            (cost, _), scipy_time = seconds(lambda x=x, y=y: scipy_route(x, y))
            assert abs(ours.cost - cost) < 1e-10 * cost
            print(
                f"{size:>7}{dim:>5}{our_time:>10.4f}{scipy_time:>10.4f}"
                f"{scipy_time / our_time:>8.2f}{ours.gap / ours.cost:>14.1e}"
            )


if __name__ == "__main__":
    main()
