"""Run folders with damaged or foreign files: what cannot be trusted is computed again."""

import csv
import json
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import damaged
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otlmc import sweep


@dataclass(frozen=True)
class Config:
    width: int


CONFIGS = [Config(4), Config(8)]


def area(config):
    return [{"side": side, "area": side * config.width / 3, "note": None} for side in (1, 2)]


def run(folder, **options):
    sweep.run(area, CONFIGS, folder=folder, progress=False, **options)
    return (folder / "table.csv").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of a finished sweep: its table, one of its tasks and that task's bytes."""
    folder = tmp_path_factory.mktemp("run")
    table = run(folder)
    task = min(folder.glob("[!.]*.json"))
    return folder, table, task, task.read_bytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@settings(max_examples=80, deadline=None)
@given(
    content=st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"records": value}).encode())
)
@example(b"[" * 100_000)
@example(b'{"records": {}}')
@example(b'{"records": [{"width": 3}]}')
@example(b'{"records": [{"area": [1]}]}')
def test_what_is_no_record_is_computed_again(finished, content):
    folder, table, task, intact = finished
    task.write_bytes(content)
    kept = sweep._load(folder, task.stem, CONFIGS[0])
    if kept is None:
        assert run(folder, resume=True) == table
        assert json.loads(task.read_bytes())["records"] == json.loads(intact)["records"]
    else:
        assert all(isinstance(record, dict) and "width" not in record for record in kept)
        assert run(folder, resume=True)


@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_a_damaged_file_never_ends_a_sweep(finished, draw):
    folder, table, task, intact = finished
    task.write_bytes(draw.draw(damaged(intact)))
    assert run(folder, resume=True)
    task.write_bytes(intact)
    assert run(folder, resume=True) == table


TEXT = string.printable.replace("\r", "") + "äΣ\u2028"
CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(TEXT, min_size=1)
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(CELLS, min_size=1, max_size=6))
@example([0.1, 1e-320, -0.0, float("inf"), 2**70, 'say "a, b"', "two\nlines", "#", "1e5"])
def test_the_table_is_read_back_as_it_was(values):
    """Whatever text or number is in a cell, any reader of CSV finds the same cells."""

    def task(config):
        return [{"value": value} for value in values]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sweep.run(task, CONFIGS[:1], folder=folder, progress=False)
        before = (folder / "table.csv").read_bytes()
        with (folder / "table.csv").open(newline="", encoding="utf-8") as stream:
            rows = [row["value"] for row in csv.DictReader(stream)]
        sweep.run(task, CONFIGS[:1], folder=folder, progress=False, resume=True)
        assert (folder / "table.csv").read_bytes() == before
    assert len(rows) == len(values)
    for value, cell in zip(values, rows, strict=True):
        if isinstance(value, str):
            assert cell == value
        elif isinstance(value, float):
            assert float(cell) == value
        elif value is not None:
            assert cell in (str(value), str(float(value)))
