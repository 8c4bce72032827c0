"""Networks on disk: one safetensors file with their weights, configuration, seeds and step."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from otlmc._files import replacing
from otlmc.networks.config import TrainConfig
from otlmc.networks.mlp import Architecture
from otlmc.networks.schedules import Schedule
from otlmc.networks.stack import Stack

FORMAT = "otlmc-stack-1"


class CheckpointError(ValueError):
    """A checkpoint is corrupt or no checkpoint; the message names the file."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds.

    Attributes
    ----------
    stack : Stack
        The networks, on the CPU.
    config : TrainConfig
        How they were trained.
    seeds : tuple of int
        One per network.
    step : int
        After how many steps.
    """

    stack: Stack
    config: TrainConfig
    seeds: tuple[int, ...]
    step: int


def save(
    path: Path | str, stack: Stack, *, config: TrainConfig, seeds: Sequence[int], step: int
) -> None:
    """Write networks to a file that appears whole or not at all.

    Parameters
    ----------
    path : path
        The file, by custom with the suffix ``.safetensors``; one that is there is replaced.
    stack, config, seeds, step
        See :class:`Checkpoint`.

    Raises
    ------
    ValueError
        If there is not one seed per network.
    OSError
        If the file cannot be written; what was there before is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from otlmc.networks import draw
    >>> stack = draw(Architecture(widths=(2, 8, 1)), [0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/moons.safetensors", stack, config=TrainConfig(), seeds=[0, 1], step=0)
    ...     load(f"{folder}/moons.safetensors").seeds
    (0, 1)
    """
    if len(seeds) != len(stack):
        raise ValueError(f"`seeds` has {len(seeds)} entries for {len(stack)} networks")
    about = {
        "format": FORMAT,
        "architecture": json.dumps(dataclasses.asdict(stack.architecture)),
        "config": json.dumps(dataclasses.asdict(config)),
        "seeds": json.dumps([int(seed) for seed in seeds]),
        "step": json.dumps(int(step)),
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in stack.tensors.items()}
    content = safetensors.torch.save(tensors, metadata=about)
    with replacing(Path(path)) as part:
        part.write_bytes(content)


def load(path: Path | str) -> Checkpoint:
    """Read a file that :func:`save` wrote; nothing in it is ever executed.

    Raises
    ------
    CheckpointError
        If the file is damaged, incomplete or of another kind.
    OSError
        If it cannot be opened.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # a missing or unreadable file says so itself
    try:
        return _read(path)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged file can fail in any way, and all mean the same
        reason = f"{type(error).__name__}: {error}"[:300]
        raise CheckpointError(f"{path} is damaged or no checkpoint: {reason}") from error


def _read(path: Path) -> Checkpoint:
    with safetensors.safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        if about.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} is no checkpoint of otlmc: its format is "
                f"{str(about.get('format'))[:50]!r}, expected {FORMAT!r}"
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    architecture = Architecture(**_tuples(json.loads(about["architecture"])))
    options = _tuples(json.loads(about["config"]))
    schedule = Schedule(**_tuples(options.pop("schedule")))
    # The order of the architecture, which the file does not keep.
    stack = Stack(architecture, {name: tensors.pop(name) for name in architecture.shapes})
    if tensors:
        raise ValueError(f"unknown tensors {sorted(tensors)}")
    types = {tensor.dtype for tensor in stack.tensors.values()}
    if len(types) > 1 or not all(dtype.is_floating_point for dtype in types):
        raise ValueError(f"the tensors must have one floating-point type, got {types}")
    seeds, step = json.loads(about["seeds"]), json.loads(about["step"])
    if type(step) is not int or step < 0 or any(type(seed) is not int for seed in seeds):
        raise ValueError(f"the seeds and the step must be integers, got {seeds} and {step}")
    if len(seeds) != len(stack):
        raise ValueError(f"{len(seeds)} seeds for {len(stack)} networks")
    return Checkpoint(stack, TrainConfig(**options, schedule=schedule), tuple(seeds), step)


def _tuples(options: dict[str, Any]) -> dict[str, Any]:
    """Return what JSON made lists as the tuples that they were."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
