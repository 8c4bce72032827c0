"""The two sets of examples on which the programs of Sharma et al. (2024) measure paths."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from otlmc.data import Dataset

MOST = 10_000
"""Examples of a set on which paths are measured and activations are matched, as in the paper."""


@dataclass(frozen=True)
class Sets:
    """Inputs and labels of the training set and of the test set, by ``"train"`` and ``"test"``."""

    inputs: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]

    @classmethod
    def of(cls, dataset: Dataset) -> "Sets":
        """Take the first examples of either split."""
        return cls(
            {"train": dataset.train_inputs[:MOST], "test": dataset.test_inputs[:MOST]},
            {"train": dataset.train_labels[:MOST], "test": dataset.test_labels[:MOST]},
        )
