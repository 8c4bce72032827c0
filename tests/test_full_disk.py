"""A disk that is really full: a file system of 64 kB in memory, in a namespace of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import subprocess, sys
from pathlib import Path
import pandas as pd
from otlmc import cli, sweep
from otlmc.matching import Permutation, PermutationSpec
from otlmc.networks import MLP, Architecture, TrainConfig, checkpoints, draw
from sweep_program import CONFIGS

disk, roomy = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)

def task(config):
    return [{"text": f"{config.width:05d}{config.seed}" * 2000}]

def refusal(action, name):
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    try:
        action()
    except OSError as error:
        assert str(error) == f"cannot write {disk / name}: No space left on device", error
    else:
        raise AssertionError(f"{name} was written")
    assert before == {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}

# Small files that are there before the disk is full.
small, large = Architecture(widths=(2, 3, 1)), Architecture(widths=(100, 200, 100))
def save(architecture, step):
    stack = draw(architecture, [0])
    checkpoints.save(disk / "net", stack, config=TrainConfig(), seeds=[0], step=step)
save(small, 1)
axes = {"layers.0.weight": ["h"], "layers.0.bias": ["h"], "layers.1.weight": [None, "h"]}
def permutation(widths):
    spec = PermutationSpec.from_axes(axes, MLP(Architecture(widths=widths)))
    return Permutation.identity(spec)
permutation((2, 3, 1)).save(disk / "perm")
cli.write_outputs(disk / "out", pd.DataFrame({"value": [1]}), {"seed": 1})

def run(folder, resume=False):
    return sweep.run(task, CONFIGS, folder=folder, progress=False, resume=resume)

try:
    run(disk / "run")
except OSError as error:
    assert str(error).startswith(f"cannot write {disk / 'run'}"), error
    assert str(error).endswith("No space left on device"), error
else:
    raise AssertionError("the sweep did not fill the disk")
kept = [path for path in (disk / "run").iterdir()]
assert 0 < len(kept) < len(CONFIGS)
assert not [path for path in kept if path.name.startswith(".")]
times = {path: path.stat().st_mtime_ns for path in kept}

refusal(lambda: save(large, 2), "net")
assert checkpoints.load(disk / "net").step == 1
refusal(lambda: permutation((2, 9000, 1)).save(disk / "perm"), "perm")
assert len(Permutation.load(disk / "perm")["h"]) == 3
table = pd.DataFrame({"value": range(20_000)})
refusal(lambda: cli.write_outputs(disk / "out", table, {}), "out/table.csv")

subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
run(disk / "run", resume=True)
run(roomy)
assert (disk / "run" / "table.csv").read_bytes() == (roomy / "table.csv").read_bytes()
assert times == {path: path.stat().st_mtime_ns for path in kept}
print("nothing was lost")
"""
ALONE = ("unshare", "--user", "--map-root-user", "--mount")


def can_mount(folder: Path) -> bool:
    mount = [*ALONE, "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        return subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_a_full_disk_costs_nothing_that_was_there(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("this system lets no user mount a file system of their own")
    program = [sys.executable, "-W", "error", "-c", PROGRAM, str(disk), str(tmp_path / "roomy")]
    run = subprocess.run(
        [*ALONE, *program], capture_output=True, text=True, cwd=Path(__file__).parent, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "nothing was lost"
