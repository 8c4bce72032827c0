"""Pairs of networks trained by one protocol, and the path between them, measured in full.

The protocol is that of Ferbach et al. (2024), Figure 2: three hidden layers of ReLU from LeCun's
initialisation, SGD with momentum 0.9, ten steps of warm-up, cosine to 0. More than one program
trains these networks, so the protocol stands here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch

from otlmc import _check
from otlmc.connectivity import path
from otlmc.data import Dataset
from otlmc.matching.dimension import Method as Space
from otlmc.matching.dimension import layer_dimensions
from otlmc.networks import MLP, Architecture, Schedule, TrainConfig, train
from otlmc.networks.config import OptimiserName
from otlmc.results import Comparison

MEASURES = (
    *("loss_barrier", "error_barrier", "epsilon_loss", "epsilon_error"),
    *("midpoint_loss", "midpoint_error"),
)
"""What is measured on every path, by the names of :class:`otlmc.connectivity.PathReport`."""

_PAPER = np.geomspace(1e-4, 0.1, 6)
_RATES = {
    "digits": (0.001, 0.0031, 0.0098, 0.031, 0.096),
    "mnist": (0.001, 0.004, 0.016, 0.063, 0.1, 0.15),
    "cifar10": (0.001, 0.004, 0.016, 0.063),
}


@dataclass(frozen=True)
class Pairs:
    """Pairs of networks at one learning rate.

    Attributes
    ----------
    dataset : str
        Its name, for :func:`otlmc.data.load`.
    learning_rate : float
        The peak of the schedule.
    hidden : int
        Units of each of the three hidden layers.
    batch_size, epochs : int
        As in :class:`otlmc.networks.TrainConfig`.
    repetitions : int
        Number of pairs.
    seed : int
        Of all networks; no two of them are alike.
    """

    dataset: str
    learning_rate: float
    hidden: int
    batch_size: int
    epochs: int
    repetitions: int
    seed: int


def ladder(dataset: str, *, full: bool, seed: int) -> list[Pairs]:
    """Return the protocol's ladder of learning rates, whole or at a size for CPUs.

    The paper has 4 pairs of 3 x 512 units on MNIST, batches of 500, 50 epochs, and six rates from
    1e-4 to 0.1. The digits, with 26 batches of 50 in an epoch, keep their own rates.

    Parameters
    ----------
    dataset : {"digits", "mnist", "cifar10"}
        The data.
    full : bool
        Whether all of it.
    seed : int
        Of all networks.

    Examples
    --------
    >>> [pairs.learning_rate for pairs in ladder("digits", full=False, seed=0)]
    [0.001, 0.0031, 0.0098, 0.031, 0.096]
    """
    rates = _RATES[_check.one_of("dataset", dataset, tuple(_RATES))]
    if dataset == "digits":
        size = (256, 50, 60, 4) if full else (128, 50, 60, 2)
    else:
        rates = tuple(map(float, _PAPER)) if full else rates
        size = (512, 500, 50, 4) if full else (256, 500, 12, 1)
    return [Pairs(dataset, rate, *size, seed) for rate in rates]


def train_pairs(
    config: Pairs,
    dataset: Dataset,
    *,
    optimiser: OptimiserName = "sgd",
    device: torch.device | str | None = None,
) -> list[tuple[MLP, MLP]]:
    """Train the pairs of one learning rate as one stack.

    Parameters
    ----------
    config : Pairs
        Sizes and seed.
    dataset : Dataset
        What ``config.dataset`` names.
    optimiser : str
        The paper's, or another with the same schedule and no weight decay.
    device : device, optional
        CUDA when there is one, else CPU.

    Examples
    --------
    >>> from otlmc import data
    >>> small = Pairs("digits", 0.01, 4, 500, 4, 2, 0)
    >>> len(train_pairs(small, data.load("digits")))
    2
    """
    widths = (dataset.input_dim, *[config.hidden] * 3, dataset.output_dim)
    training = TrainConfig(
        optimiser=optimiser,
        lr=config.learning_rate,
        momentum=0.9,
        batch_size=config.batch_size,
        epochs=config.epochs,
        schedule=Schedule(shape="cosine", warmup_steps=10, warmup_start=1e-6),
        initialisation="lecun_truncated",
    )
    seeds = [2**16 * config.seed + i for i in range(2 * config.repetitions)]
    stack = train(Architecture(widths=widths), dataset, training, seeds, device=device).stack
    return [(stack[i], stack[i + 1]) for i in range(0, len(stack), 2)]


def measure(a: MLP, aligned: MLP, dataset: Dataset, *, matching: str) -> Iterator[dict[str, Any]]:
    """Measure the test loss and error between A and the permuted B, and the dimensions of A.

    Parameters
    ----------
    a, aligned : MLP
        The ends of the path.
    dataset : Dataset
        Its test set is that of the path, its training set that of the dimensions.
    matching : str
        What permuted B. The path without permutation has the mean loss of the ends beside it; a
        method of :func:`otlmc.matching.layer_dimensions` the approximate dimension of each layer.

    Yields
    ------
    dict
        The matching, the layer (``None`` for a path) and a :class:`otlmc.results.Comparison`.
    """
    report = path(a, aligned, dataset.test_inputs, dataset.test_labels)
    values = {name: getattr(report, name) for name in MEASURES}
    if matching == "none":
        values["mean loss of the ends"] = float((report.loss[0] + report.loss[-1]) / 2)
    for quantity, measured in values.items():
        row = Comparison(quantity=quantity, measured=measured)
        yield {"matching": matching, "layer": None, **row.to_record()}
    for space in (name for name in get_args(Space) if name == matching):
        dimensions = layer_dimensions(a, dataset.train_inputs, method=space)
        for layer, dimension in enumerate(dimensions.values(), start=1):
            row = Comparison(quantity="approximate dimension", measured=dimension)
            yield {"matching": matching, "layer": layer, **row.to_record()}
