"""Predictions across widths: planted laws, sub-networks, intervals and refusals."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from small_networks import gaussian, mlp
from torch import nn

from otlmc import data, networks, wasserstein
from otlmc.connectivity import path
from otlmc.matching import match
from otlmc.matching.cost import matching_costs
from otlmc.networks import MLP, Architecture, Stack, TrainConfig
from otlmc.prediction import ScalingLaw, SupportDimension, predict_widths
from otlmc.prediction.predict import Slope
from otlmc.prediction.subnetworks import Source, measure, select, stacked

SIZES = np.array([64, 45, 32, 23, 16, 11, 8])
DIGITS = data.load("digits")
Pair = tuple[MLP, MLP]
SHAPE = Architecture(widths=(64, 48, 48, 10))


@pytest.fixture(scope="module")
def pair() -> Pair:
    config = TrainConfig(lr=0.05, batch_size=100, epochs=8)
    a, b = networks.train(SHAPE, DIGITS, config, [0, 1], device="cpu").stack
    return a, b


def law(**changes: object) -> ScalingLaw:
    fields = {"quantity": "q", "source": 100, "measured": 2.0, "stderr": 0.0, "noise": 0.0}
    fields |= {"repetitions": 8, "confidence": 0.9, "routes": (("one", -0.5),)} | changes
    routes = [route for _, route in fields["routes"]]  # type: ignore[attr-defined]
    fields = {"wider": routes[0], "narrower": routes[-1]} | fields
    return ScalingLaw(**fields)  # type: ignore[arg-type]


def linear_neurons(width: int, k: int, rng: np.random.Generator) -> nn.Sequential:
    """A network whose units, uniform in a cube of dimension k, never switch off on [-1, 1]^k."""
    net = mlp(k, width, 2, seed=int(rng.integers(2**31)))
    first = net[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(rng.uniform(-1, 1, first.weight.shape)))
        first.bias.fill_(k + 1.0)
    return net


def corners(k: int) -> torch.Tensor:
    """All sign vectors: the second moment of the inputs is the identity."""
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * k).double()


@pytest.mark.parametrize("k", [3, 8])
def test_the_interval_covers_a_planted_dimension(k: int) -> None:
    """One pair at the top, repetitions below, all with the same noise: 90% of the intervals."""
    rng = np.random.default_rng(k)
    truth, noise, runs, covered = -2 / k, 0.05, 400, 0
    for _ in range(runs):
        values = SIZES[:, None] ** truth * np.exp(noise * rng.normal(size=(len(SIZES), 8)))
        values[0] = values[0, 0]
        slope = Slope.of(SIZES, values)
        error = float(stats.t.ppf(0.95, 7)) * slope.stderr
        found = SupportDimension.of(1, slope.exponent, error)
        covered += found.low <= k <= found.high
    assert covered >= stats.binom.ppf(1e-4, runs, 0.9)


def test_the_slope_of_a_planted_law_is_that_of_its_matching_cost() -> None:
    """Units uniform in a cube: the ladder of one pair against fresh samples of the law."""
    k, width = 4, 128

    def cube(n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-1, 1, (n, k))

    ladder = np.round(width * 2.0 ** (-np.arange(7) / 2)).astype(int)
    means = [
        wasserstein.two_sample_costs(cube, n, repetitions=100, rng=n).mean() / (2 * k / 3)
        for n in ladder.tolist()
    ]
    x = np.log(ladder) - np.log(ladder).mean()
    truth = x @ np.log(means) / (x @ x)
    rng = np.random.default_rng(0)
    z, dimensions = [], []
    for _ in range(6):
        found = predict_widths(
            linear_neurons(width, k, rng), linear_neurons(width, k, rng), corners(k), rng=rng
        )
        fit = dict(found.matching[0].routes)["sub-networks"]
        dimensions.append(found.dimensions[0].value)
        z.append((fit - truth) / (2 * found.matching[0].stderr))
        assert found.matching[0].at(width).value == pytest.approx(found.matching[0].measured)
    assert abs(np.mean(z)) < 5 / math.sqrt(6) and max(map(abs, z)) < 5
    # k itself up to the corrections of a finite sample near the faces of the cube
    assert 0.8 * k < np.mean(dimensions) < 1.5 * k


def test_a_whole_network_is_measured_as_elsewhere_in_the_package(pair: Pair) -> None:
    pair = copy.deepcopy(pair[0]).double(), copy.deepcopy(pair[1]).double()
    inputs = DIGITS.test_inputs
    found = predict_widths(*pair, inputs, DIGITS.test_labels, match_on=DIGITS.train_inputs)
    matching = match(*pair, DIGITS.train_inputs, method="activation_centred")
    report = path(*pair, inputs, DIGITS.test_labels, permutation=matching)
    assert found.deviation.measured == pytest.approx(report.deviation[5], rel=1e-4)
    assert found.loss_barrier is not None
    assert found.loss_barrier.measured == report.loss_barrier
    costs = matching_costs(
        pair[0],
        matching.permutation.apply(pair[1]),
        DIGITS.train_inputs,
        space="activation_centred",
    )
    random = matching_costs(*pair, DIGITS.train_inputs, space="activation_centred")
    for scaling, cost, shuffled in zip(
        found.matching, costs.values(), random.values(), strict=True
    ):
        # The mean over all permutations: the trace of the covariance of the pooled units, twice,
        # but for the distance of the two means.
        assert scaling.measured == pytest.approx(
            cost.cost / (2 * float(cost.spectrum.sum())), rel=0.02
        )
        assert cost.cost < shuffled.cost


def test_a_result_is_a_function_of_its_seed(pair: Pair) -> None:
    first, same, other = (
        predict_widths(*pair, DIGITS.test_inputs[:200], rng=seed) for seed in (3, 3, 4)
    )
    assert str(first) == str(same) != str(other)
    assert first.loss_barrier is None and len(first.laws) == 3
    record = first.to_record()
    assert record["width"] == 48 and len(record) == 1 + 3 * 3 + 2
    assert record["dimension[2]"] == first.dimensions[1].value
    assert record["wider[deviation of the midpoint]"] == first.deviation.wider
    assert [value.value for value in first.at(96)] == [law.at(96).value for law in first.laws]
    assert first.width_for(1.0) == first.deviation.width_for(1.0)


def test_subnetworks_keep_what_their_layers_read() -> None:
    net, inputs = mlp(5, 40, 40, 3), gaussian(300, 5)
    whole = stacked("net", net)
    assert torch.allclose(whole(inputs)[0], net(inputs))
    source = Source.of(whole, inputs, 4, np.random.default_rng(0))
    small = source.subnetworks(10)
    assert small.architecture.widths == (5, 10, 10, 3) and len(small) == 4
    read = small.activations(inputs)[2] @ small.tensors["layers.2.weight"].mT
    expected = whole.activations(inputs)[2] @ whole.tensors["layers.2.weight"].mT
    assert torch.allclose(read.square().mean((1, 2)), expected.square().mean().expand(4))
    # All of the units, in another order: the same function.
    assert torch.allclose(source.subnetworks(40)(inputs), whole(inputs).expand(4, -1, -1))


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"activation": "tanh"}, {"bias": False}])
def test_every_perceptron_of_the_package_has_subnetworks(options) -> None:
    shape = Architecture(widths=(64, 32, 32, 10), **options)
    a, b = networks.train(shape, DIGITS, TrainConfig(lr=0.05, epochs=3), [0, 1], device="cpu").stack
    found = predict_widths(a, b, DIGITS.test_inputs)
    assert 0 < found.deviation.at(64).value < found.deviation.measured * 1.1
    assert found.width == 32


def test_a_planted_permutation_costs_nothing_and_is_refused() -> None:
    net, inputs = mlp(6, 32, 32, 4), gaussian(100, 6)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))[None]
    whole = stacked("net", net)
    moved = select(whole, [order, order.flip(1)])
    assert torch.allclose(moved(inputs), whole(inputs))
    found = measure(whole, moved, inputs, inputs)
    assert found.costs.max() < 1e-12 and found.deviation[0] < 1e-12
    with pytest.raises(ValueError, match=r"`b` must differ from `a` in every layer"):
        predict_widths(net, net, inputs)


def test_values_and_intervals_of_a_law() -> None:
    exact = law()
    assert exact.at(400).value == exact.at(400).low == exact.at(400).high == pytest.approx(1.0)
    assert exact.width_for(1.0).width == 400 and exact.width_for(4.0).width == 25
    uncertain = law(routes=(("one", -0.3), ("two", -0.7)), stderr=0.01, noise=0.05)
    here, far, near = uncertain.at(100), uncertain.at(10_000), uncertain.at(50)
    assert here.value == 2.0
    assert far.value == pytest.approx(2 * 100**-0.3) and near.value == pytest.approx(2 * 2**0.7)
    quantile = stats.t.ppf(0.95, 7)
    assert math.log(here.high / here.value) == pytest.approx(quantile * math.sqrt(2) * 0.05)
    x = math.log(100)
    beyond = quantile * math.sqrt(2 * 0.05**2 + (0.01 * x) ** 2)
    assert math.log(far.high / 2) == pytest.approx(-0.3 * x + beyond)
    assert math.log(far.low / 2) == pytest.approx(-0.7 * x - beyond)
    width = uncertain.width_for(1.0)
    assert width.width is not None and width.low is not None and width.high is not None
    assert width.width == math.ceil(100 * 2 ** (1 / 0.3)) and width.low < width.width < width.high
    assert uncertain.at(width.high).high <= 1.0 < uncertain.at(width.high - 1).high
    assert f"width {width.width:,} [" in str(width)
    assert uncertain.to_record()["exponent[two]"] == -0.7


def test_a_tolerance_that_is_never_met() -> None:
    flat = law(routes=(("one", -0.2), ("two", 0.0)))
    found = flat.width_for(1.0)
    assert found.high is None and found.width == 3200 and "never]" in str(found)
    assert law(routes=(("one", 0.1),)).width_for(1.5).width == 1  # it grows: narrower is better
    # An interval that opens faster than the prediction falls still meets what it meets nearby.
    wide = law(routes=(("one", -0.9), ("two", 0.1)), noise=0.05).width_for(2.5)
    assert wide.width is not None and wide.high is not None and wide.width < wide.high < 150
    assert law(routes=(("one", 0.0),)).width_for(1.0).width is None


def test_an_interval_has_infinite_dimensions_where_the_cost_does_not_fall() -> None:
    found = SupportDimension.of(2, 0.01, 0.005)
    assert (found.value, found.low, found.high) == (math.inf, math.inf, math.inf)


def test_the_table_says_that_it_is_no_theorem(pair: Pair) -> None:
    text = str(predict_widths(*pair, DIGITS.test_inputs, DIGITS.test_labels, repetitions=2))
    first, header, *rows = text.splitlines()
    assert "no theorem" in first and "at 48" in header and "at 384" in header
    assert [row.split("  ")[0] for row in rows] == [
        *("relative matching cost, layer 1", "relative matching cost, layer 2"),
        *("deviation of the midpoint", "loss barrier"),
    ]


def constant(net: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        net[0].weight.zero_()  # type: ignore[union-attr]
    return net


X = gaussian(50, 4)
TWO = mlp(4, 32, 3), mlp(4, 32, 3, seed=1)
REFUSED = [
    ((mlp(4, 32, 3), mlp(4, 40, 3), X), {}, r"`b` must be Architecture\("),
    ((mlp(4, 32, 24, 3), mlp(4, 32, 24, 3, seed=1), X), {}, "hidden layers of one width"),
    ((mlp(4, 16, 3), mlp(4, 16, 3, seed=1), X), {}, "at least 23 units a layer, got 16"),
    ((mlp(4, 3), mlp(4, 3, seed=1), X), {}, r"hidden layers of one width, got \(\)"),
    ((*TWO, X[0]), {}, r"`inputs` must be \(samples"),
    ((*TWO, X[:, :3]), {}, "`inputs` must hold 4 values"),
    ((*TWO, X * math.nan), {}, "`inputs` holds NaN"),
    ((*TWO, X), {"match_on": X[:, :2]}, "`match_on` must hold 4"),
    ((*TWO, X), {"repetitions": 1}, "`repetitions` must be at"),
    ((*TWO, X), {"confidence": 1}, "`confidence` must be finite"),
    ((constant(mlp(4, 32, 3)), constant(mlp(4, 32, 3)), X), {}, "hidden layer 1 are constant"),
    ((*TWO, X * 1e200), {}, "NaN or infinite activations"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), REFUSED)
def test_refusals_name_the_argument(arguments, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        predict_widths(*arguments, **options)


def test_other_refusals() -> None:
    with pytest.raises(TypeError, match=r"`a` must be an nn\.Module"):
        predict_widths(3, mlp(4, 32, 3), X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`b` must alternate Linear and ReLU"):
        predict_widths(mlp(4, 32, 3), nn.Sequential(nn.Linear(4, 32), nn.Tanh()), X)
    with pytest.raises(ValueError, match="`labels` must be"):
        predict_widths(*TWO, X, [0, 1])
    with pytest.raises(ValueError, match="`tolerance` must be finite and > 0"):
        law().width_for(0.0)
    with pytest.raises(ValueError, match="`width` must be a positive integer"):
        law().at(0)


def test_stacks_of_one_are_repeated() -> None:
    whole = stacked("net", mlp(3, 8, 2))
    assert isinstance(whole, Stack)
    parts = select(whole, [torch.tensor([[0, 1], [2, 3]])])
    assert torch.equal(parts.tensors["layers.0.bias"][1], whole.tensors["layers.0.bias"][0, 2:4])
    assert parts.tensors["layers.1.bias"].shape == (2, 2)
