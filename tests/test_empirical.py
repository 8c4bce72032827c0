"""A cloud of neurons in the place of their law: against known laws and against real matchings."""

import numpy as np
import pytest

from otlmc import bounds, wasserstein
from otlmc.laws import Empirical, Gaussian, Laplace

POWERS = np.arange(1, 101.0) ** -2


def clouds(law, size: int, number: int = 24) -> list[Empirical]:
    return [Empirical(law.sample(size, rng=seed)) for seed in range(number)]


@pytest.mark.parametrize("law", [Gaussian(1), Laplace(1)])
def test_levels_on_a_line_are_the_profile(law) -> None:
    # halves of 1023: every cell has an odd number and drops its median
    levels = np.array([cloud.within for cloud in clouds(law, 2046, 100)])
    mean, stderr = levels.mean(0), levels.std(0, ddof=1) / 10
    drops = law.blocks[0].marginal.drops
    exact = 2 - np.concatenate([[0.0], np.cumsum(drops)])
    assert len(mean) == 9  # the last cells hold three
    assert (np.abs(mean - exact[:9])[:6] <= 5 * stderr[:6]).all()  # 31 neurons and more


@pytest.mark.parametrize("law", [Gaussian(5), Gaussian(20), Gaussian(spectrum=POWERS)])
@pytest.mark.parametrize("p", [1, 2])
def test_large_clouds_give_the_partition_bound_within_a_tenth(law, p) -> None:
    # not exactly: the axes are guessed, and each cell has its own
    values = [float(bounds.upper(cloud, 1024, p=p)) for cloud in clouds(law, 8192, 6)]
    assert np.mean(values) == pytest.approx(bounds.partition_bound(law, 1024, p), rel=0.1)


def curve(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from a closed curve in 30 dimensions with a little noise: no product law at all."""
    angle = rng.uniform(0, 2 * np.pi, size)
    waves = [np.cos(angle), np.sin(angle), np.cos(2 * angle) * np.sign(np.sin(angle))]
    rotation = np.linalg.qr(np.random.default_rng(7).standard_normal((30, 30)))[0]
    inner = np.pad(np.stack(waves, axis=1), ((0, 0), (0, 27)))
    return (inner + 0.02 * rng.standard_normal((size, 30))) @ rotation


@pytest.mark.parametrize("width", [32, 256])
@pytest.mark.parametrize("p", [1, 2])
def test_real_matchings_cost_less_and_more(width, p) -> None:
    points = curve(4096, np.random.default_rng(0))
    cloud = Empirical(points)
    costs = []
    for seed in range(12):  # disjoint parts of the cloud itself
        rows = np.random.default_rng(seed).permutation(4096)[: 2 * width]
        costs.append(wasserstein.distance(points[rows[:width]], points[rows[width:]], p=p).cost)
    stderr = np.std(costs, ddof=1) / np.sqrt(12)
    upper = bounds.upper(cloud, width, p=p)
    assert np.mean(costs) <= upper.value + 5 * stderr
    assert upper.value < 0.5 * (2 * cloud.spectrum.sum()) ** (p / 2)  # it sees the curve
    if p == 2:
        lower = bounds.lower(cloud, width)
        assert lower.value <= np.mean(costs) + 5 * stderr
        np.testing.assert_allclose(lower.value, 2 * np.trace(np.cov(points.T)) / width)


def test_noise_alone_gains_nothing_by_choosing_its_cuts() -> None:
    # in 500 dimensions no partition of 200 neurons helps: the estimate must not say that one does
    law = Gaussian(500)
    values = np.array([float(bounds.upper(cloud, 64)) for cloud in clouds(law, 200)])
    assert values.mean() >= bounds.partition_bound(law, 64) - 5 * values.std() / np.sqrt(24)


def test_estimates_say_that_they_are() -> None:
    cloud = Empirical(np.random.default_rng(0).standard_normal((100, 3)))
    upper, lower = bounds.upper(cloud, 64), bounds.lower(cloud, 64)
    assert (upper.kind, upper.method) == ("upper estimate", "k-d tree")
    assert (lower.kind, lower.method) == ("lower estimate", "mean")
    assert "estimate" in str(upper) and "estimate" in str(lower)
    assert upper.to_record()["kind"] == "upper estimate"
    assert repr(cloud).startswith("Empirical(100 neurons, dim=3, total variance=")


def test_wider_than_the_cloud() -> None:
    cloud = Empirical(np.random.default_rng(0).standard_normal((128, 3)))
    values = [bounds.upper(cloud, 2**k).value for k in (3, 6, 9, 12, 100)]
    assert (np.diff(values) <= 0).all()
    assert values[-1] == pytest.approx(cloud.within.min(), rel=1e-6)  # one neuron in each cell


def test_moves_and_metrics() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((600, 4)) * [3, 2, 1, 0.5]
    cloud, rotation = Empirical(points), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    for moved, factor in ((points @ rotation + 5, 1), (3 * points, 9)):
        np.testing.assert_allclose(Empirical(moved).within, factor * cloud.within, rtol=1e-9)
    metric = rotation @ np.diag([4.0, 1.0, 0.25, 0.0]) @ rotation.T
    root = rotation @ np.diag([2.0, 1.0, 0.5, 0.0]) @ rotation.T
    direct = Empirical(points @ root)
    np.testing.assert_allclose(cloud.in_metric(metric).within, direct.within, rtol=1e-9)
    # what does not vary costs nothing, and more dimensions than neurons are no trouble
    padded = np.pad(points[:100], ((0, 0), (0, 300)))
    np.testing.assert_allclose(Empirical(padded).within, Empirical(points[:100]).within, rtol=1e-9)


def test_the_split_is_a_function_of_the_seed() -> None:
    points = np.random.default_rng(0).standard_normal((65, 2))
    same = Empirical(points, rng=3).within, Empirical(points, rng=np.random.default_rng(3)).within
    np.testing.assert_array_equal(*same)
    assert (Empirical(points, rng=4).within != same[0]).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: Empirical(c.points[:7]), ValueError, "at least 8 neurons, got 7"),
        (lambda c: Empirical(np.ones((9, 2))), ValueError, "the same neuron"),
        (lambda c: Empirical(np.ones(9)), ValueError, "`points` must have 2 dimensions"),
        (lambda c: Empirical(np.full((9, 2), np.nan)), ValueError, "`points` holds NaN"),
        (lambda c: c.in_metric(np.eye(2)), ValueError, "`metric` must have 3 rows"),
        (lambda c: bounds.upper(c, 0), ValueError, "`width`"),
        (lambda c: bounds.upper(c, 8, p=3), ValueError, "`p`"),
        (lambda c: bounds.upper(c, 8, confidence=0.9), ValueError, "`confidence`"),
        (lambda c: bounds.lower(c, 8, p=1), ValueError, "`p` must be 2"),
        (lambda c: bounds.TwoLayer(c, lipschitz=1.0), TypeError, "got Empirical"),
        (lambda c: bounds.partition_bound(c, 8), TypeError, "not a cloud"),
        (lambda c: bounds.rank_bound(c, 8), TypeError, "not a cloud"),
        (lambda c: bounds.cap_bound(c, 8), TypeError, "not a cloud"),
        (lambda c: bounds.rate_distortion(c, 8.0), TypeError, "not a cloud"),
        (lambda c: bounds.rate_for_distortion(c, 8.0), TypeError, "not a cloud"),
    ],
)
def test_refusals(call, error, message) -> None:
    cloud = Empirical(np.random.default_rng(0).standard_normal((20, 3)))
    with pytest.raises(error, match=message):
        call(cloud)
