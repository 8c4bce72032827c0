"""Many paths at once: the numbers are those of one path after the other."""

from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
import torch
from small_networks import gaussian
from torch import Tensor

from otlmc.connectivity import all_paths, path
from otlmc.matching import Permutation, infer_spec
from otlmc.networks import MLP, Architecture, Stack, draw

DEEP = Architecture(widths=(6, 9, 7, 5, 4), layer_norm=True)
FLAT = Architecture(widths=(2, 8, 1))
MEASURES = (
    *("loss_barrier", "error_barrier", "epsilon_loss", "epsilon_error"),
    *("midpoint_loss", "midpoint_error"),
)


def copies(architecture: Architecture, count: int, *, noise: float = 0.0) -> Stack:
    """Stack permuted copies of one network, in float64: their straight paths have barriers."""
    (network,) = draw(architecture, [5], initialisation="kaiming_normal")
    spec = infer_spec(network)
    states = [Permutation.random(spec, rng=k).apply(network.state_dict()) for k in range(count)]
    tensors = {name: torch.stack([s[name] for s in states]).double() for name in states[0]}
    noisy = {name: t + noise * gaussian(*t.shape, seed=7) for name, t in tensors.items()}
    return Stack(architecture, noisy)


def data(stack: Stack, samples: int = 50) -> tuple[Tensor, Tensor]:
    """Draw inputs; the labels are what the first network says."""
    inputs = gaussian(samples, stack.architecture.widths[0])
    logits = stack(inputs)[0]
    return inputs, (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)


def modules(stack: Stack) -> list[MLP]:
    networks = [network.double() for network in stack]
    for e, network in enumerate(networks):
        network.load_state_dict({name: tensor[e] for name, tensor in stack.tensors.items()})
    return networks


@pytest.mark.parametrize("architecture", [DEEP, FLAT])
def test_equals_path_on_every_pair(architecture: Architecture) -> None:
    stack = copies(architecture, 4, noise=0.05)
    inputs, labels = data(stack)
    networks = modules(stack)
    report = all_paths(stack, inputs, labels, points=5, batch_size=17)
    assert report.pairs.tolist() == [list(pair) for pair in combinations(range(4), 2)]
    for row, (i, j) in enumerate(report.pairs):
        alone = path(networks[i], networks[j], inputs, labels, points=5)
        np.testing.assert_allclose(report.loss[row], alone.loss, rtol=1e-10)
        np.testing.assert_allclose(report.error[row], alone.error, rtol=1e-10)
        for name in MEASURES:
            expected = getattr(alone, name)
            np.testing.assert_allclose(getattr(report, name)[row], expected, rtol=1e-8, atol=1e-12)
    assert (report.epsilon_loss > 0).any() and (report.samples, report.on) == (50, "test")


def test_parts_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = copies(DEEP, 5, noise=0.05)
    inputs, labels = data(stack)
    whole = all_paths(stack, inputs, labels)
    # the package exports the function under the name of its module
    monkeypatch.setattr(import_module("otlmc.connectivity.all_paths"), "CHUNK", 1)
    single = all_paths(stack, inputs, labels, batch_size=7)
    np.testing.assert_allclose(single.loss, whole.loss, rtol=1e-12)
    np.testing.assert_array_equal(single.pairs, whole.pairs)


def test_chosen_pairs_and_the_matrix() -> None:
    stack = copies(FLAT, 4, noise=0.05)
    inputs, labels = data(stack)
    every = all_paths(stack, inputs, labels, on="train")
    some = all_paths(stack, inputs, labels, pairs=[(2, 0), (1, 3)])
    # (2, 0) runs backwards
    np.testing.assert_allclose(some.loss[0], every.loss[1][::-1], rtol=1e-12)
    matrix = every.matrix("epsilon_loss")
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diag(matrix) == 0).all() and every.on == "train"
    np.testing.assert_array_equal(matrix[np.triu_indices(4, 1)], every.epsilon_loss)
    part = some.matrix("loss_barrier")
    assert np.isnan(part[0, 1]) and part[0, 2] == some.loss_barrier[0]


def test_permuted_copies_are_connected_once_moved_back() -> None:
    moved = copies(DEEP, 3)
    inputs, labels = data(moved)
    spec = infer_spec(MLP(DEEP))
    states = [
        Permutation.random(spec, rng=k).inverse().apply({n: t[k] for n, t in moved.tensors.items()})
        for k in range(3)
    ]
    back = Stack(DEEP, {name: torch.stack([s[name] for s in states]) for name in states[0]})
    assert all_paths(moved, inputs, labels).loss_barrier.max() > 1e-3
    assert np.abs(all_paths(back, inputs, labels).loss_barrier).max() < 1e-12


def test_the_report_prints_and_records_medians() -> None:
    stack = copies(FLAT, 3)
    report = all_paths(stack, *data(stack), points=3)
    record = report.to_record()
    assert record["pairs"] == 3 and record["points"] == 3 and record["on"] == "test"
    assert record["median epsilon_loss"] == np.median(report.epsilon_loss)
    lines = str(report).splitlines()
    assert lines[0] == "3 paths on 50 test samples" and lines[2].startswith("loss barrier")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pairs": [(0, 3)]}, r"`pairs` must name networks 0..2, got 0..3"),
        ({"pairs": [(-1, 1)]}, r"`pairs` must name networks 0..2, got -1..1"),
        ({"pairs": [0, 1]}, r"`pairs` must be integers \(pairs, 2\), got shape \(2,\)"),
        ({"pairs": [(0.0, 1.0)]}, "`pairs` must be integers"),
        ({"points": 4}, "`points` must be odd"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, r"got \(50, 2\) and \(3,\)"),
        ({"stack": draw(FLAT, [0])}, "at least 2 networks, got 1"),
        ({"stack": draw(Architecture(widths=(2, 1)), [0, 1])}, "must have a hidden layer"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    stack = copies(FLAT, 3)
    inputs, labels = data(stack)
    arguments = {"stack": stack, "inputs": inputs, "labels": labels} | change
    with pytest.raises(ValueError, match=message):
        all_paths(**arguments)  # type: ignore[arg-type]


def test_an_unknown_measure_is_refused() -> None:
    stack = copies(FLAT, 2)
    report = all_paths(stack, *data(stack))
    with pytest.raises(ValueError, match="`measure` must be one of 'loss_barrier'"):
        report.matrix("midpoint_loss")  # type: ignore[arg-type]
