"""Mean-field networks: the constants, the path, and SGD against finite differences and its law."""

import numpy as np
import pytest

from otlmc import wasserstein
from otlmc.networks.mean_field import NEURONS, RELU, TANH, train_mean_field


def sphere(count: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal((count, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.tanh(2 * x[:, 0])


@pytest.mark.parametrize("neuron", NEURONS.values(), ids=NEURONS)
def test_declared_constants_are_the_suprema(neuron) -> None:
    u = np.linspace(-4, 4, 80_000)  # even, so that no point falls on the kink
    slope = np.gradient(neuron.value(u), u)
    assert np.abs(slope).max() == pytest.approx(neuron.lipschitz, abs=1e-6)
    smooth = np.abs(u) > 1e-3  # off the kink of relu
    np.testing.assert_allclose(slope[smooth][1:-1], neuron.slope(u)[smooth][1:-1], atol=1e-6)
    if neuron.smoothness is None:
        assert (
            np.abs(np.diff(neuron.slope(u))).max() == 1.0
        )  # a jump: no gradient that is Lipschitz
    else:
        curvature = np.abs(np.gradient(neuron.slope(u), u)).max()
        assert curvature == pytest.approx(neuron.smoothness, abs=1e-6)


@pytest.mark.parametrize("neuron", NEURONS.values(), ids=NEURONS)
def test_deviation_is_that_of_the_mixed_weights(neuron) -> None:
    rng = np.random.default_rng(0)
    a, b, x = rng.normal(size=(3, 7, 4))
    t = np.array([0.0, 0.3, 1.0])
    found = neuron.deviation(a, b, x, t=t)
    for s, row in zip(t, found, strict=True):
        ends = (1 - s) * neuron.output(a, x) + s * neuron.output(b, x)
        np.testing.assert_allclose(row, neuron.output((1 - s) * a + s * b, x) - ends, atol=1e-14)
    np.testing.assert_allclose(found[[0, 2]], 0, atol=1e-14)
    assert neuron.deviation(a, b, x).shape == (7,)


def test_a_step_is_the_gradient_of_the_loss_times_the_width() -> None:
    rng = np.random.default_rng(1)
    start = rng.normal(size=(1, 5, 3))
    x, y = sphere(1, rng=np.random.default_rng(2))
    moved = train_mean_field(
        start, lambda count, rng: (x, y), neuron=TANH, step=0.01, time=0.01, decay=0.5, rng=0
    )
    gradient, h = np.zeros((5, 3)), 1e-6
    for index in np.ndindex(5, 3):
        shift = np.zeros((5, 3))
        shift[index] = h
        high, low = (float((y - TANH.output(start[0] + s * shift, x))[0]) ** 2 for s in (1, -1))
        gradient[index] = (high - low) / (2 * h)
    expected = start[0] - 5 * 0.01 * gradient - 2 * 0.5 * 0.01 * start[0]
    np.testing.assert_allclose(moved[0], expected, atol=1e-8)


def test_noise_alone_reaches_its_stationary_law() -> None:
    """A flat loss leaves a discrete Ornstein-Uhlenbeck process, whose variance is known."""

    def silent(count: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((count, 2)), np.zeros(count)

    step, decay, temperature = 0.05, 1.0, 0.3
    end = train_mean_field(
        np.zeros((4, 2000, 2)), silent, neuron=TANH, step=step, time=5.0,
        temperature=temperature, decay=decay, rng=3,
    )  # fmt: skip
    exact = 2 * temperature * step / (1 - (1 - 2 * decay * step) ** 2)
    squares = end.ravel() ** 2
    assert abs(squares.mean() - exact) < 5 * squares.std() / np.sqrt(squares.size)


def test_training_learns_and_depends_on_the_seed_alone() -> None:
    start = np.random.default_rng(4).normal(size=(2, 32, 3))
    kept = start.copy()
    first, again = (
        train_mean_field(start, sphere, neuron=TANH, step=0.1, time=20.0, rng=5) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(start, kept)
    x, y = sphere(500, rng=np.random.default_rng(6))
    for before, after in zip(start, first, strict=True):
        losses = [np.mean((y - TANH.output(w, x)) ** 2) for w in (before, after)]
        assert losses[1] < 0.1 * losses[0]


@pytest.mark.parametrize(("neuron", "p"), [(RELU, 1), (TANH, 2)])
def test_deviation_respects_the_certificate_of_any_pair(neuron, p) -> None:
    rng = np.random.default_rng(7)
    x = sphere(400, rng=rng)[0]
    for scale in (0.1, 1.0, 5.0):
        a, b = scale * rng.normal(size=(2, 20, 3))
        matched = wasserstein.distance(a, b, p=p)
        constant = neuron.lipschitz / 2 if p == 1 else neuron.smoothness / 8
        found = neuron.deviation(a, b[matched.permutation], x, t=np.linspace(0, 1, 9))
        assert np.abs(found).max() <= constant * matched.cost


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match="`inputs` must have the dimension of `weights`"):
        TANH.output(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="`a` and `b` must have one shape"):
        TANH.deviation(np.ones((2, 3)), np.ones((3, 3)), np.ones((1, 3)))
    with pytest.raises(ValueError, match="`step`"):
        train_mean_field(np.ones((1, 2, 3)), sphere, neuron=TANH, step=0.0, time=1.0, rng=0)
    with pytest.raises(ValueError, match="`time`"):
        train_mean_field(np.ones((1, 2, 3)), sphere, neuron=TANH, step=1.0, time=0.1, rng=0)
    with pytest.raises(ValueError, match="`temperature`"):
        train_mean_field(
            np.ones((1, 2, 3)), sphere, neuron=TANH, step=1.0, time=1.0, temperature=-1.0, rng=0
        )
