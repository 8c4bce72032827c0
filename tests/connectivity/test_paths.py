import copy
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from small_networks import gaussian, mlp
from torch import nn

from otlmc.connectivity import Interpolation, PathReport, path
from otlmc.connectivity.evaluation import _inverse_temperature
from otlmc.matching import Permutation, infer_spec, match


def blend(a: nn.Module, b: nn.Module, t: float) -> nn.Module:
    """The definition, without any sharing."""
    net = copy.deepcopy(a)
    other = b.state_dict()
    net.load_state_dict({k: (1 - t) * v + t * other[k] for k, v in a.state_dict().items()})
    return net


def test_equals_the_naive_path():
    a, b, x = mlp(6, 12, 9, 4, seed=0), mlp(6, 12, 9, 4, seed=1), gaussian(101, 6)
    y = torch.arange(101) % 4
    report = path(a, b, x, y, batch_size=17)
    np.testing.assert_array_equal(report.t, np.linspace(0, 1, 11))
    for t, loss, error in zip(report.t, report.loss, report.error, strict=True):
        logits = blend(a, b, t)(x)
        np.testing.assert_allclose(loss, F.cross_entropy(logits, y).item(), rtol=1e-10)
        np.testing.assert_allclose(error, (logits.argmax(1) != y).double().mean(), rtol=1e-10)
    assert (report.on, report.samples) == ("test", 101)


def test_one_logit_is_binary():
    a, b, x = mlp(2, 8, 1, seed=0), mlp(2, 8, 1, seed=1), gaussian(40, 2)
    y = (x[:, 0] > 0).long()
    report = path(a, b, x, y.numpy(), points=[0.0, 0.3, 0.5, 1.0], on="train")
    logits = blend(a, b, 0.3)(x)[:, 0]
    loss = F.binary_cross_entropy_with_logits(logits, y.double()).item()
    np.testing.assert_allclose(report.loss[1], loss, rtol=1e-10)
    np.testing.assert_allclose(report.error[1], ((logits > 0) != y).double().mean(), rtol=1e-10)


def test_first_layer_is_shared_and_float32_agrees():
    a, b = (mlp(30, 64, 64, 5, seed=s, dtype=torch.float32) for s in (0, 1))
    x = gaussian(64, 30, dtype=torch.float32)
    between = Interpolation([a, b])
    between.load(x)
    assert between.is_first(between.network.get_submodule("0"))
    for t in (0.0, 0.2, 0.7, 1.0):
        shared = between.outputs((1 - t, t))
        torch.testing.assert_close(shared, blend(a, b, t)(x), rtol=1e-5, atol=1e-5)


def test_a_layer_that_is_used_twice_is_not_shared():
    class Twice(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.core = mlp(4, 4, seed=seed)[0]

        def forward(self, x):
            return self.core(torch.relu(self.core(x)))

    a, b, x = Twice(0), Twice(1), gaussian(9, 4)
    between = Interpolation([a, b])
    between.load(x)
    torch.testing.assert_close(between.outputs((0.5, 0.5)), blend(a, b, 0.5)(x))


def test_measures_by_hand():
    report = PathReport(
        t=np.array([0, 0.25, 0.5, 1]),
        loss=np.array([1.0, 3.0, 2.0, 2.0]),
        error=np.array([0.0, 0.0, 0.5, 0.2]),
        deviation=np.array([0.0, 1.0, 2.0, 0.0]),
        temperature=np.array([1.0, 2.0, 3.0, 1.0]),
        calibrated_loss=np.array([1.0, 2.0, 1.5, 2.0]),
        permutation="none",
        recalibrate="none",
        relation="independent",
        on="test",
        samples=10,
    )
    assert report.loss_barrier == 3.0 - 1.25
    assert report.epsilon_loss == 1.0
    assert report.midpoint_loss == 2.0
    np.testing.assert_allclose(report.error_barrier, 0.4, rtol=1e-10)
    np.testing.assert_allclose(report.epsilon_error, 0.3, rtol=1e-10)
    assert report.midpoint_error == 0.5
    assert report.calibrated_loss_barrier == 0.75
    assert report.calibrated_midpoint_loss == 1.5
    assert (report.midpoint_temperature, report.largest_deviation) == (3.0, 2.0)
    record = report.to_record()
    assert record["on"] == "test" and record["points"] == 4 and record["loss_barrier"] == 1.75


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"b": mlp(3, 5, 2)}, r"'0.weight' is \(4, 3\) in network 0 and \(5, 3\) in network 1"),
        ({"points": 4}, "`points` must be odd"),
        ({"points": 1}, "`points` must be odd"),
        ({"points": [0.0, 1.0]}, "hold 1/2"),
        ({"points": [0.0, 0.5, 0.5, 1.0]}, "must increase"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, r"`labels` must be \(6,\)"),
        ({"labels": torch.full((6,), 2)}, "below the number of classes, 2; got 2"),
        ({"labels": torch.full((6,), 0.5)}, "class numbers"),
        ({"labels": torch.full((6,), -1)}, "class numbers"),
        ({"inputs": torch.full((6, 3), torch.nan)}, "`inputs` holds NaN"),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_refusals(kwargs, message):
    given = {"b": mlp(3, 4, 2), "inputs": gaussian(6, 3), "labels": torch.zeros(6, dtype=int)}
    given |= kwargs
    with pytest.raises(ValueError, match=message):
        path(mlp(3, 4, 2), **given)


def test_refuses_nan_weights_and_state_dicts():
    a, x, y = mlp(3, 4, 2), gaussian(6, 3), torch.zeros(6, dtype=torch.int64)
    broken = mlp(3, 4, 2)
    with torch.no_grad():
        broken[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"network 1: tensor '0.weight' holds NaN"):
        path(a, broken, x, y)
    with pytest.raises(TypeError, match=r"network 1 must be an nn.Module, got OrderedDict"):
        path(a, a.state_dict(), x, y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="below the number of classes, 2; got 2"):
        path(mlp(3, 4, 1), mlp(3, 4, 1), x, torch.full((6,), 2))


def test_deviation_by_hand():
    a, b, x = mlp(6, 12, 4, seed=0), mlp(6, 12, 4, seed=1), gaussian(30, 6)
    report = path(a, b, x, torch.arange(30) % 4, points=[0.0, 0.2, 0.5, 1.0])
    apart = blend(a, b, 0.2)(x) - 0.8 * a(x) - 0.2 * b(x)
    np.testing.assert_allclose(
        report.deviation[1], apart.square().sum(1).mean().sqrt().item(), rtol=1e-9
    )
    np.testing.assert_allclose(report.deviation[[0, -1]], 0, atol=1e-14)


@pytest.mark.parametrize("outputs", [1, 4])
def test_temperature_has_the_least_loss(outputs):
    """Against a fine grid: no temperature is better, and the fitted one reaches its loss."""
    a, b, x = mlp(6, 12, outputs, seed=0), mlp(6, 12, outputs, seed=1), gaussian(200, 6)
    y = torch.relu(a(x)[:, 0] * 30).long().clamp(max=max(1, outputs - 1)).detach()
    report = path(a, b, x, y, points=3)
    logits = blend(a, b, 0.5)(x).detach()

    def loss(beta):
        if outputs == 1:
            return F.binary_cross_entropy_with_logits(beta * logits[:, 0], y.double()).item()
        return F.cross_entropy(beta * logits, y).item()

    grid = [loss(beta) for beta in np.geomspace(1e-4, 1e3, 2001)]
    assert report.calibrated_midpoint_loss <= min(grid) + 1e-12
    temperature = report.midpoint_temperature
    np.testing.assert_allclose(loss(1 / temperature), report.calibrated_midpoint_loss, rtol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(-4, 6), st.booleans())
def test_temperature_against_a_search(seed, magnitude, half_right):
    """Logits of any size, also such that the softmax is one-hot; scipy is the oracle."""
    rng = np.random.default_rng(seed)
    samples, classes = rng.integers(1, 40), rng.integers(2, 12)
    logits = torch.from_numpy(rng.normal(size=(samples, classes)) * 10**magnitude)
    target = torch.from_numpy(rng.integers(0, classes, samples))
    if half_right:
        target[::2] = logits.argmax(1)[::2]

    def loss(beta):
        return F.cross_entropy(beta * logits, target).item()

    ends = [10.0**power for power in range(-10, 4)]
    found = [
        minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-9 * high})
        for low, high in itertools.pairwise([0.0, *ends])
    ]
    best = min([loss(0.0), loss(1000.0), *(result.fun for result in found)])
    assert loss(_inverse_temperature(logits, target)) <= best + 1e-7 * max(best, 1e-3)


def test_logits_that_say_nothing_get_an_infinite_temperature():
    """Where every larger logit is wrong, the best scaling is 0: the loss of a uniform guess."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2))
    x = torch.eye(2, dtype=torch.float64)
    report = path(net, net, x, torch.tensor([1, 0]), points=3)
    assert report.midpoint_temperature == np.inf
    np.testing.assert_allclose(report.calibrated_midpoint_loss, np.log(2), rtol=1e-12)


def test_a_report_holds_the_row_without_permutation():
    a, b, x = mlp(6, 12, 4, seed=0), mlp(6, 12, 4, seed=1), gaussian(30, 6)
    y = torch.arange(30) % 4
    found = match(a, b)
    report = path(a, b, x, y, permutation=found)
    moved = path(a, found.permutation.apply(b), x, y)
    np.testing.assert_allclose(report.loss, moved.loss, rtol=1e-12)
    assert report.unpermuted is not None
    np.testing.assert_allclose(report.unpermuted.loss, path(a, b, x, y).loss, rtol=1e-12)
    rows = report.rows()
    assert [row["permutation"] for row in rows] == ["none", "weight"]
    assert {"loss_barrier", "calibrated_loss_barrier", "relation", "on"} <= rows[0].keys()
    given = path(a, b, x, y, permutation=found.permutation)
    assert given.permutation == "given" and path(a, b, x, y).unpermuted is None


def test_planted_copies_are_called_copies():
    a, b, x = mlp(6, 64, 4, seed=0), mlp(6, 64, 4, seed=1), gaussian(30, 6)
    y = torch.arange(30) % 4
    planted = Permutation.random(infer_spec(a), rng=0)
    copied = path(a, planted.apply(a), x, y, permutation=planted.inverse())
    assert copied.relation == "copy"
    assert copied.unpermuted is not None and copied.unpermuted.relation == "copy"
    assert path(a, b, x, y, permutation=match(a, b)).relation == "independent"


def test_training_mode_and_networks_are_left_alone():
    a, b, x = mlp(6, 12, 4, seed=0).train(), mlp(6, 12, 4, seed=1), gaussian(30, 6)
    before = [p.clone() for p in a.parameters()]
    path(a, b, x, torch.arange(30) % 4, points=3)
    assert a.training
    assert all(torch.equal(p, q) for p, q in zip(before, a.parameters(), strict=True))
