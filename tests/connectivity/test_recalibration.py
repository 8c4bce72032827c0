import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, build
from small_networks import digits, gaussian, mlp, trained
from torch import nn

from otlmc.connectivity import Interpolation, path
from otlmc.connectivity.recalibration import recalibrate


def labels(samples: int, classes: int = 4) -> torch.Tensor:
    return torch.arange(samples) % classes


@pytest.mark.parametrize("batch_size", [10, 64])
def test_batchnorm_statistics_are_those_of_the_combined_network(batch_size):
    """In one batch of all the data a network in training mode uses just these statistics."""
    name = "residual, BatchNorm"
    a, b, x = build(name, 0), build(name, 1), gaussian(64, *ARCHITECTURES[name][1])
    report = path(a, b, x, labels(64), points=3, recalibrate="batchnorm", batch_size=batch_size)
    middle = build(name, 0)
    other = b.state_dict()
    state = {
        k: (v + other[k]) / 2 if v.is_floating_point() else v for k, v in a.state_dict().items()
    }
    middle.load_state_dict(state)
    for module in middle.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    logits = middle(x)
    loss = nn.functional.cross_entropy(logits, labels(64)).item()
    np.testing.assert_allclose(report.midpoint_loss, loss, rtol=1e-3)  # biased variance in training
    assert report.recalibrate == "batchnorm"


def test_batchnorm_in_eval_equals_its_own_statistics():
    """Exactly: mean and unbiased variance of what the layer reads, layer after layer."""
    x = gaussian(50, 5)
    nets = [build("mlp with norms", s) for s in (0, 1)]
    between = Interpolation(nets)
    (correction,) = recalibrate(between, [(0.5, 0.5)], x, "batchnorm", batch_size=7)
    weight, bias = (
        (nets[0].state_dict()[k] + nets[1].state_dict()[k]) / 2 for k in ("0.weight", "0.bias")
    )
    reads = x @ weight.T + bias
    torch.testing.assert_close(correction.tensors["1.running_mean"], reads.mean(0))
    torch.testing.assert_close(correction.tensors["1.running_var"], reads.var(0))


def test_repair_gives_every_hidden_unit_the_interpolated_moments():
    a, b, x = mlp(5, 12, 9, 4, seed=0), mlp(5, 12, 9, 4, seed=1), gaussian(200, 5)
    between = Interpolation([a, b])
    weights = (0.3, 0.7)
    (correction,) = recalibrate(between, [weights], x, "repair", batch_size=33)
    assert set(correction.rescaled) == {"0", "2"}
    hidden = torch.relu(
        (x @ (0.3 * a[0].weight + 0.7 * b[0].weight).T + 0.3 * a[0].bias + 0.7 * b[0].bias)
        * correction.rescaled["0"][0] + correction.rescaled["0"][1]
    )  # fmt: skip
    mixed = between.mix(weights)
    out = hidden @ mixed["2.weight"].T + mixed["2.bias"]
    out = out * correction.rescaled["2"][0] + correction.rescaled["2"][1]
    ends = [net[:3](x) for net in (a, b)]
    mean = 0.3 * ends[0].mean(0) + 0.7 * ends[1].mean(0)
    std = 0.3 * ends[0].std(0, correction=0) + 0.7 * ends[1].std(0, correction=0)
    torch.testing.assert_close(out.mean(0), mean, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(out.std(0, correction=0), std, rtol=1e-9, atol=1e-10)


def test_repair_leaves_the_ends_and_dead_units_alone():
    a, b, x = mlp(5, 12, 4, seed=0), mlp(5, 12, 4, seed=1), gaussian(60, 5)
    with torch.no_grad():
        for net in (a, b):
            net[0].weight[3] = 0.0
    plain, repaired = (path(a, b, x, labels(60), recalibrate=k) for k in ("none", "repair"))
    np.testing.assert_allclose(plain.loss[[0, -1]], repaired.loss[[0, -1]], rtol=1e-10)
    assert np.isfinite(repaired.loss).all()


def test_repair_lowers_the_barrier_of_trained_networks():
    x, _, x_test, y_test = digits()
    a, b = trained(0, rate=0.03), trained(1, rate=0.03)
    plain, repaired = (
        path(a, b, x_test, y_test, recalibrate=k, recalibrate_on=x) for k in ("none", "repair")
    )
    assert repaired.loss_barrier < plain.loss_barrier


def test_refusals():
    a, x = mlp(3, 4, 2), gaussian(6, 3)
    with pytest.raises(ValueError, match="no BatchNorm statistics to reset"):
        path(a, a, x, labels(6, 2), recalibrate="batchnorm")
    with pytest.raises(ValueError, match="`recalibrate` must be one of"):
        path(a, a, x, labels(6, 2), recalibrate="rescale")
