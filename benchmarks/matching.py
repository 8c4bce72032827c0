"""Matching of 784-w-w-w-10: otlmc against plain coordinate descent, 60 assignments and rebasin.

PyTorch's default initialisation, float32, independent networks, everything included in the times,
which are medians of three. The plain descent starts at the identity and visits the layers in random
order, as published codes do (three orders, the mean time and the best objective are shown); the 60
assignments are those of the notebook of Ferbach et al. (2024). ``rebasin`` (PyPI) is timed where it
is installed. Run with one thread, alone on the machine:
``OMP_NUM_THREADS=1 python -m benchmarks.matching [widths]``.
"""

import sys
import time
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from otlmc.matching import Permutation, Weight, assign, infer_spec, match

SAMPLES = 2000


def network(width, seed):
    torch.manual_seed(seed)
    widths = (784, width, width, width, 10)
    layers = [part for m, n in pairwise(widths) for part in (nn.Linear(m, n), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def seconds(function, repeats=3):
    """Return what a function returns, and its median time."""
    runs = []
    for _ in range(repeats):
        start = time.perf_counter()
        runs.append((function(), time.perf_counter() - start))
    return runs[0][0], sorted(elapsed for _, elapsed in runs)[repeats // 2]


def arrays(net):
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    return [[p.detach().numpy() for p in (layer.weight, layer.bias)] for layer in linear]


def objective(a, b):
    """Return <A, P B> over all weights and biases, in float64."""
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return sum(float((p.detach().double() * q.detach().double()).sum()) for p, q in pairs)


def plain_descent(a, b, seed):
    """Coordinate descent from the identity with NumPy and SciPy; every product anew."""
    a, b, rng = arrays(a), arrays(b), np.random.default_rng(seed)
    perms = [np.arange(len(bias)) for _, bias in a[:-1]]
    moved = True
    while moved:
        moved = False
        for layer in rng.permutation(len(perms)):
            weight, bias = b[layer]
            reads = weight if layer == 0 else weight[:, perms[layer - 1]]
            readers = b[layer + 1][0]
            if layer + 1 < len(perms):
                readers = readers[perms[layer + 1]]
            scores = a[layer][0] @ reads.T + np.outer(a[layer][1], bias)
            scores += a[layer + 1][0].T @ readers
            found = linear_sum_assignment(scores, maximize=True)[1]
            rows = np.arange(len(found))
            before, after = (scores[rows, p].sum() for p in (perms[layer], found))
            if after > before + 1e-12:  # their rule, in float32
                perms[layer], moved = found, True
    return perms


def sixty_assignments(a, b, x, method):
    """Twenty sweeps over the three layers where one forward pass gives the same."""
    a, b = arrays(a), arrays(b)
    reads_a, reads_b = [x], [x]
    for reads, net in ((reads_a, a), (reads_b, b)):
        for weight, bias in net[:-1]:
            reads.append(np.maximum(reads[-1] @ weight.T + bias, 0))
    layers = range(len(a) - 1)
    if method == "covariance":
        sigma = [r.T @ r / len(r) for r in reads_a[:-1]]

        def scores(layer):
            weight = b[layer][0] if layer == 0 else b[layer][0][:, perms[layer - 1]]
            return a[layer][0] @ sigma[layer] @ weight.T
    else:
        cross = [
            (reads_a[k + 1] - reads_a[k + 1].mean(0)).T @ (reads_b[k + 1] - reads_b[k + 1].mean(0))
            for k in layers
        ]

        def scores(layer):
            return cross[layer]

    perms = [np.arange(len(bias)) for _, bias in a[:-1]]
    for _ in range(20):
        for layer in layers:
            perms[layer] = linear_sum_assignment(scores(layer), maximize=True)[1]
    return perms


def rebasin_seconds(a, b):
    if find_spec("rebasin") is None:
        return None
    descent = import_module("rebasin").PermutationCoordinateDescent(a, b, torch.randn(8, 784))
    _, elapsed = seconds(descent.rebasin)
    return objective(a, b), elapsed


def solver_seconds(scores):
    """Return the times of the assignment solver with its preparation, and of SciPy as it is."""
    ours, our_time = seconds(lambda: assign(scores))
    theirs, their_time = seconds(lambda: linear_sum_assignment(scores, maximize=True)[1])
    rows = np.arange(len(scores))
    assert np.isclose(scores[rows, ours].sum(), scores[rows, theirs].sum(), rtol=1e-9)
    return our_time, their_time


def compare(width):
    a, b = network(width, 0), network(width, 1)
    x = torch.randn(SAMPLES, 784, generator=torch.Generator().manual_seed(0))
    spec = infer_spec(a)
    groups = list(spec.sizes)

    def line(name, total, elapsed, ratio=None):
        shown = "" if ratio is None else f"{ratio:>9.1f}"
        print(f"{width:>6}  {name:<44}{total:>10.3f}{elapsed:>10.3f}{shown}")

    def of(perms):
        found = Permutation(spec, dict(zip(groups, perms, strict=True)))
        return objective(a, found.apply(b))

    match(a, b)  # the first call loads libraries
    found, ours = seconds(lambda: match(a, b))
    line("weight (forward start)", objective(a, found.permutation.apply(b)), ours)
    several = Weight(starts=("forward", "identity", "random", "random"))
    best, elapsed = seconds(lambda: match(a, b, method=several, rng=0))
    line("weight (best of four starts)", objective(a, best.permutation.apply(b)), elapsed)
    peers = [seconds(lambda s=s: plain_descent(a, b, s), repeats=1) for s in range(3)]
    mean = float(np.mean([t for _, t in peers]))
    line("  plain descent from the identity", max(of(p) for p, _ in peers), mean, mean / ours)
    if (timed := rebasin_seconds(a, network(width, 1))) is not None:
        line("  rebasin", timed[0], timed[1], timed[1] / ours)
    for method in ("covariance", "activation_centred"):
        found, ours = seconds(lambda m=method: match(a, b, x, method=m))
        line(method, of(list(found.permutation.values())), ours)
        perms, theirs = seconds(lambda m=method: sixty_assignments(a, b, x.numpy(), m))
        agree = np.mean(
            [np.mean(p == q) for p, q in zip(perms, found.permutation.values(), strict=True)]
        )
        line(f"  60 assignments ({agree:.1%} the same)", of(perms), theirs, theirs / ours)
    for method in ("activation", "activation_correlation"):
        found, ours = seconds(lambda m=method: match(a, b, x, method=m))
        line(method, of(list(found.permutation.values())), ours)


def main():
    torch.set_num_threads(1)
    widths = [int(word) for word in sys.argv[1:]] or [512, 2048]
    print(f"{'width':>6}  {'':<44}{'<A, P B>':>10}{'seconds':>10}{'ratio':>9}")
    for width in widths:
        compare(width)
    print("\nassignment alone: otlmc's preparation against SciPy as it is")
    for width in widths:
        rng = np.random.default_rng(0)
        means = rng.exponential(size=(2, width))
        noise = rng.normal(size=(width, 8)) @ rng.normal(size=(8, width))
        for name, scores in (
            ("low rank", noise),
            ("low rank and means", np.outer(*means) * 5 + noise),
        ):
            ours, theirs = solver_seconds(scores)
            print(f"{width:>6}  {name:<24}{ours:>10.3f}{theirs:>10.3f}{theirs / ours:>9.1f}")


if __name__ == "__main__":
    main()
