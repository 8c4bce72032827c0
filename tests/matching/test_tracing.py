import pytest
import torch
from architectures import ARCHITECTURES, build
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import gaussian
from torch import nn

from otlmc.matching import Permutation, infer_spec


@given(name=st.sampled_from(list(ARCHITECTURES)), seed=st.integers(0, 10**6))
@settings(deadline=None)
def test_any_permutation_keeps_the_function(name, seed):
    network = build(name, seed)
    spec = infer_spec(network)
    x = gaussian(6, *ARCHITECTURES[name][1], seed=seed)
    permutation = Permutation.random(spec, rng=seed)
    moved = permutation.apply(network)
    torch.testing.assert_close(moved(x), network(x), rtol=1e-10, atol=1e-10)
    assert moved.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_hidden_tensor_is_permuted(name):
    """All tensors but the output's bias, scalars and counters carry units."""
    network = build(name)
    free = {k for k in network.state_dict() if k not in infer_spec(network).axes}
    assert {k for k in free if not k.endswith(("num_batches_tracked", "scale"))} <= {
        "4.bias", "7.bias", "8.bias", "head.bias"
    }  # fmt: skip


def test_groups_of_a_residual_network():
    spec = infer_spec(build("residual, GroupNorm 4"))
    assert spec.sizes == {"stem": 8, "inner": 8, "down": 16, "hidden": 12}
    assert spec.blocks == {"stem": 4, "inner": 4}
    assert {layer.target for layer in spec.layers if layer.name in ("stem", "back")} == {"stem"}
    assert next(layer for layer in spec.layers if layer.name == "hidden").block == 9


def test_group_norm_ties_its_blocks():
    spec = infer_spec(build("residual, GroupNorm 4"))
    identity = dict(Permutation.identity(spec))
    Permutation(spec, identity | {"inner": [2, 3, 1, 0, 4, 5, 7, 6]})  # blocks of two
    with pytest.raises(ValueError, match=r"splits the 4 blocks that a GroupNorm ties"):
        Permutation(spec, identity | {"inner": [2, 0, 1, 3, 4, 5, 6, 7]})


class Odd(nn.Module):
    """Two linear layers around an operation."""

    def __init__(self, operation) -> None:
        super().__init__()
        self.first, self.operation, self.last = nn.Linear(4, 6), operation, nn.Linear(6, 2)
        self.vector = nn.Parameter(torch.ones(6))

    def forward(self, x):
        return self.last(self.operation(self, self.first(x)))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda m, x: x.flip(1), "no units of Odd can be permuted .*'first': 'flip' mixes them"),
        (lambda m, x: x[:, :6], "getitem"),
        (lambda m, x: torch.cumsum(x, 1), "cumsum"),
        (lambda m, x: torch.cat([x[:0], x]), "getitem"),
        (lambda m, x: x.transpose(0, 1), "transpose"),
        (lambda m, x: x.T.T, "'T' mixes them"),
        (lambda m, x: x + torch.arange(6.0), "'add' brings in a constant"),
        (lambda m, x: x * m.vector.flip(0), "'mul' ties them to what stays in place"),
        (lambda m, x: x.mean(1), "'mean' mixes them"),
        (lambda m, x: x.view(x.shape[0] * 2, -1), "'view' mixes them"),
        (lambda m, x: x.view(x.size(1), -1), "'view' mixes them"),
        (lambda m, x: x if x.sum() > 0 else -x, "torch.fx cannot trace Odd"),
    ],
)
def test_refusals_name_the_operation(operation, message):
    with pytest.raises(ValueError, match=message):
        infer_spec(Odd(operation))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1, groups=2)), r"grouped .*\(2 groups"),
        (nn.Sequential(nn.Linear(4, 6), nn.MaxPool1d(2), nn.Linear(3, 2)), "MaxPool1d '1' mixes"),
        (nn.Sequential(nn.Conv1d(4, 6, 1), nn.MaxPool2d(2), nn.Conv1d(3, 2, 1)), "MaxPool2d '1'"),
        (nn.Sequential(nn.Linear(4, 6), nn.Linear(5, 2)), "'1' reads 5 entries of 6 units"),
        (nn.Sequential(nn.Conv2d(2, 4, 1), nn.Linear(4, 2)), "Linear '1' acts on another axis"),
        (nn.Sequential(nn.Conv2d(2, 4, 1), nn.Flatten(0), nn.Linear(4, 2)), "Flatten '1' mixes"),
        (nn.Sequential(nn.Linear(4, 6), nn.Flatten(), nn.Linear(18, 2)), "'2' reads 18 entries"),
        (nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(12), nn.Linear(6, 2)), "reads 12 entries"),
        (nn.Sequential(nn.Linear(4, 6), nn.GLU(), nn.Linear(3, 2)), "GLU '1' mixes them"),
    ],
)
def test_refusals_name_the_layer(network, message):
    with pytest.raises(ValueError, match=message):
        infer_spec(network)


def test_sums_of_unlike_groups():
    class Sum(nn.Module):
        def __init__(self, units):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(3, 4), nn.Linear(3, units), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.a(x) + self.b(x))

    assert infer_spec(Sum(4)).sizes == {"a": 4}
    with pytest.raises(ValueError, match=r"'a': 'add' ties them to unlike units; 'b'"):
        infer_spec(Sum(1))


def test_a_residual_onto_the_input_fixes_the_units():
    class Onto(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.back, self.out = nn.Linear(3, 4), nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.out(x + self.back(torch.relu(self.inner(x))))

    assert infer_spec(Onto()).sizes == {"inner": 4}


class Squared(nn.Module):
    """Positions flattened behind a linear layer, and again behind a new axis."""

    def __init__(self, operation) -> None:
        super().__init__()
        self.first, self.operation, self.last = nn.Linear(4, 6), operation, nn.Linear(18, 2)

    def forward(self, x):
        return self.last(self.operation(self.first(x)))


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.flatten(1),
        lambda x: x.flatten(1).unsqueeze(2).flatten(1),
        lambda x: x.reshape(x.shape[0], -1, 1).flatten(1),
        lambda x: x.flatten(1, 1).flatten(1),
        lambda x: x.flatten(1).unsqueeze(1).flatten(1),
        lambda x: nn.functional.group_norm(x.flatten(1), 6),
        nn.Sequential(nn.Flatten(), nn.GroupNorm(6, 18, affine=False)),
    ],
)
def test_several_positions_are_never_taken_for_one_unit(operation):
    """18 entries are three positions of six units, in this order."""
    network, x = Squared(operation), gaussian(5, 3, 4, dtype=torch.float32)
    network(x)
    with pytest.raises(ValueError, match="no units of Squared can be permuted"):
        infer_spec(network)


def test_a_flattened_image_is_not_flattened_twice_over():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv1d(2, 3, 1), nn.Linear(24, 2)

        def forward(self, x):
            x = nn.functional.pad(self.first(x).reshape(x.size(0), -1, 1), (1, 0))
            return self.last(x.transpose(-2, -1).flatten(1))

    network = Twice()
    network(gaussian(5, 2, 4, dtype=torch.float32))
    with pytest.raises(ValueError, match="'first': 'flatten' mixes them"):
        infer_spec(network)
