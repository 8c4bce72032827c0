"""Matching: permute the hidden units of one network onto those of another."""

from otlmc.matching.assignment import assign
from otlmc.matching.dimension import approximate_dimension, layer_dimensions
from otlmc.matching.pairwise import match
from otlmc.matching.permutation import Axis, Layer, Permutation, PermutationSpec
from otlmc.matching.record import Matching
from otlmc.matching.tracing import infer_spec

__all__ = [
    "Axis",
    "Layer",
    "Matching",
    "Permutation",
    "PermutationSpec",
    "approximate_dimension",
    "assign",
    "infer_spec",
    "layer_dimensions",
    "match",
]
