"""Barriers from deviations, against the losses themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from otlmc.bounds.barrier import cross_entropy_barrier, squared_loss_barrier

scales = st.sampled_from([1e-3, 0.1, 1.0, 30.0])


def cross_entropy(logits, labels):
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return (logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]).mean()


def squared(outputs, targets):
    return np.square(outputs - targets).sum(1).mean()


def draw(seed, scale, size, outputs):
    rng = np.random.default_rng(seed)
    y_a, y_b = scale * rng.standard_normal((2, 7, outputs))
    t = rng.uniform()
    line = (1 - t) * y_a + t * y_b
    return rng, t, y_a, y_b, line, line + size * rng.standard_normal(line.shape)


@given(seed=st.integers(0, 2**32), scale=scales, size=scales, outputs=st.integers(1, 5))
def test_cross_entropy_stays_below(seed, scale, size, outputs) -> None:
    rng, t, y_a, y_b, line, y_t = draw(seed, scale, size, outputs)
    labels = rng.integers(0, max(outputs, 2), 7)
    barrier = cross_entropy(y_t, labels)
    barrier -= (1 - t) * cross_entropy(y_a, labels) + t * cross_entropy(y_b, labels)
    deviation = np.linalg.norm(y_t - line, axis=1)
    by_sample = cross_entropy_barrier(deviation, outputs=outputs)
    assert barrier <= by_sample + 1e-12 * scale
    by_mean_square = cross_entropy_barrier(np.sqrt(np.square(deviation).mean()), outputs=outputs)
    assert by_sample <= by_mean_square * (1 + 1e-12)


@given(seed=st.integers(0, 2**32), scale=scales, size=scales, outputs=st.integers(1, 5))
def test_squared_loss_stays_below(seed, scale, size, outputs) -> None:
    rng, t, y_a, y_b, line, y_t = draw(seed, scale, size, outputs)
    targets = rng.standard_normal((7, outputs))
    barrier = squared(y_t, targets) - (1 - t) * squared(y_a, targets) - t * squared(y_b, targets)
    deviation = np.linalg.norm(y_t - line, axis=1)
    ends = [np.linalg.norm(y - targets, axis=1) for y in (y_a, y_b)]
    residual = np.maximum(*ends)
    by_sample = squared_loss_barrier(deviation, residual=residual)
    assert barrier <= by_sample + 1e-10 * (scale + 1) ** 2
    means = [np.sqrt(np.square(v).mean()) for v in (deviation, residual)]
    assert by_sample <= squared_loss_barrier(means[0], residual=means[1]) * (1 + 1e-12)


@pytest.mark.parametrize("outputs", [1, 2, 6])
def test_the_constant_of_cross_entropy_is_reached(outputs) -> None:
    """Sure of class 1 where the label is 0, the deviation pointing from class 0 to class 1."""
    logits, step = np.zeros((1, outputs)), np.zeros((1, outputs))
    logits[0, 0], step[0, 0] = (40.0, 1e-2) if outputs == 1 else (-40.0, -1e-2)
    if outputs > 1:
        logits[0, 1], step[0, 1] = 40.0, 1e-2
    gain = cross_entropy(logits + step, [0]) - cross_entropy(logits, [0])
    bound = cross_entropy_barrier(np.linalg.norm(step), outputs=outputs)
    np.testing.assert_allclose(gain, bound, rtol=1e-10)


def test_the_squared_loss_is_reached() -> None:
    gain = squared(np.array([[0.5 + 0.3, 0.0]]), 0.0) - squared(np.array([[0.5, 0.0]]), 0.0)
    np.testing.assert_allclose(squared_loss_barrier(0.3, residual=0.5), gain, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: cross_entropy_barrier(-0.1, outputs=2), "deviation"),
        (lambda: cross_entropy_barrier([[0.1]], outputs=2), "deviation"),
        (lambda: cross_entropy_barrier([0.1, np.nan], outputs=2), "deviation"),
        (lambda: cross_entropy_barrier(0.1, outputs=0), "outputs"),
        (lambda: squared_loss_barrier(0.1, residual=-1.0), "residual"),
        (lambda: squared_loss_barrier([0.1, 0.2], residual=1.0), "residual"),
    ],
)
def test_bad_argument_is_named(call, name) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()
