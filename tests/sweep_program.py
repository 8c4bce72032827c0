"""Tasks for the tests of sweeps, importable by their workers, and a program to be killed.

Run as ``python sweep_program.py FOLDER JOBS [--resume]``.
"""

import functools
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from otlmc import sweep


@dataclass(frozen=True)
class Config:
    width: int
    seed: int
    shape: tuple[int, ...] = (2, 3)


CONFIGS = [Config(width, seed) for width in (8, 64, 200) for seed in range(4)]


def spectrum(config, wait=0.0):
    """Records whose last digits depend on the number of threads of the matrix product."""
    time.sleep(wait)
    matrix = np.random.default_rng(config.seed).normal(size=(config.width, config.width))
    gram = matrix @ matrix.T
    yield {"layer": 0, "value": gram.mean(), "single": np.float32(gram[0, 0]), "note": "a, b"}
    yield {"layer": 1, "value": float("nan"), "single": None, "note": None}


def torch_threads(config):
    """Record the threads that torch has."""
    yield {"threads": torch.get_num_threads()}


def deadly(config, trap, times):
    """Like ``spectrum``, but kills its worker the first ``times`` times at one configuration."""
    if config == CONFIGS[5]:
        count = len(list(Path(trap).iterdir()))
        if count < times:
            (Path(trap) / str(count)).touch()
            # Dask never replaces a worker that dies before its nanny has seen it start.
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
    return spectrum(config, wait=0.02)


def failing(config):
    """Fail at one width."""
    if config.width == 64:
        raise RuntimeError(f"diverged at seed {config.seed}")
    return spectrum(config)


if __name__ == "__main__":
    sweep.run(
        functools.partial(spectrum, wait=0.2),
        CONFIGS,
        folder=Path(sys.argv[1]),
        jobs=int(sys.argv[2]),
        resume="--resume" in sys.argv,
        progress=False,
    )
