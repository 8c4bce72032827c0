"""Data sets as tensors: moons and digits built in, MNIST and CIFAR-10 from their standard files."""

from otlmc.data.dataset import DataError, Dataset
from otlmc.data.load import NAMES, load

__all__ = ["NAMES", "DataError", "Dataset", "load"]
