"""Training: many networks of one architecture at once, on one device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from otlmc import _check
from otlmc.data import Dataset
from otlmc.networks.config import StackOptimiser, TrainConfig
from otlmc.networks.evaluation import evaluate, losses
from otlmc.networks.initialisation import draw, generators
from otlmc.networks.mlp import Architecture
from otlmc.networks.stack import Stack

CACHE = 4 * 2**20
"""Bytes of the largest tensor of a step on a CPU, beyond which chunks of networks are faster."""


@dataclass(frozen=True, eq=False)
class TrainResult:
    """Trained networks and how well they do.

    Attributes
    ----------
    stack : Stack
        The networks, in the order of ``seeds``.
    train_loss, train_error, test_loss, test_error : ndarray, shape (E,)
        Means over the whole sets, after training.
    checkpoints : Mapping of int to Stack
        The networks after that many steps.
    config : TrainConfig
        What was asked for.
    seeds : tuple of int
        One per network.
    """

    stack: Stack
    train_loss: NDArray[np.float64]
    train_error: NDArray[np.float64]
    test_loss: NDArray[np.float64]
    test_error: NDArray[np.float64]
    checkpoints: Mapping[int, Stack]
    config: TrainConfig
    seeds: tuple[int, ...]

    def to_records(self) -> list[dict[str, Any]]:
        """Return one row per network: seed, peak learning rate, losses and errors."""
        lr = self.config.lr
        rates = lr if isinstance(lr, tuple) else (lr,) * len(self.seeds)
        measured = ("train_loss", "train_error", "test_loss", "test_error")
        return [
            {"seed": seed, "lr": rate, **{name: float(getattr(self, name)[e]) for name in measured}}
            for e, (seed, rate) in enumerate(zip(self.seeds, rates, strict=True))
        ]


def train(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seeds: Sequence[int],
    *,
    initial: Stack | None = None,
    first_step: int = 0,
    masks: Mapping[str, Tensor] | None = None,
    checkpoints: Sequence[int] = (),
    device: torch.device | str | None = None,
    chunk: int | None = None,
    progress: bool = False,
) -> TrainResult:
    """Train one network per seed, all of them at once.

    Network e is drawn from ``seeds[e]`` and sees the examples in an order of its own, drawn from
    the same seed, so it is the network that would be trained alone, up to float32 round-off.

    Parameters
    ----------
    architecture : Architecture
        Its inputs and outputs must fit the data.
    dataset : Dataset
        What to train on.
    config : TrainConfig
        How to train.
    seeds : sequence of int
        One per network.
    initial : Stack, optional
        Networks to start from, instead of drawing them; they are not changed.
    first_step : int
        Step of the schedule and of the batch order at which ``initial`` stands: training takes
        up there, with a fresh optimiser, and ends where it always ends.
    masks : mapping of str to Tensor of bool, optional
        By name of a weight, shape (E, ...) or one for all: where it is false, the weight is 0
        from the beginning to the end.
    checkpoints : sequence of int
        Steps after which the networks are kept, counted from step 0; ``first_step`` keeps the
        initial ones.
    device : device, optional
        CUDA when there is one, else CPU. The networks stay there.
    chunk : int, optional
        How many networks train at once; by default what suits the device's memory.
    progress : bool
        Whether to show a progress bar of steps.

    Returns
    -------
    TrainResult
        The networks with their losses and errors. One that diverged has an infinite or
        undefined loss.

    Raises
    ------
    ValueError
        If the architecture does not fit the data or ``initial``, ``seeds`` is empty, there is not
        one learning rate per seed, a mask fits no tensor, or a step lies outside training.

    Examples
    --------
    >>> from otlmc import data
    >>> config = TrainConfig(optimiser="adamw", lr=0.1, batch_size=256, epochs=20)
    >>> result = train(Architecture(widths=(2, 32, 1)), data.load("moons"), config, [0, 1, 2])
    >>> bool((result.test_error < 0.05).all())
    True
    """
    seeds = tuple(seeds)
    if initial is None:
        initial = draw(architecture, seeds, initialisation=config.initialisation)
    _check_fit(architecture, dataset, initial, len(seeds))
    rates = config.rates(len(seeds), len(dataset.train_labels))
    total = rates.shape[1]
    if not 0 <= first_step < total:
        raise ValueError(f"`first_step` must lie in 0..{total - 1}, got {first_step}")
    if outside := [step for step in checkpoints if not first_step <= step <= total]:
        raise ValueError(f"`checkpoints` must lie in {first_step}..{total} steps, got {outside}")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dataset = dataset.to(device)
    spread = _spread(masks, initial)
    size = chunk if chunk is not None else _chunk_size(architecture, config, device)
    steps = range(first_step, total)
    keep = sorted({*checkpoints, total})
    parts: list[dict[int, Stack]] = []
    with tqdm(total=len(steps) * len(seeds), disable=not progress, unit="step") as bar:
        for start in range(0, len(seeds), _check.positive_int("chunk", size)):
            part = slice(start, start + size)
            parts.append(
                _train_chunk(
                    initial[part].to(device).clone(),
                    dataset,
                    config,
                    rates[part],
                    seeds[part],
                    {name: mask[part].to(device) for name, mask in spread.items()},
                    steps=steps,
                    keep=keep,
                    advance=bar.update,
                )
            )
    kept = {step: Stack.concatenate([part[step] for part in parts]) for step in keep}
    on_train = evaluate(kept[total], dataset.train_inputs, dataset.train_labels)
    on_test = evaluate(kept[total], dataset.test_inputs, dataset.test_labels)
    return TrainResult(
        stack=kept[total],
        train_loss=on_train.loss,
        train_error=on_train.error,
        test_loss=on_test.loss,
        test_error=on_test.error,
        checkpoints={step: kept[step] for step in sorted(set(checkpoints))},
        config=config,
        seeds=seeds,
    )


def _check_fit(architecture: Architecture, dataset: Dataset, initial: Stack, networks: int) -> None:
    ends = (architecture.widths[0], architecture.widths[-1])
    if ends != (dataset.input_dim, dataset.output_dim):
        raise ValueError(
            f"`architecture` maps {ends[0]} inputs to {ends[1]} outputs; {dataset.name} needs "
            f"{dataset.input_dim} and {dataset.output_dim}"
        )
    if initial.architecture != architecture or len(initial) != networks:
        raise ValueError(
            f"`initial` must hold {networks} networks of {architecture}, got {len(initial)} of "
            f"{initial.architecture}"
        )


def _spread(masks: Mapping[str, Tensor] | None, stack: Stack) -> dict[str, Tensor]:
    """Return the masks with one entry for every network."""
    spread = {}
    for name, mask in (masks or {}).items():
        if name not in stack.tensors:
            raise ValueError(f"`masks` names {name!r}, which is not in {list(stack.tensors)}")
        shape = stack.tensors[name].shape
        if mask.dtype != torch.bool or mask.shape not in (shape, shape[1:]):
            raise ValueError(
                f"`masks[{name!r}]` must be bool of shape {tuple(shape)} or {tuple(shape[1:])}, "
                f"got {mask.dtype} of shape {tuple(mask.shape)}"
            )
        spread[name] = mask.expand(shape)
    return spread


def _chunk_size(architecture: Architecture, config: TrainConfig, device: torch.device) -> int:
    """Return how many networks should train at once."""
    weights = max(shape[0] * shape[1] for shape in architecture.shapes.values() if len(shape) > 1)
    # Inputs count for each network, unless all see the same ones.
    widths = architecture.widths if config.order_seed is None else architecture.widths[1:]
    largest = max(weights, config.batch_size * max(widths))
    if device.type != "cuda":
        return max(1, CACHE // (4 * largest))
    # Weights, gradients, two moments; activations, their gradients and what autograd keeps.
    numbers = 4 * architecture.parameter_count + 4 * config.batch_size * sum(architecture.widths)
    return max(1, torch.cuda.get_device_properties(device).total_memory // 4 // (4 * numbers))


def _train_chunk(
    stack: Stack,
    dataset: Dataset,
    config: TrainConfig,
    rates: NDArray[np.float64],
    seeds: Sequence[int],
    masks: Mapping[str, Tensor],
    *,
    steps: range,
    keep: Sequence[int],
    advance: Callable[[int], object],
) -> dict[int, Stack]:
    """Train the stack in place and return its states at the steps of ``keep``."""
    for name, tensor in stack.tensors.items():
        if name in masks:
            tensor.mul_(masks[name])
        tensor.requires_grad_()
    optimiser = StackOptimiser(stack, config, rates)
    kept = {steps.start: stack.clone()} if steps.start in keep else {}
    batches = islice(_batches(dataset, config, seeds), steps.start, None)
    for step, batch in zip(steps, batches, strict=True):
        inputs, labels = F.embedding(batch, dataset.train_inputs), dataset.train_labels[batch]
        losses(stack(inputs), labels).mean(-1).sum().backward()
        optimiser.step(step)
        for name, mask in masks.items():
            stack.tensors[name].detach().mul_(mask)
        if step + 1 in keep:
            kept[step + 1] = stack.clone()
        advance(len(stack))
    return kept


def _batches(dataset: Dataset, config: TrainConfig, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Yield the indices of every step: (E, batch), or (batch,) where networks share the order."""
    shared = config.order_seed
    streams = [generators(seed)[1] for seed in (seeds if shared is None else [shared])]
    examples, device = len(dataset.train_labels), dataset.train_labels.device
    for _ in range(config.epochs):
        orders = torch.stack([torch.randperm(examples, generator=stream) for stream in streams])
        orders = orders if shared is None else orders[0]
        # A GPU still works on the last epoch: the host does not wait for it.
        yield from orders.to(device, non_blocking=True).split(config.batch_size, dim=-1)
