"""Multilayer perceptrons, alone and stacked, and their training."""

from otlmc.networks.config import TrainConfig
from otlmc.networks.evaluation import Evaluation, evaluate
from otlmc.networks.initialisation import draw
from otlmc.networks.mlp import MLP, Architecture
from otlmc.networks.schedules import Schedule
from otlmc.networks.stack import Stack
from otlmc.networks.training import TrainResult, train

__all__ = [
    "MLP",
    "Architecture",
    "Evaluation",
    "Schedule",
    "Stack",
    "TrainConfig",
    "TrainResult",
    "draw",
    "evaluate",
    "train",
]
