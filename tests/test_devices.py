"""Everything runs on a second device, without one: see ``second_device``.

Shown is placement. What is made inside lies where the networks are and has their precision, no
operation mixes devices, numbers reach NumPy by way of the host, and no step of training makes the
host wait. Since the second device computes with the kernels of the CPU, the answers must be equal
to the last bit.

Not shown is that the kernels of CUDA agree with those of the CPU: ``test_precision`` holds that,
where there is a GPU.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, build
from second_device import DEVICE, SecondDevice, There
from small_networks import gaussian, mlp
from torch import Tensor, nn

from otlmc import data
from otlmc.certificate import certify
from otlmc.connectivity import all_paths, features, path, plane, simplex
from otlmc.matching import match, match_all, verify
from otlmc.matching.cost import SPACES, matching_costs
from otlmc.matching.dimension import layer_dimensions
from otlmc.matching.methods import Covariance, Weight
from otlmc.matching.pairwise import METHODS
from otlmc.matching.relaxed import Relaxed
from otlmc.networks import (
    MLP,
    Architecture,
    Schedule,
    Stack,
    TrainConfig,
    draw,
    evaluate,
    train,
)
from otlmc.networks.pruning import (
    iterative_magnitude_pruning,
    magnitude_masks,
    transport_masks,
)
from otlmc.networks.redundancy import pad, reduce_redundancy
from otlmc.prediction import predict_widths

Function = Callable[..., Any]
SAMPLES = 30


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the optimisers of torch choose the kernels that they choose on a GPU."""
    chooser = import_module("torch.optim.optimizer")
    for kernels, devices in (("fused", ["cpu", DEVICE.type]), ("foreach", [DEVICE.type])):
        name = f"_get_{kernels}_kernels_supported_devices"
        monkeypatch.setattr(chooser, name, lambda devices=devices: devices)
    monkeypatch.setattr(chooser, "_foreach_supported_types", [Tensor, There])


@pytest.fixture
def device() -> Iterator[SecondDevice]:
    with SecondDevice() as switched_on:
        yield switched_on


def moved(value: Any) -> Any:
    """Return networks, stacks or data on the second device."""
    if isinstance(value, list):
        return [moved(one) for one in value]
    return (copy.deepcopy(value) if isinstance(value, nn.Module) else value).to(DEVICE)


def same(found: Any, expected: Any, where: str = "result") -> None:
    """Assert equality to the last bit, precision included, and that tensors stayed there."""
    assert type(found) is (There if type(expected) is Tensor else type(expected)), where
    if isinstance(expected, Tensor):
        assert found.dtype == expected.dtype, where
        np.testing.assert_array_equal(found.cpu().numpy(), expected.numpy(), err_msg=where)
    elif isinstance(expected, nn.Module):
        same(dict(found.state_dict()), dict(expected.state_dict()), where)
    elif dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            if field.name != "seconds":
                pair = (getattr(x, field.name) for x in (found, expected))
                same(*pair, f"{where}.{field.name}")
    elif isinstance(expected, Mapping):
        assert list(found) == list(expected), where
        for key in expected:
            same(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for index, pair in enumerate(zip(found, expected, strict=True)):
            same(*pair, f"{where}[{index}]")
    elif isinstance(expected, float | np.ndarray):
        np.testing.assert_array_equal(found, expected, err_msg=where)
    else:
        assert found == expected, where


def test_mixed_operands_are_refused(device):
    there = torch.ones(3, 2).to(DEVICE)
    assert (there @ torch.ones(2, 1, device=DEVICE)).sum().item() == 6
    assert (there + torch.tensor(1.0)).sum().item() == 12  # numbers may come from the host
    for mix in (
        lambda: there + torch.ones(3, 2),
        lambda: there @ torch.ones(2, 1),
        lambda: torch.ones(3, 2).add_(there),
        lambda: nn.Linear(2, 1)(there),
        lambda: torch.cat([there, torch.ones(3, 2)]),
        lambda: torch.ones(3)[torch.zeros(2, dtype=torch.int64, device=DEVICE)],
    ):
        with pytest.raises(RuntimeError, match=r"two devices|on the same device"):
            mix()
    for host in (there.numpy, there.tolist, lambda: np.asarray(there)):
        with pytest.raises((RuntimeError, TypeError)):
            host()


def test_waits_are_written_down(device):
    there = torch.arange(4.0).to(DEVICE)
    rows = torch.tensor([0, 1])
    for wait in (
        there.cpu,
        lambda: rows.to(DEVICE),
        there.sum().item,
        lambda: bool((there > 0).all()),
        lambda: there[there > 1],
        lambda: there[rows],
        there.nonzero,
        lambda: torch.equal(there, there),
        lambda: there.copy_(torch.ones(4)),
    ):
        device.waits.clear()
        wait()
        assert len(device.waits) == 1
    device.waits.clear()
    there[rows.to(DEVICE, non_blocking=True)].square_().sum()
    assert device.waits == []


def mlps(dtype: torch.dtype) -> list[nn.Module]:
    return [mlp(6, 24, 24, 3, seed=seed, dtype=dtype) for seed in range(3)]


def of_pairs(function: Function, **options: Any) -> Function:
    return lambda nets, x, y: function(nets[0], nets[1], x, **options)


FUNCTIONS: dict[str, Function] = {
    f"match {name}": of_pairs(match, method=name)
    for name, method in METHODS.items()
    if name != "brute_force" and "labels" not in method.needs
}
FUNCTIONS |= {
    f"match {kind}": lambda nets, x, y, kind=kind: match(
        *nets[:2], x, labels=y, method=Relaxed(kind=kind, steps=3, every=2), rng=0, batch_size=16
    )
    for kind in ("sinkhorn", "straight_through")
}
FUNCTIONS |= {
    f"match covariance {sigma}": of_pairs(
        match, method=Covariance(sigma=sigma, bias=True, outgoing=True)
    )
    for sigma in ("a", "b", "mean")
}
FUNCTIONS |= {
    f"match all {method}": lambda nets, x, y, method=method: match_all(
        nets, x, method=method, reference="universe"
    )
    for method in ("weight", "covariance", "activation_correlation")
}
FUNCTIONS |= {f"cost {space}": of_pairs(matching_costs, space=space) for space in SPACES}
FUNCTIONS |= {
    f"dimension {space}": lambda nets, x, y, space=space: layer_dimensions(nets[0], x, method=space)
    for space in SPACES
}
FUNCTIONS |= {
    f"path {kind}": lambda nets, x, y, kind=kind: path(
        *nets[:2], x, y, permutation=match(*nets[:2]), points=3, recalibrate=kind, batch_size=16
    )
    for kind in ("none", "repair")
}
FUNCTIONS |= {
    "match from starts": of_pairs(
        match, method=Weight(starts=("activation", "identity", "random")), rng=0
    ),
    "verify": lambda nets, x, y: verify(*nets[:2], match(*nets[:2]), x),
    "simplex": lambda nets, x, y: simplex(nets, x, y, resolution=2),
    "plane": lambda nets, x, y: plane(nets, x, y, resolution=3),
    "features": of_pairs(features, points=3),
    "certificate": of_pairs(certify, pieces=2, batch_size=16),
    "certified loss": lambda nets, x, y: certify(*nets[:2], x, pieces=2).loss_barrier(y),
    "prediction": lambda nets, x, y: predict_widths(*nets[:2], x, y, repetitions=2),
    "prediction on other data": lambda nets, x, y: predict_widths(
        *nets[:2], x, match_on=x[:20], repetitions=2
    ),
    "evaluation": lambda nets, x, y: evaluate(
        nets[0], x.to(next(nets[0].parameters()).dtype), y, batch_size=16
    ),
}


@contextmanager
def made_in(dtype: torch.dtype, device: SecondDevice) -> Iterator[None]:
    """Assert that nothing in between is less precise than ``dtype``."""
    device.made.clear()
    yield
    assert dtype == torch.float32 or torch.float32 not in device.made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_networks(name, dtype, device):
    """Data may be on the host, or there too."""
    networks, data_here = mlps(dtype), [gaussian(SAMPLES, 6), torch.arange(SAMPLES) % 3]
    expected = FUNCTIONS[name](networks, *data_here)
    given = data_here if dtype == torch.float64 else moved(data_here)
    with made_in(dtype, device):
        same(FUNCTIONS[name](moved(networks), *given), expected)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures(name, device):
    networks, inputs = [build(name, 0), build(name, 1)], gaussian(8, *ARCHITECTURES[name][1])
    expected = match(*networks, inputs, method="activation")
    with made_in(torch.float64, device):
        found = match(*moved(networks), inputs, method="activation")
        same(found, expected)
        same(found.permutation.apply(moved(networks)[1]), expected.permutation.apply(networks[1]))


@pytest.mark.parametrize("kind", ["none", "repair", "batchnorm"])
def test_recalibration(kind, device):
    name = "residual, BatchNorm"
    networks, inputs = [build(name, 0), build(name, 1)], gaussian(16, *ARCHITECTURES[name][1])
    options = {"permutation": match(*networks, inputs, method="covariance"), "points": 3}
    expected = path(*networks, inputs, torch.arange(16) % 4, recalibrate=kind, **options)
    with made_in(torch.float64, device):
        found = path(*moved(networks), inputs, torch.arange(16) % 4, recalibrate=kind, **options)
    same(found, expected)


def test_networks_on_two_devices(device):
    """A pair may have its networks on two devices: the second comes to the first."""
    (a, b, _), inputs, labels = mlps(torch.float32), gaussian(SAMPLES, 6), torch.arange(SAMPLES) % 3
    for name in ("match weight", "match covariance", "match activation", "verify", "prediction"):
        expected = FUNCTIONS[name]([a, b], inputs, labels)
        same(FUNCTIONS[name]([moved(a), b], inputs, labels), expected)
        same(FUNCTIONS[name]([a, moved(b)], inputs, labels), expected)
    expected = simplex([a, b], inputs, labels)
    same(simplex([moved(a), b], inputs, labels), expected)
    same(simplex([a, moved(b)], inputs, labels), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_stacks(dtype, device):
    stack = draw(Architecture(widths=(6, 10, 3), layer_norm=True), range(3))
    stack = Stack(stack.architecture, {name: t.to(dtype) for name, t in stack.tensors.items()})
    inputs, labels = gaussian(SAMPLES, 6, dtype=dtype), torch.arange(SAMPLES) % 3
    for function in (
        list,
        Stack.of,
        lambda networks: Stack.average([networks[:1], networks[1:2], networks[2:]]),
        lambda networks: Stack.concatenate([networks[1:], networks[:1]]),
        lambda networks: networks.clone().activations(inputs.to(networks.device)),
        lambda networks: evaluate(networks, inputs, labels),
        lambda networks: all_paths(networks, inputs, labels, points=3),
        lambda networks: all_paths(
            networks, inputs.to(networks.device), labels.to(networks.device), points=3
        ),
        lambda networks: magnitude_masks(networks, 0.5),
    ):
        expected = function(stack)
        with made_in(dtype, device):
            same(function(moved(stack)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_redundant_units(dtype, device):
    network = MLP(Architecture(widths=(6, 10, 3))).to(dtype)
    expected = reduce_redundancy(network, similarity=0.3)
    padded = pad(expected, 12)
    with made_in(dtype, device):
        same(reduce_redundancy(moved(network), similarity=0.3), expected)
        same(pad(moved(expected), 12), padded)


TRAINING = {
    "sgd": TrainConfig(optimiser="sgd", lr=(0.1, 0.05), schedule=Schedule(shape="onecycle")),
    "shared order": TrainConfig(optimiser="sgd", order_seed=0),
    "adamw": TrainConfig(optimiser="adamw", lr=0.01, weight_decay=0.1),
    "rmsprop": TrainConfig(optimiser="rmsprop", lr=0.001, schedule=Schedule(shape="cosine")),
    "adagrad": TrainConfig(optimiser="adagrad", lr=(0.01, 0.1)),
}


@pytest.mark.parametrize("config", [pytest.param(c, id=name) for name, c in TRAINING.items()])
@pytest.mark.parametrize("outputs", [1, 10])
def test_training(config, outputs, device):
    dataset = data.load("moons" if outputs == 1 else "digits")
    architecture = Architecture(widths=(dataset.input_dim, 8, outputs))
    config = dataclasses.replace(config, epochs=2, batch_size=200)
    masks = {"layers.0.weight": torch.arange(8 * dataset.input_dim).view(8, -1) % 3 > 0}

    def run(where: torch.device | str) -> Any:
        options = {"masks": masks, "checkpoints": [0, 3], "device": where, "chunk": 1}
        return train(architecture, dataset, config, [3, 4], **options)

    found, expected = run(DEVICE), run("cpu")
    if config.optimiser != "adagrad":  # torch has another kernel for it on a GPU
        same(found, expected)
    for networks in (found.stack, *found.checkpoints.values()):
        assert networks.device == DEVICE
    for name, tensor in expected.stack.tensors.items():
        torch.testing.assert_close(found.stack.tensors[name].cpu(), tensor)


@pytest.mark.parametrize("config", [pytest.param(c, id=name) for name, c in TRAINING.items()])
def test_steps_of_training_do_not_wait(config, device):
    """The host waits before and after training, however many steps lie between."""
    dataset, architecture = data.load("moons"), Architecture(widths=(2, 8, 1))
    masks = {"layers.0.weight": torch.ones(8, 2, dtype=torch.bool)}
    waits = []
    for epochs, batch_size in ((1, 256), (1, 64), (4, 64)):
        device.waits.clear()
        longer = dataclasses.replace(config, epochs=epochs, batch_size=batch_size)
        train(architecture, dataset, longer, [0, 1], masks=masks, checkpoints=[1], device=DEVICE)
        waits.append(list(device.waits))
    assert waits[0] == waits[1] == waits[2]


def test_pruning(device):
    dataset, config = data.load("moons"), TrainConfig(epochs=1, batch_size=200)
    found, expected = (
        iterative_magnitude_pruning(
            Architecture(widths=(2, 8, 8, 1)),
            *(dataset, config, [0, 1]),
            levels=2,
            rewind_step=1,
            device=where,
        )
        for where in (DEVICE, "cpu")
    )
    same(found, expected)
    carried = [
        transport_masks(
            {name: mask[0] for name, mask in level.masks.items()},
            match(*level.result.stack).permutation,
        )
        for level in (found[-1], expected[-1])
    ]
    same(*carried)
