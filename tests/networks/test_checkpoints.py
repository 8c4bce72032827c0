import dataclasses
import json

import pytest
import safetensors.torch
import torch

from otlmc.networks import Architecture, Schedule, TrainConfig, draw
from otlmc.networks.checkpoints import CheckpointError, load, save

SMALL = Architecture(widths=(5, 7, 6, 3), layer_norm=True)
CONFIG = TrainConfig(
    optimiser="adamw",
    lr=(0.1, 0.02),
    schedule=Schedule(shape="step", milestones=(2, 4)),
    order_seed=3,
)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "runs" / "zoo.safetensors"
    stack = draw(SMALL, [4, 5])
    save(path, stack, config=CONFIG, seeds=[4, 5], step=12)
    return path, stack


def test_what_is_written_is_read(saved):
    path, stack = saved
    found = load(path)
    assert (found.config, found.seeds, found.step) == (CONFIG, (4, 5), 12)
    assert found.stack.architecture == SMALL
    assert list(found.stack.tensors) == list(SMALL.shapes)
    for name, tensor in stack.tensors.items():
        assert torch.equal(tensor, found.stack.tensors[name])
    assert [file.name for file in path.parent.iterdir()] == ["zoo.safetensors"]


def test_part_of_a_stack_is_written_alone(tmp_path, saved):
    _, stack = saved
    save(tmp_path / "one", stack[1:], config=CONFIG, seeds=[5], step=0)
    assert torch.equal(load(tmp_path / "one").stack[0].layers[1].weight, stack[1].layers[1].weight)


def test_damaged_files_are_refused(saved):
    path, _ = saved
    intact = path.read_bytes()
    for damaged in (b"", b"plain text", intact[:40], intact[:-5], b"\xff" * 8 + intact[8:]):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"zoo\.safetensors is damaged"):
            load(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        load(path.with_name("absent"))


ABOUT = {
    "format": "otlmc-stack-1",
    "architecture": json.dumps(dataclasses.asdict(SMALL)),
    "config": json.dumps(dataclasses.asdict(CONFIG)),
    "seeds": "[4, 5]",
    "step": "0",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"architecture": '{"widths": [5, 7, 6, 3]}'}, "unknown tensors"),
        ({"architecture": '{"widths": [5, 7, 6, 4]}'}, "must have shape"),
        ({"architecture": "[1]"}, "damaged"),
        ({"config": '{"lr": 0.1}'}, "damaged"),
        ({"config": '{"lr": 0.1, "schedule": {}, "surprise": 1}'}, "surprise"),
        ({"config": '{"lr": -1.0, "schedule": {}}'}, "`lr` must be"),
        ({"seeds": "[4]"}, "1 seeds for 2 networks"),
        ({"step": "{"}, "damaged"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, message):
    path = tmp_path / "other.safetensors"
    tensors = dict(draw(SMALL, [4, 5]).tensors)
    path.write_bytes(safetensors.torch.save(tensors, metadata=ABOUT))
    assert load(path).step == 0
    path.write_bytes(safetensors.torch.save(tensors, metadata={**ABOUT, **change}))
    with pytest.raises(CheckpointError, match=message):
        load(path)


def test_a_failed_write_loses_nothing(saved, monkeypatch):
    path, stack = saved
    before = path.read_bytes()

    def full(self, content):
        with self.open("wb") as stream:
            stream.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match=r"cannot write .*zoo\.safetensors: No space left"):
        save(path, stack, config=CONFIG, seeds=[4, 5], step=13)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["zoo.safetensors"]


def test_one_seed_per_network_is_needed(tmp_path, saved):
    with pytest.raises(ValueError, match="`seeds` has 1 entries for 2 networks"):
        save(tmp_path / "x", saved[1], config=CONFIG, seeds=[4], step=0)
