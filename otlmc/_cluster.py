"""Calls on the workers of a dask cluster, which can lose workers, all of them, or its scheduler.

Through dask's own client: joblib's dask back end waits for ever for a call whose workers died.
"""

import logging
import sys
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from operator import call
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed
from tqdm import tqdm

Call = TypeVar("Call", bound=Callable[[], Any])

_CONNECT_SECONDS = 10
_LOOK_SECONDS = 0.2
# A worker that died is replaced within seconds, a job that is queued again often within minutes.
_PATIENCE_SECONDS = 600


class ClusterLostError(Exception):
    """A cluster that has no scheduler, or for long no workers; what came back before counts."""


def results(calls: Sequence[Call], scheduler: str) -> Generator[tuple[Call, Any]]:
    """Yield every call with what it returned, or with the exception that dask has for it.

    Raises
    ------
    ConnectionError
        If no scheduler answers.
    ClusterLostError
        If the scheduler is lost, or all workers are and none joins in time.
    """
    with _connected(scheduler) as client:
        watch = _watch(client, scheduler)
        futures = client.map(call, calls, pure=False)
        origin = dict(zip(futures, calls, strict=True))
        suspects = []
        for future, result in _finished(client, futures, watch):
            if isinstance(result, KilledWorker):
                suspects.append(origin[future])
            else:
                yield origin[future], result
        # Dask blames all that waited at workers that died: run each again, alone.
        for suspect in suspects:
            for _, result in _finished(client, [client.submit(suspect, pure=False)], watch):
                yield suspect, result


@contextmanager
def _connected(scheduler: str) -> Generator[Client]:
    """Connect to a scheduler, whose loss becomes an error instead of tracebacks in dask's log."""
    log = logging.getLogger("distributed.client")
    level = log.level
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no dask scheduler answers at {scheduler} within {_CONNECT_SECONDS} s"
        ) from error
    log.setLevel(logging.CRITICAL)
    try:
        with client:
            yield client
    except OSError as error:
        raise ClusterLostError(f"lost the dask scheduler at {scheduler}") from error
    finally:
        log.setLevel(level)


def _finished(
    client: Client, futures: Sequence[Future], watch: Generator[None]
) -> Generator[tuple[Future, Any]]:
    """Yield futures as they finish, each with its result or exception; keep watch between."""
    # With results: a blocking call for one would wait for ever if its worker is gone by then.
    waiting = as_completed(futures, loop=client.loop, with_results=True, raise_errors=False)
    while not waiting.is_empty():
        batch = waiting.next_batch(block=False)
        if not batch:
            next(watch)
            time.sleep(_LOOK_SECONDS)
        for future, result in batch:
            match result:
                # As the client does with all futures when it loses its scheduler.
                case CancelledError():
                    raise ConnectionAbortedError
                case (type(), BaseException() as error, _):
                    yield future, error
                case _:
                    yield future, result


def _watch(client: Client, scheduler: str) -> Generator[None]:
    """Look at the cluster at every step; say when it has no workers, and raise when it is lost."""

    def workers() -> bool:
        if client.status != "running":
            raise ConnectionAbortedError
        return bool(client.nthreads())

    if not workers():
        # Without end: the first jobs of a batch system can be queued for hours.
        _say(f"no worker is at {scheduler} yet: the tasks wait for one")
        while not workers():
            yield
    while True:
        while workers():
            yield
        _say(
            f"no worker is left at {scheduler}: the sweep goes on when one joins, and ends after "
            f"{_PATIENCE_SECONDS} s without"
        )
        end = time.monotonic() + _PATIENCE_SECONDS
        while not workers():
            if time.monotonic() > end:
                raise ClusterLostError(
                    f"the dask scheduler at {scheduler} has had no worker for {_PATIENCE_SECONDS} s"
                )
            yield
        _say(f"a worker has joined {scheduler}: the sweep goes on")


def _say(message: str) -> None:
    """Print a line above the progress bar."""
    tqdm.write(message, file=sys.stderr)
