"""Connectivity: what lies between networks in the space of their parameters."""

from otlmc.connectivity.all_paths import all_paths
from otlmc.connectivity.features import features
from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.paths import path
from otlmc.connectivity.report import (
    FeatureReport,
    PathReport,
    PathsReport,
    PlaneReport,
    SimplexReport,
)
from otlmc.connectivity.simplices import plane, simplex

__all__ = [
    "FeatureReport",
    "Interpolation",
    "PathReport",
    "PathsReport",
    "PlaneReport",
    "SimplexReport",
    "all_paths",
    "features",
    "path",
    "plane",
    "simplex",
]
