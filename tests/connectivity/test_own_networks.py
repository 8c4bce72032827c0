"""Paths between networks with tied or computed weights, tokens, and activations in place."""

import copy

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES
from partial import PARTIAL, computed, draw
from small_networks import gaussian
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from otlmc.connectivity import Interpolation, features, path
from otlmc.connectivity.recalibration import recalibrate


def blend(a: nn.Module, b: nn.Module, t: float) -> nn.Module:
    """Return the network between two others, through their state dicts."""
    mixed, other = copy.deepcopy(a), b.state_dict()
    state = a.state_dict()
    mixed.load_state_dict(
        {k: (1 - t) * x + t * other[k] if x.is_floating_point() else x for k, x in state.items()}
    )
    return mixed


MAKERS = {name: (make, shape) for name, (make, shape, _) in PARTIAL.items()} | {
    "shared": ARCHITECTURES["shared"],
    "spectral_norm": (lambda: computed(parametrizations.spectral_norm), (5,)),
    "computed in the first layer": (
        lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.Linear(4, 3)),
        (5,),
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_between_any_networks(name):
    make, shape = MAKERS[name]
    a, b, x = draw(make, 0), draw(make, 1), gaussian(6, *shape)
    between = Interpolation([a, b])
    between.load(x)
    for t in (0.0, 0.3, 1.0):
        torch.testing.assert_close(between.outputs((1 - t, t)), blend(a, b, t)(x))


def test_weights_that_a_hook_computes():
    """The module of ``weight_norm`` cannot be copied, and ``path`` need not do without it."""
    with pytest.warns(FutureWarning, match="deprecated"):
        a, b = (nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2)) for _ in range(2))
    x = gaussian(5, 3, dtype=torch.float32)
    with torch.no_grad():
        a(x), b(x)
    between = Interpolation([a, b])
    between.load(x)
    torch.testing.assert_close(between.outputs((0.4, 0.6)), blend(a, b, 0.6)(x))


@pytest.mark.parametrize("kind", ["repair", "batchnorm"])
def test_activations_in_place_change_nothing(kind):
    x, y = gaussian(30, 5), torch.arange(30) % 3
    reports = []
    for inplace in (False, True):
        nets = [
            draw(lambda flag=inplace: nn.Sequential(
                nn.Linear(5, 6), nn.ReLU(flag), nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(flag),
                nn.Linear(6, 3)), seed)
            for seed in (0, 1)
        ]  # fmt: skip
        reports.append(path(*nets, x, y, recalibrate=kind))
        assert set(features(*nets, x).deviation) == {"2", "5", "output"}
    np.testing.assert_allclose(reports[0].loss, reports[1].loss, rtol=1e-12)


def test_repair_of_tokens():
    """A linear layer has its units on the last axis, whatever comes before."""
    nets = [
        draw(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Flatten(),
                                   nn.Linear(15, 2)), seed)
        for seed in (0, 1)
    ]  # fmt: skip
    x = gaussian(40, 3, 4)
    between = Interpolation(nets)
    (correction,) = recalibrate(between, [(0.5, 0.5)], x, "repair", batch_size=16)
    between.load(x)
    seen = []
    between.network.get_submodule("3").register_forward_pre_hook(
        lambda *call: seen.append(call[1][0])
    )
    between.outputs((0.5, 0.5), correction)
    written = [net[:3](x).flatten(0, 1) for net in nets]
    rows = seen[0].flatten(0, 1)
    torch.testing.assert_close(rows.mean(0), (written[0].mean(0) + written[1].mean(0)) / 2)
