from itertools import permutations

import numpy as np
import pytest

from otlmc.matching import assign


def test_tied_blocks_against_brute_force():
    """Among all permutations that map blocks onto blocks, none is better."""
    scores = np.random.default_rng(0).normal(size=(6, 6))
    for blocks in (2, 3):
        block = np.arange(6) // (6 // blocks)
        allowed = [
            p
            for p in permutations(range(6))
            if all(len({block[u] for u in np.array(p)[block == g]}) == 1 for g in range(blocks))
        ]
        best = max(scores[np.arange(6), list(p)].sum() for p in allowed)
        found = assign(scores, blocks=blocks)
        assert tuple(found) in allowed
        np.testing.assert_allclose(scores[np.arange(6), found].sum(), best, rtol=1e-12)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_equal_one_by_one(workers):
    scores = np.random.default_rng(1).normal(size=(5, 20, 20))
    found = assign(scores, workers=workers, maximize=False)
    np.testing.assert_array_equal(found, [assign(s, maximize=False) for s in scores])


@pytest.mark.parametrize(
    ("scores", "kwargs", "message"),
    [
        (np.ones((2, 2, 3)), {}, "`scores` must be square"),
        (np.ones((4, 4)), {"blocks": 3}, "`blocks` must divide 4, got 3"),
        (np.ones((4, 4)), {"workers": 0}, "`workers`"),
    ],
)
def test_refusals(scores, kwargs, message):
    with pytest.raises(ValueError, match=message):
        assign(scores, **kwargs)
