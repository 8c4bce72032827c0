"""Connectivity: what lies between networks in the space of their parameters."""

from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.paths import path
from otlmc.results import PathReport

__all__ = ["Interpolation", "PathReport", "path"]
