"""Matching: permute the hidden units of one network onto those of another."""

from otlmc.matching.assignment import assign
from otlmc.matching.dimension import approximate_dimension, layer_dimensions
from otlmc.matching.joint import match_all
from otlmc.matching.methods import (
    Activation,
    BruteForce,
    Covariance,
    Preactivation,
    Weight,
    WeightIncoming,
)
from otlmc.matching.pairwise import match, match_sequence
from otlmc.matching.permutation import Permutation
from otlmc.matching.record import JointMatching, Matching
from otlmc.matching.relaxed import Relaxed
from otlmc.matching.spec import Axis, Layer, PermutationSpec
from otlmc.matching.tracing import infer_spec
from otlmc.matching.verification import Verification, verify

__all__ = [
    "Activation",
    "Axis",
    "BruteForce",
    "Covariance",
    "JointMatching",
    "Layer",
    "Matching",
    "Permutation",
    "PermutationSpec",
    "Preactivation",
    "Relaxed",
    "Verification",
    "Weight",
    "WeightIncoming",
    "approximate_dimension",
    "assign",
    "infer_spec",
    "layer_dimensions",
    "match",
    "match_all",
    "match_sequence",
    "verify",
]
