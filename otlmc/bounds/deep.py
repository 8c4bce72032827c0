"""Deep networks with independent Gaussian weights, aligned layer by layer.

``phi_l = sigma(z_l)``, ``z_l = (s / sqrt(m_{l-1})) W_l phi_{l-1} + b beta_l`` with W_l and beta_l
standard Gaussian, and outputs ``(s_out / sqrt(m_L)) V phi_L``. B is aligned from the input
upwards: in each layer the permutation that brings its rows of (weights, bias) closest to those of
A in the metric of the second moments of (phi_{l-1}, 1) in A: covariance-aware weight matching.
Every norm below is a root mean square over neurons, data and weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.bounds import two_sample
from otlmc.kernels import Activation, preactivation_covariances, spectrum
from otlmc.laws import Gaussian
from otlmc.results import Bound, Record

Array = NDArray[np.float64]

# Root mean square Lipschitz constant of the activation. For ReLU, E (relu u - relu v)^2 <=
# E (u - v)^2 / 2 whenever (u, v) and (-u, -v) have one law, which flipping the signs of a layer's
# weights in both networks shows; erf is Lipschitz with constant 2 / sqrt(pi).
CONTRACTION: dict[Activation, float] = {
    "relu": 1 / math.sqrt(2),
    "erf": 2 / math.sqrt(math.pi),
    "linear": 1.0,
}

_PATH = np.linspace(0.0, 1.0, 65)


@dataclass(frozen=True, kw_only=True)
class LayerBound(Record):
    """Bounds on one layer, root mean squares per neuron.

    Attributes
    ----------
    layer : int
        From 1.
    width : int
        Its units.
    weights : float
        omega: distance of the matched rows of A and B in the metric of A's activations.
    units : float
        e: distance of the activations of A and of the aligned B.
    from_a, from_b : float
        Largest distance, over the path, of the activations of the interpolated network to those of
        A, and to those of the aligned B.
    """

    layer: int
    width: int
    weights: float
    units: float
    from_a: float
    from_b: float


class DeepReLU:
    """Two independent deep networks at initialisation, on given data (ReLU unless said otherwise).

    Parameters
    ----------
    inputs : array_like, shape (n, d), optional
        The data, over which everything is averaged.
    spectra : sequence of array_like, optional
        Instead of ``inputs``: for every hidden layer the eigenvalues of the covariance of the
        pre-activations of a unit, divided by n (:func:`otlmc.kernels.spectrum`).
    hidden_layers : int
        Number L of hidden layers.
    weight_std, bias_std, output_std : float
        s, b and s_out above.
    activation : {"relu", "erf", "linear"}
        sigma.

    Raises
    ------
    TypeError, ValueError
        Unless exactly one of ``inputs`` and ``spectra`` is given, in the right shape.

    Notes
    -----
    omega_l^2 is the expected cost of matching two samples of m_l Gaussian neurons whose Gram matrix
    on the data is random, by the layers below. That cost is concave in the Gram matrix, so it is at
    most the cost at the expected one, which has the kernel's eigenvalues: exactly for layers 1 and
    2, up to O(1/m) above. So the width of the layer below does not enter: there is no
    curse of its dimension, unlike in the recursion of the paper.

    Examples
    --------
    >>> networks = DeepReLU(inputs=np.eye(3), hidden_layers=2)
    >>> [round(layer.units, 3) for layer in networks.layers(256)]
    [0.302, 0.59]
    """

    reference = "docs/derivations/deep; Ferbach et al. (2024), Lemma 4.1 and Theorem 5.2"

    def __init__(
        self,
        inputs: ArrayLike | None = None,
        *,
        spectra: Sequence[ArrayLike] | None = None,
        hidden_layers: int,
        weight_std: float = math.sqrt(2),
        bias_std: float = 0.0,
        output_std: float = 1.0,
        activation: Activation = "relu",
    ) -> None:
        if (inputs is None) == (spectra is None):
            raise ValueError("give exactly one of `inputs` and `spectra`")
        layers = _check.positive_int("hidden_layers", hidden_layers)
        self.weight_std = _check.number("weight_std", weight_std, above=0.0)
        self.bias_std = _check.number("bias_std", bias_std, least=0.0)
        self.output_std = _check.number("output_std", output_std, above=0.0)
        self.activation: Activation = _check.one_of("activation", activation, tuple(CONTRACTION))
        if inputs is not None:
            covariances = preactivation_covariances(
                inputs, layers, weight_std=weight_std, bias_std=bias_std, activation=activation
            )
            spectra = [spectrum(covariance) for covariance in covariances]
        if spectra is None or len(spectra) != layers:
            raise ValueError(f"`spectra` must hold {layers} spectra, one per hidden layer")
        self.laws = [Gaussian(spectrum=values) for values in spectra]

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        deeper = ("kernels of layers 3 and above are those of infinite width (error O(1/m))",)
        return (
            f"independent Gaussian weights (s = {self.weight_std:g}) and biases "
            f"(b = {self.bias_std:g}) in {len(self.laws)} hidden layers, {self.activation}",
            "B aligned by covariance-aware weight matching; errors averaged over the given data",
            *(deeper if len(self.laws) > 2 else ()),
        )

    def layers(self, widths: int | Sequence[int]) -> list[LayerBound]:
        """Bound every layer of networks of the given width, or widths."""
        return [layer for layer, _, _ in self._recursion(self._widths(widths))]

    def deviation(self, widths: int | Sequence[int], *, confidence: float | None = None) -> Bound:
        """Upper bound on the root mean square deviation of the output from the straight line.

        It holds at every t of the path: ``sqrt(E |y_t - (1-t) y_A - t y_B|^2)`` per output, the
        expectation over both networks and the data; the largest over a grid of t is returned.

        Parameters
        ----------
        widths : int or sequence of int
            Units of every hidden layer, or of each.
        confidence : float, optional
            Bound the root mean square over the data, for the networks at hand, with at least this
            probability at each t (Markov's inequality for its square).
        """
        *_, (_, from_a, from_b) = self._recursion(self._widths(widths))
        value = self.output_std * float(np.hypot((1 - _PATH) * from_a, _PATH * from_b).max())
        if confidence is not None:
            value /= math.sqrt(1 - _check.number("confidence", confidence, above=0.0, below=1.0))
        return Bound.best("upper", {"covariance matching": value})

    def matching_shortfall(self, widths: int | Sequence[int]) -> Bound:
        """Lower bound on the right-hand side of :meth:`deviation`, whatever the permutations.

        Only the first layer, whose law is known exactly, is counted.
        """
        first = self._widths(widths)[0]
        omega = math.sqrt(float(two_sample.lower(self.laws[0], first)))
        contraction = CONTRACTION[self.activation]
        value = omega * contraction * (self.weight_std * contraction) ** (len(self.laws) - 1)
        # from_a >= t times this, from_b >= (1 - t) times this: their sum of squares at t = 1/2
        value *= self.output_std * math.sqrt(2) / 4
        return Bound.best("lower", {"first layer": value})

    def _widths(self, widths: int | Sequence[int]) -> list[int]:
        if isinstance(widths, Sequence):
            if len(widths) != len(self.laws):
                raise ValueError(f"`widths` must have {len(self.laws)} entries, got {len(widths)}")
            return [_check.positive_int("widths", width) for width in widths]
        return [_check.positive_int("widths", widths)] * len(self.laws)

    def _recursion(self, widths: list[int]) -> list[tuple[LayerBound, Array, Array]]:
        """Run up the layers: each with the distances to A and B at every point of the path."""
        s, contraction = self.weight_std, CONTRACTION[self.activation]
        error, from_a, from_b = 0.0, np.zeros_like(_PATH), np.zeros_like(_PATH)
        result = []
        for layer, (law, width) in enumerate(zip(self.laws, widths, strict=True), start=1):
            omega = math.sqrt(float(two_sample.upper(law, width)))
            apart = omega + s * error  # of the pre-activations of A and B
            # W_t phi_t - W_A phi_A = W_t (phi_t - phi_A) + t (W_B - W_A) phi_A
            new_a = contraction * (_PATH * omega + s * from_a)
            # W_t phi_t - W_B phi_B = (1-t) [W_A (phi_t - phi_A) + (W_A phi_A - W_B phi_B)]
            #                         + t W_B (phi_t - phi_B)
            by_b = contraction * ((1 - _PATH) * (s * from_a + apart) + _PATH * s * from_b)
            error = contraction * apart
            from_a, from_b = new_a, np.minimum(by_b, new_a + error)
            bound = LayerBound(
                layer=layer,
                width=width,
                weights=omega,
                units=error,
                from_a=float(from_a.max()),
                from_b=float(from_b.max()),
            )
            result.append((bound, from_a, from_b))
        return result
