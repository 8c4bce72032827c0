"""The shared command line: options, messages, exit codes, outputs."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pandas as pd
import pytest
from matplotlib import pyplot

from otlmc import cli, plotting
from otlmc._files import replacing

TABLE = pd.DataFrame({"name": ["a", "b"], "value": [0.1, None], "count": [1, 2]})


@dataclass(frozen=True, kw_only=True)
class Program(cli.NetworkOptions):
    """Options of a program, with one of its own."""

    neurons: int = 3
    """Number of neurons."""


def parse(*args):
    """Return the options that a program receives."""
    received = []
    cli.run(received.append, Program, args=args)
    return received[0]


def refusal(capsys, code, *args, main=lambda options: None):
    with pytest.raises(SystemExit) as ended:
        cli.run(main, Program, args=args)
    assert ended.value.code == code
    output = capsys.readouterr()
    assert not output.out
    assert "Traceback" not in output.err
    return " ".join(output.err.replace("│", " ").split())


def test_options():
    assert parse() == Program()
    assert parse(
        "--preset", "full", "--seed", "7", "--jobs", "2", "--resume", "--neurons", "5"
    ) == (Program(preset="full", seed=7, jobs=2, resume=True, neurons=5))
    assert parse("--device", "cpu").torch_device.type == "cpu"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--seed", "-1"], "--seed must be at least 0 and below 2**32, got -1"),
        (["--seed", str(2**32)], "--seed must be at least 0 and below 2**32"),
        (["--seed", "one"], "--seed"),
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["--preset", "slow"], "--preset"),
        (["--dataset", "imagenet"], "'digits'"),
        (["--device", "abacus"], "--device must be cpu, cuda or cuda:N, got 'abacus'"),
        (["--device", "meta"], "--device must be cpu, cuda or cuda:N, got 'meta'"),
        (["--device", "cuda:999"], "--device cuda:999 cannot be used"),
        (["--data-dir", "no/such/folder"], "--data-dir must be an existing folder"),
        (["--scheduler", "localhost"], "--scheduler must be like tcp://host:port"),
        (["--out", __file__], "--out must be a folder"),
        (["--unknown"], "--unknown"),
    ],
)
def test_bad_values_end_with_a_message(capsys, args, message):
    assert message in refusal(capsys, 2, *args)


def test_a_scheduler_without_dask_is_refused(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = refusal(capsys, 2, "--scheduler", "tcp://127.0.0.1:9")
    assert "--scheduler needs dask: pip install 'otlmc[cluster]'" in refused


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (cli.DataError("no MNIST here"), 2, "error: no MNIST here"),
        (OSError("cannot write x"), 1, "error: cannot write x"),
        (cli.SweepError("2 tasks failed"), 1, "error: 2 tasks failed"),
        (KeyboardInterrupt(), 130, "error: interrupted; --resume goes on from here"),
    ],
)
def test_what_the_user_can_mend_shows_no_traceback(capsys, error, code, message):
    def main(options):
        raise error

    assert refusal(capsys, code, main=main) == message


def test_a_defect_shows_its_traceback():
    def main(options):
        raise IndexError

    with pytest.raises(IndexError):
        cli.run(main, Program, args=[])


def test_help_is_the_docstring():
    program = (
        "from otlmc import cli\n"
        "def main(options):\n"
        "    '''Measure the bounds.'''\n"
        "cli.run(main, cli.NetworkOptions, args=['--help'])\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.returncode == 0
    for words in (
        "Measure the bounds.",
        "--dataset",
        "--device",
        "--jobs",
        "Seed of all randomness",
    ):
        assert words in shown.stdout


def test_manifest_says_what_made_the_table_and_no_path(tmp_path):
    entries = cli.manifest(Program(seed=3, out=tmp_path, device="cpu"), seconds=1.234, data="d")
    assert entries["config"]["seed"] == 3
    assert (entries["data"], entries["wall_seconds"]) == ("d", 1.23)
    assert entries["device"].startswith("cpu")
    assert set(entries["versions"]) == {"python", *cli.PACKAGES}
    assert str(tmp_path) not in json.dumps(entries)
    assert cli.manifest(cli.Options(), seconds=0)["device"].startswith("cpu")


def test_outputs(tmp_path, capsys):
    out = tmp_path / "deep" / "folder"
    drawn = []
    for _ in range(2):
        figure, (ax,) = plotting.panels(1, 1)
        ax.plot([1, 2], [3, 4])
        cli.write_outputs(out, TABLE, {"seed": 1}, figure, summary=TABLE)
        drawn.append((out / "figure.pdf").read_bytes())
    assert drawn[0] == drawn[1]  # a PDF without the time at which it was made
    assert not pyplot.get_fignums()
    assert (out / "table.csv").read_bytes() == b"name,value,count\na,0.1,1\nb,,2\n"
    assert json.loads((out / "manifest.json").read_text()) == {"seed": 1}
    names = ["figure.pdf", "figure.png", "manifest.json", "table.csv"]
    assert sorted(path.name for path in out.iterdir()) == names
    shown = capsys.readouterr().out
    assert "value" in shown and "0.1" in shown and "table.csv" in shown


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(OSError, match=r"cannot write .*table\.csv: No space"), replacing(path):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_out_below_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*table\.csv"):
        cli.write_outputs(tmp_path / "file" / "out", TABLE, {})
