"""Training: many networks of one architecture at once, on one device."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from otlmc import _check
from otlmc.data import Dataset
from otlmc.networks.evaluation import evaluate, losses
from otlmc.networks.initialisation import INITIALISATIONS, Initialisation, draw, generators
from otlmc.networks.mlp import Architecture, Stack
from otlmc.networks.schedules import Schedule

Optimiser = Literal["sgd", "adamw"]
MEMORY = 2 * 2**30
"""Bytes that a chunk of networks may take while it trains."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How networks are trained; the loss is cross-entropy, binary for a single logit.

    Attributes
    ----------
    optimiser : {"sgd", "adamw"}
        Optimiser of ``torch.optim``, with its defaults where nothing else is said.
    lr : float or tuple of float
        Peak learning rate; a tuple has one per network, so that a sweep trains as one stack.
    momentum : float
        Momentum of SGD.
    weight_decay : float
        Coupled for SGD, decoupled for AdamW, as in ``torch.optim``.
    batch_size, epochs : int
        Every epoch visits every example once; its last batch may be smaller.
    schedule : Schedule
        How the learning rate moves.
    initialisation : str
        See :func:`otlmc.networks.draw`.
    """

    optimiser: Optimiser = "sgd"
    lr: float | tuple[float, ...] = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    epochs: int = 10
    schedule: Schedule = field(default_factory=Schedule)
    initialisation: Initialisation = "torch"

    def __post_init__(self) -> None:
        _check.one_of("optimiser", self.optimiser, get_args(Optimiser))
        for rate in self.lr if isinstance(self.lr, tuple) else (self.lr,):
            _check.number("lr", rate, above=0.0)
        _check.number("momentum", self.momentum, least=0.0, below=1.0)
        _check.number("weight_decay", self.weight_decay, least=0.0)
        _check.positive_int("batch_size", self.batch_size)
        _check.positive_int("epochs", self.epochs)
        _check.one_of("initialisation", self.initialisation, INITIALISATIONS)

    def steps_per_epoch(self, examples: int) -> int:
        """Return the number of batches in ``examples`` examples, the last one included."""
        return -(-examples // self.batch_size)


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


def train(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seeds: Sequence[int],
    *,
    checkpoints: Sequence[int] = (),
    device: torch.device | str | None = None,
    memory: int = MEMORY,
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
    checkpoints : sequence of int
        Steps after which the networks are kept; 0 keeps the initial ones.
    device : device, optional
        CUDA when there is one, else CPU. The networks stay there.
    memory : int
        Bytes that may be taken at once: larger stacks train in chunks.
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
        If the architecture does not fit the data, ``seeds`` is empty, there is not one learning
        rate per seed, or a checkpoint lies outside training.

    Examples
    --------
    >>> from otlmc import data
    >>> config = TrainConfig(optimiser="adamw", lr=0.1, batch_size=256, epochs=20)
    >>> result = train(Architecture(widths=(2, 32, 1)), data.load("moons"), config, [0, 1, 2])
    >>> bool((result.test_error < 0.05).all())
    True
    """
    seeds = tuple(seeds)
    rates = _rates(config, len(seeds), len(dataset.train_labels))
    total = rates.shape[1]
    if outside := [step for step in checkpoints if not 0 <= step <= total]:
        raise ValueError(f"`checkpoints` must lie in 0..{total} steps, got {outside}")
    if (architecture.widths[0], architecture.widths[-1]) != (dataset.input_dim, dataset.output_dim):
        raise ValueError(
            f"`architecture` maps {architecture.widths[0]} inputs to {architecture.widths[-1]} "
            f"outputs; {dataset.name} needs {dataset.input_dim} and {dataset.output_dim}"
        )
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dataset = dataset.to(device)
    size = _chunk_size(architecture, config, memory)
    parts: list[dict[int, Stack]] = []
    with tqdm(total=total * len(seeds), disable=not progress, unit="step", desc="train") as bar:
        for start in range(0, len(seeds), size):
            chunk = slice(start, start + size)
            initial = draw(architecture, seeds[chunk], initialisation=config.initialisation)
            parts.append(
                _train_chunk(
                    initial.to(device),
                    dataset,
                    config,
                    rates[chunk],
                    seeds[chunk],
                    keep={*checkpoints, total},
                    bar=bar,
                )
            )
    kept = {
        step: Stack.concatenate([part[step] for part in parts])
        for step in sorted({*checkpoints, total})
    }
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


def _rates(config: TrainConfig, networks: int, examples: int) -> NDArray[np.float64]:
    """Return the learning rate of every network and step."""
    peaks = config.lr if isinstance(config.lr, tuple) else (config.lr,) * networks
    if len(peaks) != networks:
        raise ValueError(f"`lr` has {len(peaks)} entries for {networks} `seeds`")
    if not networks:
        raise ValueError("`seeds` is empty: one seed per network is needed")
    steps = config.steps_per_epoch(examples)
    rows = {
        peak: config.schedule.rates(peak, epochs=config.epochs, steps_per_epoch=steps)
        for peak in set(peaks)
    }
    return np.stack([rows[peak] for peak in peaks])


def _chunk_size(architecture: Architecture, config: TrainConfig, memory: int) -> int:
    """Return how many networks fit: weights, gradients, two moments, activations both ways."""
    numbers = 4 * architecture.parameter_count
    numbers += 4 * config.batch_size * sum(architecture.widths)
    return max(1, _check.positive_int("memory", memory) // (4 * numbers))


def _train_chunk(
    stack: Stack,
    dataset: Dataset,
    config: TrainConfig,
    rates: NDArray[np.float64],
    seeds: Sequence[int],
    *,
    keep: set[int],
    bar: tqdm,
) -> dict[int, Stack]:
    for tensor in stack.tensors.values():
        tensor.requires_grad_()
    groups, optimiser = _optimiser(stack, config, rates)
    kept = {0: stack.clone()} if 0 in keep else {}
    for step, batch in enumerate(_batches(dataset, config, seeds)):
        logits = stack(dataset.train_inputs[batch])
        loss = losses(logits, dataset.train_labels[batch]).mean(-1).sum()
        loss.backward()
        for networks, group in zip(groups, optimiser.param_groups, strict=True):
            group["lr"] = float(rates[networks.start, step])
            for part, whole in zip(group["params"], stack.tensors.values(), strict=True):
                part.grad = None if whole.grad is None else whole.grad[networks]
        optimiser.step()
        for tensor in stack.tensors.values():
            tensor.grad = None
        if step + 1 in keep:
            kept[step + 1] = stack.clone()
        bar.update(len(stack))
    return kept


def _optimiser(
    stack: Stack, config: TrainConfig, rates: NDArray[np.float64]
) -> tuple[list[slice], torch.optim.Optimizer]:
    """Return torch's own optimiser over views of the stack, one group per run of equal rates.

    Its updates are elementwise, so a stacked tensor is updated as its networks would be.
    """
    bounds = [0, *(np.flatnonzero(np.any(np.diff(rates, axis=0), axis=1)) + 1), len(stack)]
    groups = [slice(int(start), int(stop)) for start, stop in itertools.pairwise(bounds)]
    views = [{"params": [t.detach()[g] for t in stack.tensors.values()]} for g in groups]
    common = {"lr": 0.0, "weight_decay": config.weight_decay, "fused": True}
    if config.optimiser == "sgd":
        return groups, torch.optim.SGD(views, momentum=config.momentum, **common)
    return groups, torch.optim.AdamW(views, **common)


def _batches(dataset: Dataset, config: TrainConfig, seeds: Sequence[int]) -> Iterator[Tensor]:
    """Yield the examples of every step, one row of indices per network."""
    streams = [generators(seed)[1] for seed in seeds]
    examples, device = len(dataset.train_labels), dataset.train_labels.device
    for _ in range(config.epochs):
        orders = torch.stack([torch.randperm(examples, generator=stream) for stream in streams])
        yield from orders.to(device).split(config.batch_size, dim=1)
