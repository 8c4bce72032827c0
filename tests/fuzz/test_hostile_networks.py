"""Damaged files of networks and permutations: read as they are meant, or refused by name."""

import json
import struct

import pytest
import safetensors.torch
import torch
from damage import damaged
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from otlmc.matching import Permutation, PermutationSpec
from otlmc.networks import Architecture, TrainConfig, checkpoints, draw

SMALL = Architecture(widths=(2, 3, 1))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The bytes of a checkpoint and of a permutation."""
    folder = tmp_path_factory.mktemp("saved")
    stack = draw(SMALL, [0, 1])
    checkpoints.save(folder / "net", stack, config=TrainConfig(), seeds=[0, 1], step=5)
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    axes = {"0.weight": ["h"], "0.bias": ["h"], "2.weight": [None, "h"]}
    perm = Permutation(PermutationSpec.from_axes(axes, network), {"h": [2, 0, 1]})
    perm.save(folder / "perm")
    return folder


def refused(read, path, content, error):
    """Whether the reader refuses the content; if so, by an error that names the file."""
    path.write_bytes(content)
    try:
        read(path)
    except error as refusal:
        assert str(path) in str(refusal)
        assert len(str(refusal)) < 1000
        return True
    return False


@settings(max_examples=150, deadline=None)
@given(draw=st.data())
def test_damaged_checkpoints(saved, draw):
    content = draw.draw(damaged((saved / "net").read_bytes(), header=700))
    if not refused(checkpoints.load, saved / "copy.net", content, checkpoints.CheckpointError):
        found = checkpoints.load(saved / "copy.net")
        assert len(found.stack) == len(found.seeds)


@settings(max_examples=150, deadline=None)
@given(draw=st.data())
def test_damaged_permutations(saved, draw):
    content = draw.draw(damaged((saved / "perm").read_bytes(), header=600))
    if not refused(Permutation.load, saved / "copy.perm", content, ValueError):
        found = Permutation.load(saved / "copy.perm")
        assert all(sorted(found[g]) == list(range(n)) for g, n in found.spec.sizes.items())


NOTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    NOTHING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(field=st.sampled_from(["architecture", "config", "seeds", "step"]), value=JSON)
@example("step", float("inf"))
@example("seeds", [1.5, float("nan")])
@example("seeds", {"0": 1, "1": 2})
@example("architecture", {"widths": [2, 3, True]})
@example("config", {"schedule": {"shape": ["cosine"]}})
@example("config", {"schedule": {}, "lr": "0.1"})
def test_checkpoints_with_any_json_inside(saved, field, value):
    with safetensors.safe_open(saved / "net", framework="pt") as file:
        about = file.metadata() | {field: json.dumps(value)}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content = safetensors.torch.save(tensors, metadata=about)
    if not refused(checkpoints.load, saved / "json.net", content, checkpoints.CheckpointError):
        found = checkpoints.load(saved / "json.net")
        assert found.step >= 0 and len(found.seeds) == 2


@settings(max_examples=150, deadline=None)
@given(part=st.sampled_from(["", "sizes", "axes", "layers", "blocks"]), value=JSON)
@example("blocks", {"h": 0})
@example("layers", {"name": "x"})
@example("sizes", {"h": 2.5})
@example("axes", {"0.weight": [{"group": "other", "dim": 0}]})
def test_permutations_with_any_json_inside(saved, part, value):
    with safetensors.safe_open(saved / "perm", framework="pt") as file:
        spec = json.loads(file.metadata()["spec"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = {**spec, part: value} if part else value
    content = safetensors.torch.save(tensors, metadata={"spec": json.dumps(changed)})
    if not refused(Permutation.load, saved / "json.perm", content, ValueError):
        found = Permutation.load(saved / "json.perm")
        assert found["h"].tolist() == [2, 0, 1]


@pytest.mark.parametrize("read", [checkpoints.load, Permutation.load])
def test_a_file_that_cannot_be_opened_says_so_itself(tmp_path, read):
    with pytest.raises(FileNotFoundError, match="absent"):
        read(tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool])
def test_tensors_that_are_no_weights(saved, dtype):
    with safetensors.safe_open(saved / "net", framework="pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name).to(dtype) for name in file.keys()}  # noqa: SIM118
    content = safetensors.torch.save(tensors, metadata=about)
    assert refused(checkpoints.load, saved / "int.net", content, checkpoints.CheckpointError)


def test_the_length_of_the_header_is_not_believed(saved):
    body = (saved / "net").read_bytes()[8:]
    for length in (0, 1, len(body), len(body) + 1, 2**31, 2**63, 2**64 - 1):
        content = struct.pack("<Q", length) + body
        assert refused(checkpoints.load, saved / "long", content, checkpoints.CheckpointError)
        assert refused(Permutation.load, saved / "long", content, ValueError)
