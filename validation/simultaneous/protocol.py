"""What the experiments share: options, pairs of networks, and the barriers between pairs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from otlmc import cli
from otlmc.connectivity import all_paths
from otlmc.data import Dataset
from otlmc.networks import MLP, Architecture, Schedule, Stack, TrainConfig
from otlmc.networks.initialisation import Initialisation
from validation.claims import Claim
from validation.sets import Sets

Rows = Iterator[dict[str, Any]]
Key = TypeVar("Key")

MATCHINGS = ("weight", "activation")
"""The two of the paper: Git Re-Basin, and uncentred products of activations."""
DECIMALS = 6
"""Of a barrier: the rest is round-off of float32, in which networks run."""


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the experiments."""

    experiment: Literal["all", "trajectory", "cutoff", "imp", "masks"] = "all"
    """Which one; its outputs go to a folder of its name."""
    dataset: Literal["digits", "mnist"] = "digits"
    """Data on which the networks are trained; mnist is read from --data-dir."""
    repetitions: int | None = None
    """Pairs of networks [default: 3, on mnist 1; full: 5]."""
    width: int | None = None
    """Units of a hidden layer [default: that of the experiment]."""
    initialisation: Initialisation = "lecun_truncated"
    """Of all networks; the paper has kaiming_normal, of twice the variance."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("repetitions", "width"):
            cli.at_least(name, getattr(self, name), 1)


@dataclass(frozen=True)
class Pair:
    """Two networks that differ in their initialisation and in the order of their batches.

    Attributes
    ----------
    points : int
        Values of t on every path.
    repetition, seed : int
        Number of the pair, and seed of the program; no two networks are alike.
    """

    dataset: str
    hidden_layers: int
    width: int
    initialisation: Initialisation
    learning_rate: float
    batch_size: int
    epochs: int
    points: int
    repetition: int
    seed: int

    @property
    def seeds(self) -> list[int]:
        """Seeds of network A and of network B."""
        first = 2**16 * self.seed + 2 * self.repetition
        return [first, first + 1]

    def training(self) -> TrainConfig:
        """Return how both are trained."""
        return TrainConfig(
            lr=self.learning_rate,
            batch_size=self.batch_size,
            epochs=self.epochs,
            schedule=Schedule(shape="cosine"),
            initialisation=self.initialisation,
        )

    def architecture(self, dataset: Dataset) -> Architecture:
        """Return what both look like."""
        hidden = [self.width] * self.hidden_layers
        return Architecture(widths=(dataset.input_dim, *hidden, dataset.output_dim))


def pairs(options: Options, *, hidden_layers: int, width: int, more: int = 0) -> list[Pair]:
    """Return the pairs of a preset: 60 epochs of the digits, or 10 of MNIST."""
    full, digits = options.preset == "full", options.dataset == "digits"
    repetitions = options.repetitions or (5 if full else 3 if digits else 1) + more
    batch_size, epochs = (50, 60) if digits else (128, 10)
    return [
        Pair(
            dataset=options.dataset,
            hidden_layers=hidden_layers,
            width=options.width or width,
            initialisation=options.initialisation,
            learning_rate=0.05,
            batch_size=batch_size,
            epochs=epochs,
            points=25 if full else 11,
            repetition=repetition,
            seed=options.seed,
        )
        for repetition in range(repetitions)
    ]


def barriers(
    ends: Mapping[Key, tuple[MLP, MLP]], sets: Sets, *, points: int
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Measure the barriers of loss and error between pairs of networks, B permuted already.

    Yields
    ------
    key, dict
        For every pair and both sets the fields ``on``, ``quantity`` and ``measured``.
    """
    stack = Stack.of([network for pair in ends.values() for network in pair])
    places = np.arange(len(stack)).reshape(-1, 2)
    for on, inputs in sets.inputs.items():
        report = all_paths(stack, inputs, sets.labels[on], pairs=places, points=points, on=on)
        for quantity in ("loss_barrier", "error_barrier"):
            values = getattr(report, quantity).round(DECIMALS).tolist()
            for key, measured in zip(ends, values, strict=True):
                yield key, {"on": on, "quantity": quantity, "measured": measured}


def select(table: pd.DataFrame, **fields: Any) -> pd.DataFrame:
    """Return the rows whose columns have the given values.

    Examples
    --------
    >>> select(pd.DataFrame({"on": ["train", "test"], "measured": [1, 2]}), on="test")
         on  measured
    1  test         2
    """
    chosen = np.ones(len(table), dtype=bool)
    for name, value in fields.items():
        chosen &= (table[name] == value).to_numpy()
    return table[chosen]


def claim(where: str, statement: str, **fields: Any) -> Claim:
    """Return a claim of the paper."""
    return Claim(paper="sharma2024", where=where, statement=statement, **fields)
