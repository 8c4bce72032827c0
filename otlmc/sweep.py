"""Sweeps: a pure function over many configurations, on any number of workers, into one table.

A task is a function of a frozen dataclass that returns records. Every finished task is kept in a
file of its own, named by the hash of its configuration, as soon as it is done; so a sweep that is
cut off at any moment loses only what was running, and ``resume`` computes only what is missing.
"""

import dataclasses
import hashlib
import json
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from otlmc import _check
from otlmc._files import replacing
from otlmc._workers import end_with

Config = TypeVar("Config")
Task = Callable[[Config], Iterable[Mapping[str, Any]]]

_SCALARS = (bool, int, float, str, type(None))


class SweepError(RuntimeError):
    """Tasks of a sweep failed; the message names them, and the others are kept."""


@dataclasses.dataclass(frozen=True)
class _Job:
    """A task with its configuration, as it travels to a worker."""

    task: Task[Any]
    config: Any
    key: str
    threads: int

    def __call__(self) -> "_Outcome":
        """Run the task; an exception becomes part of the outcome."""
        # Permanent, not a context: a worker with several threads shares its pools between them.
        threadpool_limits(self.threads)
        # Inside torch is a library of its own, which takes what joblib sets in the environment.
        torch.set_num_threads(self.threads)
        start = time.perf_counter()
        try:
            records = [_plain(record, self.config) for record in self.task(self.config)]
        except Exception as error:
            return self.failed(error, traceback.format_exc())
        return _Outcome(self.key, records=records, seconds=time.perf_counter() - start)

    def failed(self, error: BaseException | str, details: str = "") -> "_Outcome":
        """Return the outcome of this task where it has no records."""
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        return _Outcome(self.key, error=f"{self.config}: {reason}", details=details or reason)


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What comes back: records, or the reason why there are none."""

    key: str
    records: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    error: str = ""
    details: str = ""


def run(
    task: Task[Config],
    configs: Sequence[Config],
    *,
    folder: Path,
    jobs: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    threads: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Run ``task`` on every configuration and return one tidy table.

    The table has one row per record, in the order of the configurations whatever the order in which
    they finish; its columns are the fields of the configuration, then those of the records. It is
    also written to ``folder/table.csv``, and its bytes do not depend on the number or kind of the
    workers.

    Parameters
    ----------
    task : callable
        A pure function from a configuration to records (mappings of column names to numbers,
        strings, booleans or ``None``). What does not decide the result, as a data folder or a
        device, goes in through :func:`functools.partial`.
    configs : sequence of frozen dataclasses
        All different, of one type; fields are numbers, strings, booleans, ``None`` or tuples of
        these.
    folder : Path
        Where finished tasks are kept.
    jobs : int, optional
        Tasks at a time, through joblib. No back end is named, so that
        ``joblib.parallel_config(...)`` around the call decides; 1 by default.
    scheduler : str, optional
        Address of a dask scheduler whose workers run the tasks instead (extra ``cluster``). It and
        they must be able to import the task: start them in the folder that holds its program.
    resume : bool
        Keep what an earlier sweep with this folder has finished, instead of computing all anew.
    threads : int
        Threads of a task's numerical libraries: a part of the configuration in so far as round-off
        depends on it, hence not derived from ``jobs``.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    SweepError
        If tasks failed, after all others have finished; tracebacks are in ``folder/failures.txt``.
    TypeError, ValueError
        For configurations that cannot be told apart by their fields, and bad options.
    ConnectionError
        If no scheduler answers, or it is lost, or for ten minutes all its workers are; what was
        finished before stays.
    OSError
        If a result cannot be written; what was finished before stays.

    Examples
    --------
    >>> import tempfile
    >>> @dataclasses.dataclass(frozen=True)
    ... class Square:
    ...     side: int
    >>> def area(square):
    ...     return [{"area": square.side**2}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run(area, [Square(2), Square(3)], folder=Path(folder), progress=False)
       side  area
    0     2     4
    1     3     9
    """
    if jobs is not None:
        _check.positive_int("jobs", jobs)
    _check.positive_int("threads", threads)
    keys = [_key(config) for config in configs]
    if len(set(keys)) < len(keys):
        raise ValueError("`configs` must all be different")

    done = {
        key: kept
        for key, config in zip(keys, configs, strict=True)
        if resume and (kept := _load(folder, key, config)) is not None
    }
    missing = [
        _Job(task, config, key, threads)
        for key, config in zip(keys, configs, strict=True)
        if key not in done
    ]
    failures = []
    outcomes = _on_cluster(missing, scheduler) if scheduler else _on_this_machine(missing, jobs)
    with (
        _threads_restored(),
        closing(outcomes),
        tqdm(total=len(keys), initial=len(done), unit="task", disable=not progress) as bar,
    ):
        for outcome in outcomes:
            if outcome.error:
                failures.append(outcome)
            else:
                _save(folder, outcome)
                done[outcome.key] = outcome.records
            bar.update()

    table = pd.DataFrame(
        [
            {name: _cell(value) for name, value in _fields(config).items()} | record
            for key, config in zip(keys, configs, strict=True)
            for record in done.get(key, [])
        ]
    )
    with replacing(folder / "table.csv") as path:
        table.to_csv(path, index=False, lineterminator="\n")
    _report(folder, failures, len(keys))
    return table


@contextmanager
def _threads_restored() -> Generator[None]:
    """Give this process its own numbers of threads back at the end."""
    own = torch.get_num_threads()
    try:
        with threadpool_limits():
            yield
    finally:
        torch.set_num_threads(own)


def _on_this_machine(missing: Sequence[_Job], jobs: int | None) -> Generator[_Outcome]:
    """Yield outcomes as they come from joblib; a worker that dies costs no other task its turn."""
    waiting = deque(missing)
    taken: dict[str, _Job] = {}

    def feed() -> Generator[Any]:
        while waiting:
            job = waiting.popleft()
            taken[job.key] = job
            yield delayed(job)()

    while waiting:
        try:
            for outcome in _parallel(feed(), jobs, return_as="generator_unordered", batch_size=1):
                del taken[outcome.key]
                yield outcome
        except BrokenProcessPool:
            # joblib does not say which task it was: each one in flight runs again, alone.
            for job in list(taken.values()):
                yield _alone(job)
            taken.clear()


def _parallel(calls: Iterable[Any], jobs: int | None, **options: Any) -> Any:
    """Call joblib, whose own annotations do not know all of its options."""
    start: dict[str, Any] = {"initializer": end_with, "initargs": (os.getpid(),)}
    return Parallel(n_jobs=jobs, **options, **start)(calls)


def _alone(job: _Job) -> _Outcome:
    """Run one task in a process of its own."""
    try:
        # With a single job joblib would stay in this process, and die with the task.
        return _parallel([delayed(job)()], 2)[0]
    except BrokenProcessPool:
        return job.failed("its worker process died twice (killed, or out of memory)")


def _on_cluster(missing: Sequence[_Job], scheduler: str) -> Generator[_Outcome]:
    """Yield outcomes as they come from a dask cluster."""
    if find_spec("distributed") is None:
        raise ImportError("`scheduler` needs dask: pip install 'otlmc[cluster]'")
    from otlmc import _cluster

    left = len(missing)
    try:
        for job, result in _cluster.results(missing, scheduler):
            outcome = job.failed(result) if isinstance(result, BaseException) else result
            yield outcome
            left -= not outcome.error
    except _cluster.ClusterLostError as error:
        raise ConnectionError(
            f"{error}; {left} tasks are left, all others are kept, and `resume` goes on from there"
        ) from error


def _fields(config: object) -> dict[str, Any]:
    """Return the fields of a frozen dataclass, all of them plain values."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"`configs` must hold frozen dataclasses, got {config!r}")
    if not config.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        raise TypeError(f"`configs` must hold frozen dataclasses, {type(config).__name__} is not")
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    for name, value in fields.items():
        if not all(isinstance(v, _SCALARS) for v in (value if type(value) is tuple else (value,))):
            raise TypeError(
                f"field `{name}` of {type(config).__name__} must be a number, a string, a boolean, "
                f"None or a tuple of these, got {value!r}"
            )
    return fields


def _cell(value: object) -> object:
    """Return a field as a cell of the table."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _plain(record: Mapping[str, Any], config: object) -> dict[str, Any]:
    """Return a record with Python's own scalars, which a file gives back exactly."""
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in record.items()
    }
    for name, value in plain.items():
        if not isinstance(value, _SCALARS):
            raise TypeError(
                f"column `{name}` of a record must be a scalar, got {type(value).__name__}"
            )
        if isinstance(value, str) and "\r" in value:
            raise ValueError(f"column `{name}` has a carriage return, which a CSV file cannot keep")
    if shared := plain.keys() & _fields(config).keys():
        raise ValueError(f"columns {sorted(shared)} of a record are fields of its configuration")
    return plain


def _key(config: object) -> str:
    """Return the hash of a configuration and of the version that computes it."""
    identity = {
        "type": type(config).__name__,
        "fields": _fields(config),
        "version": version("otlmc"),
    }
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _save(folder: Path, outcome: _Outcome) -> None:
    """Keep a finished task."""
    with replacing(folder / f"{outcome.key}.json") as path:
        text = json.dumps({"seconds": round(outcome.seconds, 3), "records": outcome.records})
        path.write_text(text + "\n", encoding="utf-8")


def _load(folder: Path, key: str, config: object) -> list[dict[str, Any]] | None:
    """Return the records of a finished task, ``None`` if there are none or they are damaged."""
    try:
        kept = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))["records"]
        return [_plain(record, config) for record in kept] if isinstance(kept, list) else None
    except FileNotFoundError:
        return None
    # What a damaged file can hold: bytes that are no text, no JSON, or JSON of another shape.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _report(folder: Path, failures: Sequence[_Outcome], total: int) -> None:
    """Raise if tasks failed; else remove what an earlier sweep reported."""
    path = folder / "failures.txt"
    if not failures:
        path.unlink(missing_ok=True)
        return
    failures = sorted(failures, key=lambda outcome: outcome.error)
    with replacing(path) as part:
        part.write_text("\n\n".join(f"{f.error}\n{f.details}" for f in failures), encoding="utf-8")
    shown = [f"  {failure.error}" for failure in failures[:5]]
    if len(failures) > len(shown):
        shown.append(f"  ... and {len(failures) - len(shown)} more")
    raise SweepError(
        f"{len(failures)} of {total} tasks failed; the others are kept, and `resume` runs only "
        f"these again (tracebacks in {path}):\n" + "\n".join(shown)
    )
