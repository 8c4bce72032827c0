"""What every ``python -m simulations.*`` and ``validation.*`` shares: options, errors, outputs."""

import dataclasses
import json
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import pandas as pd
import torch
import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from otlmc import data, plotting, sweep
from otlmc._files import replacing
from otlmc.data import DataError
from otlmc.data.load import Name
from otlmc.sweep import SweepError

_PLAIN_WIDTH = 110
"""Columns of a table that goes to a file; rich would take 80."""
PACKAGES = ("otlmc", "numpy", "scipy", "pot", "torch", "pandas", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every program; a program adds its own in a subclass."""

    preset: Literal["quick", "full"] = "quick"
    """Minutes on a CPU, or the whole protocol."""
    seed: int = 0
    """Seed of all randomness."""
    jobs: int = 1
    """Tasks at a time on this machine."""
    scheduler: str | None = None
    """Address tcp://host:port of a dask scheduler that runs the tasks instead."""
    out: Path = Path("out")
    """Folder of the outputs."""
    resume: bool = False
    """Keep the tasks that an earlier run with this output folder has finished."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed must be at least 0 and below 2**32, got {self.seed}")
        at_least("jobs", self.jobs, 1)
        if self.scheduler is not None and "://" not in self.scheduler:
            raise ValueError(f"--scheduler must be like tcp://host:port, got {self.scheduler!r}")
        if self.scheduler is not None and find_spec("distributed") is None:
            raise ValueError("--scheduler needs dask: pip install 'otlmc[cluster]'")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"--out must be a folder, {self.out} is a file")


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Options of the programs that read a data set."""

    dataset: Name = "digits"
    """Data set; mnist and cifar10 are read from --data-dir."""
    data_dir: Path | None = None
    """Folder of the data files [default: the environment variable OTLMC_DATA]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data_dir is not None and not self.data_dir.is_dir():
            raise ValueError(f"--data-dir must be an existing folder, got {self.data_dir}")


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Options):
    """Options of the programs that run on any device."""

    device: str | None = None
    """cpu, cuda or cuda:N [default: cuda where there is one]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device is not None and not re.fullmatch(r"cpu|cuda(:\d{1,3})?", self.device):
            raise ValueError(f"--device must be cpu, cuda or cuda:N, got {self.device!r}")
        try:
            torch.empty(0, device=self.torch_device)
        except (RuntimeError, AssertionError) as error:
            # torch adds advice for debuggers of kernels in further lines
            reason = str(error).splitlines()[0]
            raise ValueError(f"--device {self.device} cannot be used: {reason}") from error

    @property
    def torch_device(self) -> torch.device:
        """The device, chosen where none was named."""
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(DeviceOptions, DataOptions):
    """Options of the programs that train networks."""


Chosen = TypeVar("Chosen")


def run(
    main: Callable[[Chosen], None], options: type[Chosen], *, args: Sequence[str] | None = None
) -> None:
    """Parse the command line into ``options`` and call ``main``; its docstring is the help text.

    A bad value ends the program with a message on stderr and exit code 2; whatever else the user
    can mend (a file that cannot be written, a scheduler that does not answer, failed tasks) with
    a message and exit code 1. Anything else is a defect and shows its traceback.
    """
    settings = (tyro.conf.FlagCreatePairsOff,)
    try:
        main(tyro.cli(options, description=main.__doc__, args=args, config=settings))
    except DataError as error:
        _fail(error, 2)
    except (OSError, SweepError) as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("interrupted; --resume goes on from here", 130)


def perform(
    options: Options,
    task: Callable[[Any], Iterable[Mapping[str, Any]]],
    configs: Sequence[Any],
    *,
    draw: Callable[[pd.DataFrame], plotting.Figure],
    summarise: Callable[[pd.DataFrame], pd.DataFrame],
    out: Path | None = None,
    **extra: Any,
) -> None:
    """Run the tasks of a program; write its table, manifest and figure, and print its summary.

    Parameters
    ----------
    options : Options
        The parsed options.
    task, configs
        What :func:`otlmc.sweep.run` runs.
    draw, summarise : callable
        The figure and the summary of the table.
    out : Path, optional
        Folder of the outputs, if it is not that of the options.
    **extra
        Further entries of the manifest, as ``data=dataset.provenance``.
    """
    start = time.perf_counter()
    out = options.out if out is None else out
    table = sweep.run(
        task,
        configs,
        folder=out / "tasks",
        jobs=options.jobs,
        scheduler=options.scheduler,
        resume=options.resume,
    )
    made = manifest(options, seconds=time.perf_counter() - start, **extra)
    write_outputs(out, table, made, draw(table), summary=summarise(table))


def perform_on_data(
    options: NetworkOptions,
    task: Callable[..., Iterable[Mapping[str, Any]]],
    configs: Sequence[Any],
    *,
    draw: Callable[[pd.DataFrame], plotting.Figure],
    summarise: Callable[[pd.DataFrame], pd.DataFrame],
    out: Path | None = None,
) -> None:
    """Do the same for a task that takes ``data_dir`` and ``device`` beside its configuration.

    The data set is loaded first: if it is missing nothing is computed in vain.
    """
    dataset = data.load(options.dataset, data_dir=options.data_dir)
    bound = partial(task, data_dir=options.data_dir, device=str(options.torch_device))
    provenance = dataset.provenance
    perform(options, bound, configs, draw=draw, summarise=summarise, out=out, data=provenance)


def at_least(name: str, value: int | None, least: int) -> None:
    """Refuse an option that was given and is too small."""
    if value is not None and value < least:
        raise ValueError(f"--{name} must be at least {least}, got {value}")


def manifest(options: Options, *, seconds: float, **extra: Any) -> dict[str, Any]:
    """Say what made a table: options, versions, device and wall time, without local paths.

    Parameters
    ----------
    options : Options
        The parsed options.
    seconds : float
        Wall time.
    **extra
        Further entries, as ``data=dataset.provenance``.
    """
    config = {
        key: value
        for key, value in dataclasses.asdict(options).items()
        if not isinstance(value, Path) and key not in {"data_dir", "device", "scheduler"}
    }
    device = options.torch_device if isinstance(options, DeviceOptions) else torch.device("cpu")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "config": config,
        **extra,
        "device": f"{device.type} ({name})",
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "wall_seconds": round(seconds, 2),
    }


def write_outputs(
    out: Path,
    table: pd.DataFrame,
    manifest: dict[str, Any],
    figure: plotting.Figure | None = None,
    *,
    summary: pd.DataFrame | None = None,
) -> None:
    """Write table.csv, manifest.json, figure.png and figure.pdf to ``out``; print the summary.

    Each file is replaced whole. Equal tables give equal bytes, and equal figures an equal PDF.

    Raises
    ------
    OSError
        If a file cannot be written; the message names it.
    """
    with replacing(out / "table.csv") as path:
        table.to_csv(path, index=False, lineterminator="\n")
    with replacing(out / "manifest.json") as path:
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    if figure is not None:
        for suffix, metadata in (("png", None), ("pdf", {"CreationDate": None})):
            with replacing(out / f"figure.{suffix}") as path:
                figure.savefig(path, metadata=metadata)
        plotting.close(figure)
    console = Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    if summary is not None:
        console.print(_rich(summary))
    names = ", ".join(sorted(p.name for p in out.glob("[!.]*.*")))
    console.print(f"written to {out}: {names}", soft_wrap=True)


def _rich(frame: pd.DataFrame) -> Table:
    """Return a frame as a table for the terminal, numbers with four digits."""
    table = Table(box=box.HORIZONTALS, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in frame.columns:
        justify = "left" if frame[name].dtype.kind in "OU" else "right"
        table.add_column(str(name), justify=justify, overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    return table


def _fail(reason: object, code: int) -> NoReturn:
    """End the program with a line on stderr."""
    print(f"error: {reason}", file=sys.stderr)
    raise SystemExit(code)
