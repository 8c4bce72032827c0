"""Refusals, the Monte Carlo cost and the rate fit."""

import warnings

import numpy as np
import ot
import pytest

from otlmc import wasserstein

X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"p": 3}, ValueError, "`p` must be one of 1, 2; got 3"),
        ({"x": np.empty((0, 2))}, ValueError, "`x` is empty"),
        ({"y": np.empty((4, 0))}, ValueError, "`y` is empty"),
        ({"x": [[0.0, np.nan]]}, ValueError, "`x` holds NaN"),
        ({"y": [[0.0, np.inf]]}, ValueError, "`y` holds NaN or infinite"),
        ({"x": [1.0, 2.0]}, ValueError, "`x` must have 2 dimensions"),
        ({"x": "abc"}, TypeError, "`x` must be an array of numbers"),
        ({"y": np.ones((3, 4))}, ValueError, r"same dimension, got shapes \(3, 2\) and \(3, 4\)"),
        ({"weights_x": [0.5, 0.5]}, ValueError, r"`weights_x` must have one entry per point \(3\)"),
        ({"weights_y": [1.5, -0.5, 0]}, ValueError, "`weights_y` must be non-negative"),
        ({"weights_y": [1, 1, 1]}, ValueError, "`weights_y` must sum to 1, got 3"),
        ({"weights_x": [np.nan, 0, 1]}, ValueError, "`weights_x` holds NaN"),
        ({"metric": np.eye(3)}, ValueError, r"`metric` must have shape \(2, 2\)"),
        ({"metric": [[1, 2], [0, 1]]}, ValueError, "`metric` must be symmetric"),
        ({"metric": [[1, 2], [2, 1]]}, ValueError, "positive semidefinite, got an eigenvalue -1"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        wasserstein.distance(**({"x": X, "y": X} | arguments))


def test_a_solver_that_stops_early_is_refused(monkeypatch):
    monkeypatch.setattr(wasserstein, "_PIVOTS", 3)
    x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
    with pytest.raises(RuntimeError, match="did not finish"):
        wasserstein.distance(x, y)


def test_the_gap_exposes_a_coupling_that_is_not_optimal(monkeypatch):
    """The certificate must not trust the solver: hand it a wrong flow, and wrong potentials."""
    x, y = np.random.default_rng(1).normal(size=(2, 40, 3))
    right = wasserstein.distance(x, y)

    def wrong_flow(a, b, costs, **options):
        flow, log = solve(a, b, costs, **options)
        return np.roll(flow, 1, axis=0), log

    def wrong_potentials(a, b, costs, **options):
        flow, log = solve(a, b, costs, **options)
        return flow, log | {"v": log["v"] + np.linspace(0, 1, len(b))}

    solve = ot.emd
    monkeypatch.setattr(ot, "emd", wrong_flow)
    wrong = wasserstein.distance(x, y)
    assert wrong.gap == pytest.approx(wrong.cost - right.cost, rel=1e-10)
    assert wrong.gap > 0.1
    monkeypatch.setattr(ot, "emd", wrong_potentials)
    assert wasserstein.distance(x, y).gap > 0.1


def test_zero_metric_and_points_without_mass():
    y = X + 1
    assert wasserstein.distance(X, y, metric=np.zeros((2, 2))).value == 0
    far = np.vstack([y, [[1e9, 1e9]]])
    without = wasserstein.distance(X, far, weights_y=[1 / 3, 1 / 3, 1 / 3, 0])
    assert without.value == pytest.approx(np.sqrt(2), rel=1e-10)
    assert abs(without.gap) < 1e-6
    assert without.plan.shape == (3, 4)


def test_near_copies_far_from_the_origin():
    x = np.random.default_rng(2).normal(size=(30, 4)) + 1e6
    order = np.random.default_rng(3).permutation(30)
    result = wasserstein.distance(x, x[order] + 1e-3)
    assert (order[result.permutation] == np.arange(30)).all()
    assert result.value == pytest.approx(2e-3, rel=1e-6)


def test_two_sample_costs_accept_a_function_or_a_law():
    class Law:
        def sample(self, width, rng):
            return rng.normal(size=(width, 2))

    as_law = wasserstein.two_sample_costs(Law(), 5, repetitions=4, rng=3)
    as_function = wasserstein.two_sample_costs(Law().sample, 5, repetitions=4, rng=3)
    np.testing.assert_array_equal(as_law, as_function)
    doubled = wasserstein.two_sample_costs(Law(), 5, repetitions=4, rng=3, metric=4 * np.eye(2))
    np.testing.assert_allclose(doubled, 4 * as_law, rtol=1e-10)
    first = wasserstein.two_sample_costs(Law(), 5, repetitions=4, rng=3, p=1)
    assert (first**2 <= as_law).all()

    summary = wasserstein.two_sample_cost(Law(), 5, repetitions=4, rng=3)
    assert summary.measured == pytest.approx(as_law.mean())
    assert summary.stderr == pytest.approx(as_law.std(ddof=1) / 2)
    assert (summary.kind, summary.quantity) == ("measurement", "E W_2^2, m = 5")
    with pytest.raises(ValueError, match="`width`"):
        wasserstein.two_sample_costs(Law(), 0, repetitions=4, rng=3)
    with pytest.raises(ValueError, match="`repetitions` must be at least 2"):
        wasserstein.two_sample_cost(Law(), 5, repetitions=1, rng=3)


def test_rate_fit_recovers_an_exact_power_law():
    sizes = np.array([10, 40, 90])
    fit = wasserstein.fit_rate(sizes, 7 * sizes[:, None] ** -0.4 * np.array([[1.0, 1.5, 0.5]]))
    assert fit.exponent == pytest.approx(-0.4, rel=1e-10)
    assert fit.constant == pytest.approx(7, rel=1e-10)
    # Repetitions that move all sizes together leave the slope alone.
    assert fit.high - fit.low == pytest.approx(0, abs=1e-10)
    assert str(fit).startswith("exponent -0.400")


@pytest.mark.parametrize(("sizes", "repetitions"), [(2, 4), (4, 4), (6, 20)])
def test_rate_fit_interval_covers_the_slope_as_often_as_it_says(sizes, repetitions):
    rng = np.random.default_rng(4)
    ladder = 16.0 * 2 ** np.arange(sizes)
    trials, level = 1000, 0.9
    shape = 8 * np.arange(1, sizes + 1)[:, None]  # the relative spread falls with the size
    hits = 0
    for _ in range(trials):
        noise = rng.gamma(shape, 1 / shape, size=(sizes, repetitions))
        fit = wasserstein.fit_rate(ladder, ladder[:, None] ** -0.4 * noise, confidence=level)
        hits += fit.low <= -0.4 <= fit.high
    stderr = np.sqrt(level * (1 - level) / trials)
    assert abs(hits / trials - level) < 5 * stderr


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([10], [[1.0, 2.0]], "`sizes` must be at least 2"),
        ([10, 10], np.ones((2, 3)), "`sizes`"),
        ([0, 10], np.ones((2, 3)), "`sizes`"),
        ([5, 10], np.ones((3, 3)), r"`values` must have shape \(2, repetitions >= 2\)"),
        ([5, 10], np.ones((2, 1)), "`values` must have shape"),
        ([5, 10], [[1.0, -1.0], [1.0, 1.0]], "`values` must have positive means"),
        ([5, 10], [[np.nan, 1.0], [1.0, 1.0]], "`values` holds NaN"),
    ],
)
def test_rate_fit_refusals(sizes, values, message):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        wasserstein.fit_rate(sizes, values)
    with pytest.raises(ValueError, match="`confidence`"):
        wasserstein.fit_rate([1, 2], np.ones((2, 2)), confidence=1)
