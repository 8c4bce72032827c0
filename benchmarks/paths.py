"""All paths between the networks of a stack at once against one path after the other.

Moons, networks with one hidden layer, 11 points a path. The loop joins a part of the pairs, and its
time is scaled to all of them. Run with one thread: ``OMP_NUM_THREADS=1``.
"""

import time
from itertools import combinations, islice

import numpy as np
import torch

from otlmc import data
from otlmc.connectivity import all_paths, path
from otlmc.networks import Architecture, draw

NETWORKS = 50
LOOPED = 40
"""Pairs that the loop joins."""


def main():
    torch.set_num_threads(1)
    moons = data.load("moons")
    test = moons.test_inputs, moons.test_labels
    pairs = list(combinations(range(NETWORKS), 2))
    print(f"{len(pairs)} paths\n{'width':>6}{'at once s':>11}{'loop s':>9}{'ratio':>7}")
    for width in (8, 32, 128, 512):
        stack = draw(Architecture(widths=(2, width, 1)), range(NETWORKS))
        start = time.perf_counter()
        together = all_paths(stack, *test).loss
        between = time.perf_counter()
        alone = [path(stack[i], stack[j], *test).loss for i, j in islice(pairs, LOOPED)]
        ours, loop = between - start, (time.perf_counter() - between) * len(pairs) / LOOPED
        assert np.allclose(together[:LOOPED], alone, rtol=1e-5)
        print(f"{width:>6}{ours:>11.2f}{loop:>9.1f}{loop / ours:>7.1f}")


if __name__ == "__main__":
    main()
