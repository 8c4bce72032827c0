"""How far apart two random Gram matrices of a wide layer are, in the Bures distance.

``G = (s^2 / m) sum_j phi_j phi_j^T / n + b^2 / n`` with m independent units. The Bures distance of
two covariances is W_2 between the centred Gaussians that have them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otlmc.kernels import Activation, activation_kernel, fourth_moment

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GramFluctuation:
    """The spectrum of a mean Gram matrix, and how much one unit varies along each eigenvector.

    Attributes
    ----------
    spectrum : ndarray
        Eigenvalues of the mean.
    variances : ndarray
        m times the expectation of ``|(G - E G) u|^2``, divided by the eigenvalue of u.
    """

    spectrum: Array
    variances: Array

    @classmethod
    def of_layer(
        cls,
        below: Array,
        *,
        weight_std: float,
        bias_std: float,
        activation: Activation,
    ) -> "GramFluctuation":
        """Return that of the layer above pre-activations with covariance ``below``."""
        size = len(below)
        kernel = activation_kernel(below, activation)
        moment = fourth_moment(below, activation)
        mean = (weight_std**2 * kernel + bias_std**2) / size
        eigenvalues, vectors = np.linalg.eigh(mean)
        kept = eigenvalues > 1e-13 * eigenvalues[-1]
        eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
        second = np.einsum("iu,ij,ju->u", vectors, moment, vectors, optimize=True)
        spread = second - np.square(kernel @ vectors).sum(axis=0)
        variances = (weight_std**2 / size) ** 2 * np.maximum(spread, 0.0) / eigenvalues
        return cls(eigenvalues, variances)

    def distance(self, width: int) -> float:
        """Bound the root mean square Bures distance of two independent G of a width.

        Examples
        --------
        >>> one = np.array([[1.0]])        # one example: the distance of two standard deviations
        >>> options = {"weight_std": 1.0, "bias_std": 0.0, "activation": "linear"}
        >>> GramFluctuation.of_layer(one, **options).distance(100)
        0.2
        """
        width_float = float(width) if width < 2**1000 else math.inf
        least = np.minimum(self.spectrum, self.variances / width_float)
        return math.sqrt(2 * float(least.sum()))
