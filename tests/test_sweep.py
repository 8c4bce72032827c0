"""Sweeps: the same table for any workers, and nothing lost when they or the sweep die."""

import csv
import functools
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sweep_program
import torch
from sweep_program import CONFIGS, Config, deadly, failing, spectrum, torch_threads

from otlmc import sweep

run = functools.partial(sweep.run, progress=False)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The bytes of the table of one worker."""
    folder = tmp_path_factory.mktemp("one")
    run(spectrum, CONFIGS, folder=folder)
    return (folder / "table.csv").read_bytes()


@pytest.fixture(scope="module")
def cluster():
    """Yield the address of a cluster that can lose workers.

    Dask now and then fails to replace a worker that was killed. So there are more workers than the
    tests kill: of every task that dies with its worker, the first is enough.
    """
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


def finished(folder):
    return sorted(path.stem for path in folder.glob("[!.]*.json"))


def test_the_table_is_tidy_and_exact(tmp_path):
    table = run(spectrum, CONFIGS, folder=tmp_path)
    columns = ["width", "seed", "shape", "layer", "value", "single", "note"]
    assert list(table.columns) == columns
    assert list(table["seed"]) == [config.seed for config in CONFIGS for _ in range(2)]
    assert set(table["shape"]) == {"2 3"}
    assert table["value"][0] == next(spectrum(CONFIGS[0]))["value"]
    with (tmp_path / "table.csv").open(newline="") as stream:
        written = [float(row["value"]) for row in csv.DictReader(stream) if row["value"]]
    assert written == list(table["value"].dropna())
    assert len(finished(tmp_path)) == len(CONFIGS)


@pytest.mark.parametrize("jobs", [2, 4])
def test_workers_leave_the_bytes_alone(tmp_path, expected, jobs):
    run(spectrum, CONFIGS, folder=tmp_path, jobs=jobs)
    assert (tmp_path / "table.csv").read_bytes() == expected


def test_a_cluster_leaves_the_bytes_alone(tmp_path, expected, cluster):
    run(spectrum, CONFIGS, folder=tmp_path, scheduler=cluster)
    assert (tmp_path / "table.csv").read_bytes() == expected


def test_resume_computes_only_what_is_missing(tmp_path, expected):
    run(spectrum, CONFIGS[:7], folder=tmp_path)
    calls = []

    def counted(config):
        calls.append(config)
        return spectrum(config)

    (tmp_path / f"{finished(tmp_path)[0]}.json").write_text('{"records": [')  # damaged
    run(counted, CONFIGS, folder=tmp_path, resume=True)
    assert len(calls) == len(CONFIGS) - 7 + 1
    assert (tmp_path / "table.csv").read_bytes() == expected
    run(counted, CONFIGS, folder=tmp_path)
    assert len(calls) == 2 * len(CONFIGS) - 6


def running(session):
    """Return the processes of a session, those left out that wait to be reaped."""
    listed = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [pid for pid, sess, state in rows if sess == str(session) and state[0] != "Z"]


def test_workers_end_with_a_sweep_that_is_killed(tmp_path):
    program = [sys.executable, sweep_program.__file__, str(tmp_path), "2"]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        wait_until(lambda: finished(tmp_path))
        assert len(running(process.pid)) > 2
        process.kill()
    wait_until(lambda: not running(process.pid))


def wait_until(happened):
    """Wait at most a minute."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_killed_sweep_resumes_to_the_same_table(tmp_path, expected, jobs):
    program = [sys.executable, sweep_program.__file__, str(tmp_path), str(jobs)]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: finished(tmp_path))
        time.sleep(np.random.default_rng().uniform(0, 0.3))  # a random moment
        process.kill()
    kept = finished(tmp_path)
    assert 0 < len(kept) < len(CONFIGS)
    before = {key: (tmp_path / f"{key}.json").stat().st_mtime_ns for key in kept}
    subprocess.run([*program, "--resume"], check=True)
    assert (tmp_path / "table.csv").read_bytes() == expected
    for key, moment in before.items():
        assert (tmp_path / f"{key}.json").stat().st_mtime_ns == moment


@pytest.mark.parametrize("place", ["this machine", "cluster"])
def test_a_killed_worker_costs_nothing(tmp_path, expected, place, request):
    workers = (
        {"jobs": 3}
        if place == "this machine"
        else {"scheduler": request.getfixturevalue("cluster")}
    )
    trap = tmp_path / "trap"
    trap.mkdir()
    run(functools.partial(deadly, trap=trap, times=1), CONFIGS, folder=tmp_path / "out", **workers)
    assert len(list(trap.iterdir())) == 1
    assert (tmp_path / "out" / "table.csv").read_bytes() == expected


@pytest.mark.parametrize("place", ["this machine", "cluster"])
def test_a_task_that_always_kills_its_worker_is_reported(tmp_path, expected, place, request):
    workers = (
        {"jobs": 3}
        if place == "this machine"
        else {"scheduler": request.getfixturevalue("cluster")}
    )
    trap = tmp_path / "trap"
    trap.mkdir()
    task = functools.partial(deadly, trap=trap, times=10**6)
    with pytest.raises(sweep.SweepError, match="1 of 12 tasks failed") as caught:
        run(task, CONFIGS, folder=tmp_path / "out", **workers)
    assert str(CONFIGS[5]) in str(caught.value)
    assert len(finished(tmp_path / "out")) == len(CONFIGS) - 1
    run(spectrum, CONFIGS, folder=tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "table.csv").read_bytes() == expected


@pytest.mark.parametrize("jobs", [1, 2])
def test_failures_are_collected(tmp_path, expected, jobs):
    with pytest.raises(sweep.SweepError, match="4 of 12 tasks failed") as caught:
        run(failing, CONFIGS, folder=tmp_path, jobs=jobs)
    assert "Config(width=64, seed=3, shape=(2, 3)): RuntimeError: diverged at seed 3" in str(
        caught.value
    )
    report = tmp_path / "failures.txt"
    assert report.read_text().count("Traceback") == 4
    rows = pd.read_csv(tmp_path / "table.csv")
    assert sorted(set(rows["width"])) == [8, 200]
    run(spectrum, CONFIGS, folder=tmp_path, resume=True)
    assert (tmp_path / "table.csv").read_bytes() == expected
    assert not report.exists()


def test_a_long_list_of_failures_is_cut(tmp_path):
    configs = [Config(64, seed) for seed in range(8)]
    with pytest.raises(sweep.SweepError, match=r"\.\.\. and 3 more"):
        run(failing, configs, folder=tmp_path)


def test_a_file_that_cannot_grow_is_named_and_the_finished_tasks_stay(tmp_path):
    """As on a full disk: records of 4 kB go beyond the largest file that the process may write."""
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from otlmc import cli, sweep\n"
        "from sweep_program import CONFIGS\n"
        "def task(config):\n"
        "    return [{'text': 'x' * (10 if config.seed < 2 else 4000)}]\n"
        "def main(options):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "    sweep.run(task, CONFIGS, folder=options.out, progress=False)\n"
        "cli.run(main, cli.Options, args=['--out', sys.argv[1]])\n"
    )
    here = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=here
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot write")
    assert "File too large" in ended.stderr
    assert len(finished(tmp_path)) == 2
    assert not list(tmp_path.glob(".*"))  # no half-written file is left


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "pigeon://loft"])
def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch, address):
    _cluster = pytest.importorskip("otlmc._cluster")
    monkeypatch.setattr(_cluster, "_CONNECT_SECONDS", 1)
    with pytest.raises(ConnectionError, match=f"no dask scheduler answers at {address}"):
        run(spectrum, CONFIGS, folder=tmp_path, scheduler=address)


@contextmanager
def dask_program(name, *args):
    """Run a scheduler or a worker that can import the tasks, until it is killed."""
    program = [sys.executable, "-m", f"distributed.cli.dask_{name}", *args]
    program += ["--host", "127.0.0.1", "--no-dashboard"]
    here = Path(__file__).parent
    with subprocess.Popen(program, stderr=subprocess.DEVNULL, cwd=here) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def dask_scheduler(tmp_path):
    """Run a scheduler; yield its process and its address."""
    pytest.importorskip("distributed")
    contact = tmp_path / "scheduler.json"
    with dask_program("scheduler", "--port", "0", "--scheduler-file", str(contact)) as process:
        wait_until(contact.exists)
        yield process, json.loads(contact.read_text())["address"]


def dask_worker(address):
    return dask_program("worker", address, "--no-nanny", "--nthreads", "1")


@contextmanager
def once(happened, action):
    """Do something beside a sweep, when something has happened."""

    def wait():
        wait_until(happened)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def once_some_are_finished(folder, action):
    return once(lambda: len(finished(folder)) >= 3, action)


slow = functools.partial(spectrum, wait=0.2)


def test_a_scheduler_without_workers_and_then_lost_is_named(tmp_path, capsys):
    with (
        dask_scheduler(tmp_path) as (process, address),
        once(lambda: f"no worker is at {address} yet" in capsys.readouterr().err, process.kill),
        pytest.raises(ConnectionError, match=f"lost the dask scheduler at {address}; 12 tasks"),
    ):
        run(spectrum, CONFIGS, folder=tmp_path / "out", scheduler=address)


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_scheduler_that_is_lost_in_mid_run_costs_nothing(
    tmp_path, expected, end, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("distributed"), "propagate", True)
    out = tmp_path / "out"
    with (
        dask_scheduler(tmp_path) as (process, address),
        dask_worker(address),
        once_some_are_finished(out, getattr(process, end)),
        pytest.raises(ConnectionError, match=f"lost the dask scheduler at {address}") as caught,
    ):
        run(slow, CONFIGS, folder=out, scheduler=address)
    kept = len(finished(out))
    assert 3 <= kept < len(CONFIGS)
    assert f"{len(CONFIGS) - kept} tasks are left, all others are kept" in str(caught.value)
    assert not caplog.records  # dask's tracebacks would hide the message
    run(spectrum, CONFIGS, folder=out, resume=True)
    assert (out / "table.csv").read_bytes() == expected


def test_a_cluster_that_loses_all_workers_goes_on_with_the_next(tmp_path, expected, capsys):
    out = tmp_path / "out"
    with ExitStack() as stack:
        _, address = stack.enter_context(dask_scheduler(tmp_path))
        first = stack.enter_context(dask_worker(address))

        def replace():
            first.kill()
            wait_until(lambda: "no worker is left" in capsys.readouterr().err)
            stack.enter_context(dask_worker(address))

        with once_some_are_finished(out, replace):
            run(slow, CONFIGS, folder=out, scheduler=address)
    assert f"a worker has joined {address}: the sweep goes on" in capsys.readouterr().err
    assert (out / "table.csv").read_bytes() == expected


def test_a_cluster_that_loses_all_workers_for_good_ends_the_sweep(tmp_path, expected, monkeypatch):
    _cluster = pytest.importorskip("otlmc._cluster")
    monkeypatch.setattr(_cluster, "_PATIENCE_SECONDS", 1)
    out = tmp_path / "out"
    with dask_scheduler(tmp_path) as (_, address), dask_worker(address) as worker:
        with (
            once_some_are_finished(out, worker.kill),
            pytest.raises(
                ConnectionError, match=f"{address} has had no worker for 1 s; [4-9] task"
            ),
        ):
            run(slow, CONFIGS, folder=out, scheduler=address)
        kept = {key: (out / f"{key}.json").stat().st_mtime_ns for key in finished(out)}
        with dask_worker(address):
            run(spectrum, CONFIGS, folder=out, scheduler=address, resume=True)
    assert len(kept) >= 3
    assert {key: (out / f"{key}.json").stat().st_mtime_ns for key in kept} == kept
    assert (out / "table.csv").read_bytes() == expected


def test_without_dask_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"otlmc\[cluster\]"):
        run(spectrum, CONFIGS, folder=tmp_path, scheduler="tcp://127.0.0.1:9")


def test_threads_of_the_caller_are_restored(tmp_path):
    from threadpoolctl import threadpool_info

    def threads():
        return [pool["num_threads"] for pool in threadpool_info()]

    before, inside = threads(), []
    run(lambda config: inside.append(threads()) or [], CONFIGS[:1], folder=tmp_path)
    assert set(inside[0]) == {1}
    assert threads() == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_torch_has_the_threads_of_the_task(tmp_path, jobs):
    own = torch.get_num_threads()
    for threads in (1, 2):
        table = run(torch_threads, CONFIGS[:4], folder=tmp_path, jobs=jobs, threads=threads)
        assert set(table["threads"]) == {threads}
    assert torch.get_num_threads() == own


@dataclass
class Thawed:
    width: int


@pytest.mark.parametrize(
    ("configs", "error", "message"),
    [
        ([CONFIGS[0], CONFIGS[0]], ValueError, "`configs` must all be different"),
        ([Thawed(1)], TypeError, "Thawed is not"),
        ([{"width": 1}], TypeError, "`configs` must hold frozen dataclasses"),
        ([Config], TypeError, "`configs` must hold frozen dataclasses"),
        ([Config(1, 2, shape=[3])], TypeError, "field `shape` of Config must be a number"),
    ],
)
def test_configurations_that_are_refused(tmp_path, configs, error, message):
    with pytest.raises(error, match=message):
        run(spectrum, configs, folder=tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"value": [1, 2]}, "column `value` of a record must be a scalar"),
        ({"value": "a\rb"}, "column `value` has a carriage return"),
        ({"seed": 1}, "'seed'"),
    ],
)
def test_records_that_are_refused(tmp_path, record, message):
    with pytest.raises(sweep.SweepError, match=message):
        run(lambda config: [record], CONFIGS[:1], folder=tmp_path)


@pytest.mark.parametrize("option", ["jobs", "threads"])
def test_options_that_are_refused(tmp_path, option):
    with pytest.raises(ValueError, match=f"`{option}`"):
        run(spectrum, CONFIGS, folder=tmp_path, **{option: 0})


def test_keys_tell_types_and_values_apart():
    other = make_dataclass("Other", [("width", int), ("seed", int)], frozen=True)
    configs = [Config(1, 2), Config(2, 1), Config(1.0, 2), Config("1", 2), other(1, 2)]
    assert len({sweep._key(config) for config in configs}) == len(configs)


def test_files_of_finished_tasks_are_readable(tmp_path):
    run(spectrum, CONFIGS[:1], folder=tmp_path)
    [key] = finished(tmp_path)
    content = json.loads((tmp_path / f"{key}.json").read_text())
    assert content["records"][0]["layer"] == 0
    assert content["seconds"] >= 0
