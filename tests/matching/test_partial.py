"""What tracing does not understand stays in place, is said so, and the function is kept."""

import re
from pathlib import Path

import pytest
import torch
from architectures import ARCHITECTURES
from partial import PARTIAL, REFUSED, computed, draw
from small_networks import gaussian
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from otlmc.matching import Permutation, infer_spec, match, match_all, verify

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "networks.md"


@pytest.mark.parametrize("name", PARTIAL)
def test_the_rest_is_matched(name):
    make, shape, fixed = PARTIAL[name]
    a, b, x = draw(make, 0), draw(make, 1), gaussian(12, *shape)
    spec = infer_spec(a)
    assert set(spec.fixed) == fixed and spec.sizes
    for seed in range(3):
        moved = Permutation.random(spec, rng=seed).apply(b)
        torch.testing.assert_close(moved(x), b(x), rtol=1e-10, atol=1e-10)
    for method in ("weight", "covariance", "activation", "preactivation"):
        with pytest.warns(UserWarning, match=rf"^{len(fixed)} part\(s\) of .* stay in place: "):
            found = match(a, b, x, method=method)
        assert verify(a, b, found, x).preserved
    match_all([a, b, draw(make, 2)], x, spec=spec)  # who names the specification is not told again


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, _, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        infer_spec(draw(make))


@pytest.mark.parametrize(
    "change",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        weight_norm,
        spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 2),
    ],
)
def test_computed_weights(change):
    spec = infer_spec(computed(change))
    assert set(spec.fixed) == {"0", "2"} and "make it permanent first" in spec.fixed["2"]
    assert spec.sizes == {"hidden": 7}


def test_the_table_of_the_guide():
    rows = dict(re.findall(r"^\| (.+?) +\| (matched|in place|refused)", PAGE.read_text(), re.M))
    expected = dict.fromkeys(PARTIAL, "in place") | dict.fromkeys(REFUSED, "refused")
    assert {name: status for name, status in rows.items() if status != "matched"} == expected


def test_what_is_fixed_is_printed():
    lines = str(infer_spec(draw(PARTIAL["`nn.Embedding`, also tied"][0]))).splitlines()
    assert lines[-2:] == [
        "in place: embed (Embedding is not traced)",
        "in place: down ('add' ties them to what stays in place)",
    ]


def test_what_follows_the_last_layer_is_no_loss():
    class Binary(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(torch.relu(self.hidden(x))).flip(1).cumsum(1)

    spec = infer_spec(Binary())
    assert spec.sizes == {"hidden": 4} and not spec.fixed


def test_tracing_leaves_no_trace():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.norm, self.head = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.norm(self.hidden(x + torch.ones(3))))

    network = Constant()
    network.norm.eval()
    before = set(vars(network))
    infer_spec(network)
    match(network, Constant(), gaussian(9, 3), method="activation")
    verify(network, network, match(network, network), gaussian(9, 3))
    assert set(vars(network)) == before
    assert network.training and not network.norm.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_verified_in_single(dtype):
    make, shape = ARCHITECTURES["mlp"]
    network, x = draw(make).to(dtype), gaussian(20, *shape)
    good = Permutation.random(infer_spec(network), rng=0)
    assert verify(network, network, good, x).preserved
    axes = {key: axes for key, axes in good.spec.axes.items() if key != "2.weight"}
    wrong = type(good.spec)(good.spec.sizes, axes, good.spec.layers)
    assert not verify(network, network, Permutation(wrong, dict(good)), x).preserved
