import numpy as np
import pytest
import torch
from small_networks import digits, gaussian, mlp, trained

from otlmc.connectivity import path
from otlmc.matching import Relaxed, match, match_sequence


@pytest.mark.parametrize("kind", ["sinkhorn", "straight_through"])
def test_descends_on_the_midpoint_loss_of_trained_networks(kind):
    """The result is the best that was met: below the start on the training data."""
    x, y, _, _ = digits()
    a, b = trained(0), trained(1)
    found = match(a, b, x, labels=y, method=Relaxed(kind=kind, steps=100), rng=0, batch_size=256)
    loss = path(a, b, x, y, permutation=found, points=3).midpoint_loss
    np.testing.assert_allclose(-found.total, loss, rtol=1e-5)
    start = match(a, b, x, method="activation_centred", batch_size=256)
    before = path(a, b, x, y, permutation=start, points=3).midpoint_loss
    # units that are dead on these data tie; round-off decides between them, and the path feels it
    np.testing.assert_allclose(-found.trace[0], before, rtol=1e-3)
    assert loss < before
    assert (found.start, found.stop, found.converged) == ("activation_centred", "steps", False)


def test_one_logit():
    a, b, x = mlp(2, 8, 1, seed=0), mlp(2, 8, 1, seed=1), gaussian(64, 2)
    y = (x[:, 0] > 0).long()
    found = match(a, b, x, labels=y, method=Relaxed(steps=5), rng=0)
    loss = path(a, b, x, y, permutation=found, points=3).midpoint_loss
    np.testing.assert_allclose(-found.total, loss, rtol=1e-10)


def test_refusals():
    a, x, y = mlp(3, 4, 2), gaussian(6, 3), torch.zeros(6, dtype=torch.int64)
    for kwargs, message in (
        ({"kind": "soft"}, "`kind`"),
        ({"steps": 0}, "`steps`"),
        ({"every": 0}, "`every`"),
        ({"rate": 0.0}, "`rate`"),
    ):
        with pytest.raises(ValueError, match=message):
            Relaxed(**kwargs)
    with pytest.raises(ValueError, match=r"`labels` must be \(6,\)"):
        match(a, a, x, labels=y[:3], method="sinkhorn")
    with pytest.raises(ValueError, match="'sinkhorn' matches one pair, got 2"):
        match_sequence([a, a], [a, a], x, labels=y, method="sinkhorn")
