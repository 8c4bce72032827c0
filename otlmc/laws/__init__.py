"""Laws of a neuron: the distributions from which the units of a layer are drawn independently.

Every law with a theorem is a product law; :class:`Empirical` is a cloud of measured neurons.
"""

from otlmc.laws.empirical import Empirical
from otlmc.laws.product import (
    Block,
    Gaussian,
    Laplace,
    Law,
    Product,
    TruncatedGaussian,
    Uniform,
)

__all__ = [
    "Block",
    "Empirical",
    "Gaussian",
    "Laplace",
    "Law",
    "Product",
    "TruncatedGaussian",
    "Uniform",
]
