"""Float32 answers as float64 does, and CUDA as the CPU, within the tolerances stated here."""

import copy

import numpy as np
import pytest
import torch
from architectures import ARCHITECTURES, build
from small_networks import digits, gaussian, trained

from otlmc import data
from otlmc.certificate import certify
from otlmc.connectivity import all_paths, features, path, plane, simplex
from otlmc.matching import match, match_all
from otlmc.networks import Architecture, TrainConfig, draw, train

EPS = float(torch.finfo(torch.float32).eps)
CLOSE = {"rtol": 16 * EPS, "atol": 16 * EPS}
"""Means of quantities of order 1 over samples: round-off through a few layers of float32."""
CLOSE_DEEP = {"rtol": 256 * EPS, "atol": 256 * EPS}
"""The same through layers that normalise; still a sixteenth of the round-off of TF32, 2^-11."""
EXACT = {"rtol": 1e-9, "atol": 1e-12}
"""What runs in float64 whatever the precision of the networks."""

cuda = (
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
)
PLACES = [
    pytest.param("cpu", torch.float32, id="float32"),
    pytest.param("cuda", torch.float32, id="cuda-float32", marks=cuda),
    pytest.param("cuda", torch.float64, id="cuda-float64", marks=cuda),
]
METHODS = ("weight", "weight_incoming", "covariance", "preactivation")
METHODS += ("activation", "activation_centred", "activation_correlation")


@pytest.fixture(autouse=True)
def without_tf32():
    """Compute products in full: the environment can allow TF32, as PyTorch does in convolutions."""
    products = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_float32_matmul_precision(products)


@pytest.fixture(scope="module")
def networks():
    """Three trained networks of float32 numbers, in float64."""
    return [copy.deepcopy(trained(seed, width=24, epochs=8)).double() for seed in range(3)]


@pytest.fixture(scope="module")
def samples():
    _, _, inputs, labels = digits()
    return inputs[:200].double(), labels[:200]


def placed(networks, device, dtype):
    return [copy.deepcopy(network).to(device, dtype) for network in networks]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_matchings(networks, samples, device, dtype, method):
    """The same permutation, where it is the only best one."""
    a, b, _ = networks
    expected = match(a, b, samples[0], method=method)
    found = match(*placed([a, b], device, dtype), samples[0], method=method)
    if method.startswith("activation"):
        # Units that never fire together score 0, and an assignment may choose among them: what was
        # found in float32 is as good as the best in float64, which has nothing to gain over it.
        again = match(a, found.permutation.apply(b), samples[0], method=method)
        assert sum(again.gain.values()) <= 16 * EPS * expected.total
    else:
        assert found.permutation == expected.permutation
    assert found.sweeps == expected.sweeps
    np.testing.assert_allclose(found.total, expected.total, rtol=16 * EPS)
    aligned = found.permutation.apply(placed([b], device, dtype)[0])
    assert next(aligned.parameters()).device.type == device


@pytest.mark.parametrize("method", ["weight", "covariance"])
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_joint_matchings(networks, samples, device, dtype, method):
    """Methods without the ties of activations: each of them would lead to another sum."""
    expected = match_all(networks, samples[0], method=method, reference="universe")
    moved = placed(networks, device, dtype)
    found = match_all(moved, samples[0], method=method, reference="universe")
    assert found.permutations == expected.permutations
    np.testing.assert_allclose(found.trace, expected.trace, rtol=16 * EPS)
    assert found.converged and expected.converged


def agree(found, expected, names, samples, close=CLOSE):
    """Assert equal measures; an error rate may differ by one sample whose margin is round-off."""
    for name in names:
        tolerance = {"rtol": 0, "atol": 1 / samples} if "error" in name else close
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), **tolerance, err_msg=name
        )


@pytest.mark.parametrize("recalibrate", ["none", "repair"])
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_paths(networks, samples, device, dtype, recalibrate):
    a, b, _ = networks
    permutation = match(a, b).permutation
    measured = [
        path(*ends, *samples, permutation=permutation, points=5, recalibrate=recalibrate)
        for ends in (placed([a, b], device, dtype), (a, b))
    ]
    names = ("loss", "error", "deviation", "calibrated_loss", "loss_barrier", "epsilon_loss")
    agree(*measured, names, len(samples[1]))


@pytest.mark.parametrize("recalibrate", ["none", "batchnorm"])
@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_convolutions(device, dtype, recalibrate):
    name = "residual, BatchNorm"
    pair = [build(name, seed).float().double() for seed in range(2)]
    inputs, labels = (
        gaussian(64, *ARCHITECTURES[name][1], dtype=torch.float32),
        torch.arange(64) % 4,
    )
    expected = match(*pair, inputs, method="covariance").permutation
    assert match(*placed(pair, device, dtype), inputs, method="covariance").permutation == expected
    measured = [
        path(*ends, inputs, labels, permutation=expected, points=5, recalibrate=recalibrate)
        for ends in (placed(pair, device, dtype), pair)
    ]
    names = ("loss", "error", "deviation", "loss_barrier")
    agree(*measured, names, len(labels), close=CLOSE_DEEP)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_simplices_and_planes(networks, samples, device, dtype):
    for measure in (simplex, plane):
        measured = [
            measure(nets, *samples, resolution=3)
            for nets in (placed(networks, device, dtype), networks)
        ]
        agree(*measured, ("loss", "error"), len(samples[1]))


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_features(networks, samples, device, dtype):
    a, b, _ = networks
    expected = features(a, b, samples[0], points=5)
    found = features(*placed([a, b], device, dtype), samples[0], points=5)
    for layer in expected.cosine:
        # The deviation at the ends is 0, and round-off of the features themselves in float32.
        np.testing.assert_allclose(found.deviation[layer], expected.deviation[layer], **CLOSE)
        np.testing.assert_allclose(found.cosine[layer], expected.cosine[layer], **CLOSE)


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_certificates(networks, samples, device, dtype):
    """A certificate computes in float64, so that only the order of sums can differ."""
    a, b, _ = networks
    permutation = match(a, b).permutation
    expected = certify(a, b, samples[0], permutation=permutation)
    found = certify(*placed([a, b], device, dtype), samples[0], permutation=permutation)
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        np.testing.assert_allclose(ours.bound, theirs.bound, **EXACT)
        np.testing.assert_allclose(ours.measured, theirs.measured, **EXACT)
    for loss in (found, expected):
        assert loss.loss_barrier(samples[1]).holds(z=0)
    np.testing.assert_allclose(
        found.loss_barrier(samples[1]).upper, expected.loss_barrier(samples[1]).upper, **EXACT
    )


@pytest.mark.parametrize(("device", "dtype"), PLACES)
def test_all_paths(device, dtype):
    dataset = data.load("moons")
    stack = draw(Architecture(widths=(2, 16, 16, 1)), range(4))
    single, double = (
        all_paths(
            type(stack)(
                stack.architecture,
                {name: tensor.to(where, kind) for name, tensor in stack.tensors.items()},
            ),
            dataset.test_inputs.to(kind),
            dataset.test_labels,
            points=5,
        )
        for where, kind in ((device, dtype), ("cpu", torch.float64))
    )
    agree(single, double, ("loss", "error"), len(dataset.test_labels))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimiser", ["sgd", "adamw", "rmsprop", "adagrad"])
def test_training(optimiser):
    """A short run: the same initialisation and batches, so that only round-off can differ.

    The activation is smooth: round-off that carries an example across a kink is not small for long.
    """
    config = TrainConfig(optimiser=optimiser, lr=0.01, batch_size=128, epochs=3)
    architecture = Architecture(widths=(2, 32, 1), activation="tanh")
    dataset = data.load("moons")
    runs = [train(architecture, dataset, config, [0, 1], device=d) for d in ("cpu", "cuda")]
    expected, found = ([network.state_dict() for network in run.stack] for run in runs)
    for ours, theirs in zip(found, expected, strict=True):
        for name in theirs:
            torch.testing.assert_close(ours[name].cpu(), theirs[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(runs[1].test_loss, runs[0].test_loss, rtol=1e-3)
