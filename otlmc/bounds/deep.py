"""Deep networks with independent Gaussian weights, aligned layer by layer.

``phi_l = sigma(z_l)``, ``z_l = (s / sqrt(m_{l-1})) W_l phi_{l-1} + b beta_l`` with W_l and beta_l
standard Gaussian, and outputs ``(s_out / sqrt(m_L)) V phi_L``. B is aligned from the input
upwards, every layer by the permutation that brings closest to those of A

- its rows of (weights, bias), in the metric of the second moments of (phi_{l-1}, 1) in A
  (``matching="covariance"``), or
- its pre-activations z_l on the data (``matching="preactivation"``).

Every norm below is a root mean square over neurons, data and weights.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from numpy.typing import ArrayLike

from otlmc import _check
from otlmc.bounds import two_sample
from otlmc.bounds.gram import GramFluctuation
from otlmc.kernels import Activation, preactivation_covariances, spectrum
from otlmc.laws import Gaussian
from otlmc.results import Bound, Record

Matching = Literal["covariance", "preactivation"]

# Root mean square Lipschitz constant of the activation. For ReLU, E (relu u - relu v)^2 <=
# E (u - v)^2 / 2 whenever (u, v) and (-u, -v) have one law, which flipping the signs of a layer's
# weights in both networks shows; erf is Lipschitz with constant 2 / sqrt(pi).
CONTRACTION: dict[Activation, float] = {
    "relu": 1 / math.sqrt(2),
    "erf": 2 / math.sqrt(math.pi),
    "linear": 1.0,
}


def _along_path(layers: int) -> float:
    """Return the largest factor of the squares along the path, see "Along the path".

    t (1 - t) max(t, 1 - t), at its largest at t = 1/3 and 2/3; above a single layer, where the
    distances to both ends are known one by one, 2 t^2 (1 - t)^2.
    """
    return 1 / 8 if layers == 1 else 4 / 27


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
        omega: distance of two matched samples of neurons with one Gram matrix on the data.
    gram : float
        beta: what the difference of the layers below adds. For pre-activations the Bures distance
        of the Gram matrices of A and B; for covariance matching s times the distance of the
        activations below.
    preactivations : float
        p: distance of the pre-activations of A and of the aligned B.
    units : float
        e: distance of their activations.
    path : float
        The largest over t of ``sqrt((1 - t) g_A^2 + t g_B^2)``, with g_A and g_B the distances of
        the interpolated network's activations to those of A and of the aligned B.
    """

    layer: int
    width: int
    weights: float
    gram: float
    preactivations: float
    units: float
    path: float


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
    matching : {"covariance", "preactivation"}
        How B is aligned. For a matching of the activations themselves ``units`` of
        ``"preactivation"`` is a bound too (it minimises that distance), but nothing is proved of
        its path.

    Attributes
    ----------
    proved : bool
        Whether :meth:`deviation` is a theorem. The kernels of layers 3 and above are those of
        infinite width: with them it is an ``"upper estimate"``.

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
    curse of its dimension, unlike in the recursion of the paper. For pre-activations
    ``p_l^2 <= omega_l^2 + beta_l^2``, with a bound on beta_l that vanishes as the layers below
    widen; it needs ``inputs``, and with ``spectra`` alone beta_l is bounded by ``s e_{l-1}``.

    Examples
    --------
    >>> identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> networks = DeepReLU(inputs=identity, hidden_layers=2, matching="preactivation")
    >>> [round(layer.units, 3) for layer in networks.layers(256)]
    [0.302, 0.317]
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
        matching: Matching = "covariance",
    ) -> None:
        if (inputs is None) == (spectra is None):
            raise ValueError("give exactly one of `inputs` and `spectra`")
        layers = _check.positive_int("hidden_layers", hidden_layers)
        self.weight_std = _check.number("weight_std", weight_std, above=0.0)
        self.bias_std = _check.number("bias_std", bias_std, least=0.0)
        self.output_std = _check.number("output_std", output_std, above=0.0)
        self.activation: Activation = _check.one_of("activation", activation, tuple(CONTRACTION))
        self.matching: Matching = _check.one_of("matching", matching, get_args(Matching))
        self._fluctuations: list[GramFluctuation] = []  # of layers 2 and above
        if inputs is not None:
            covariances = preactivation_covariances(
                inputs, layers, weight_std=weight_std, bias_std=bias_std, activation=activation
            )
            spectra = [spectrum(covariance) for covariance in covariances]
            if matching == "preactivation":
                self._fluctuations = [
                    GramFluctuation.of_layer(
                        below, weight_std=weight_std, bias_std=bias_std, activation=activation
                    )
                    for below in covariances[:-1]
                ]
        self.proved = layers <= 2
        if spectra is None or len(spectra) != layers:
            raise ValueError(f"`spectra` must hold {layers} spectra, one per hidden layer")
        self.laws = [Gaussian(spectrum=values) for values in spectra]
        self._known_costs: list[tuple[list[int], list[float]]] = [([], []) for _ in self.laws]

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        aligned = {
            "covariance": "covariance-aware weight matching",
            "preactivation": "matching of pre-activations",
        }
        deeper = ("kernels of layers 3 and above are those of infinite width (error O(1/m))",)
        return (
            f"independent Gaussian weights (s = {self.weight_std:g}) and biases "
            f"(b = {self.bias_std:g}) in {len(self.laws)} hidden layers, {self.activation}",
            f"B aligned by {aligned[self.matching]}; errors averaged over the given data",
            *(() if self.proved else deeper),
        )

    @property
    def hidden_layers(self) -> int:
        """Number L of hidden layers."""
        return len(self.laws)

    def layers(self, widths: int | Sequence[int]) -> list[LayerBound]:
        """Bound every layer of networks of the given width, or widths."""
        s, contraction = self.weight_std, CONTRACTION[self.activation]
        apart = moved = gram = 0.0  # of the layer below: p^2, the sum of the path, beta
        result = []
        for layer, width in enumerate(checked := self._widths(widths)):
            omega = math.sqrt(self._matching_cost(layer, width))
            inherited = s * contraction * math.sqrt(apart)  # s e_{l-1}
            if self.matching == "covariance":
                gram = inherited
                apart = omega**2 + math.sqrt(2) * omega * inherited + inherited**2
            else:
                if self._fluctuations and layer:
                    sampled = self._fluctuations[layer - 1].distance(checked[layer - 1])
                    inherited = min(inherited, sampled + s * contraction * gram)
                gram = inherited
                apart = omega**2 + gram**2
            # (1 - t) g_A^2 + t g_B^2 is at most t (1 - t) times this
            moved = contraction**2 * (s**2 * moved + apart)
            bound = LayerBound(
                layer=layer + 1,
                width=width,
                weights=omega,
                gram=gram,
                preactivations=math.sqrt(apart),
                units=contraction * math.sqrt(apart),
                path=math.sqrt(moved) / 2,
            )
            result.append(bound)
        return result

    def deviation(self, widths: int | Sequence[int], *, confidence: float | None = None) -> Bound:
        """Upper bound on the root mean square deviation of the output from the straight line.

        It holds at every t of the path: ``sqrt(E |y_t - (1-t) y_A - t y_B|^2)`` per output, the
        expectation over both networks and the data.

        Parameters
        ----------
        widths : int or sequence of int
            Units of every hidden layer, or of each.
        confidence : float, optional
            Bound the root mean square over the data, for the networks at hand, with at least this
            probability at each t (Markov's inequality for its square).
        """
        path = self.layers(widths)[-1].path
        value = self.output_std * 2 * path * math.sqrt(_along_path(len(self.laws)))
        if confidence is not None:
            value /= math.sqrt(1 - _check.number("confidence", confidence, above=0.0, below=1.0))
        kind = "upper" if self.proved else "upper estimate"
        return Bound.best(kind, {f"{self.matching} matching": value})

    def matching_shortfall(self, widths: int | Sequence[int]) -> Bound:
        """Lower bound on the right-hand side of :meth:`deviation`, whatever the permutations.

        Only the first layer, whose law is known exactly, is counted.
        """
        first = self._widths(widths)[0]
        omega = math.sqrt(float(two_sample.lower(self.laws[0], first)))
        contraction = CONTRACTION[self.activation]
        value = omega * contraction * (self.weight_std * contraction) ** (len(self.laws) - 1)
        value *= self.output_std * math.sqrt(_along_path(len(self.laws)))
        return Bound.best("lower", {"first layer": value})

    def _widths(self, widths: int | Sequence[int]) -> list[int]:
        if isinstance(widths, Sequence):
            if len(widths) != len(self.laws):
                raise ValueError(f"`widths` must have {len(self.laws)} entries, got {len(widths)}")
            return [_check.positive_int("widths", width) for width in widths]
        return [_check.positive_int("widths", widths)] * len(self.laws)

    def _matching_cost(self, layer: int, width: int) -> float:
        """Return U_2 of a layer, without work where it is known or lies between equal values.

        S_2 does not increase with the width, so that the value at a smaller width is a bound too.
        """
        widths, costs = self._known_costs[layer]
        place = bisect_right(widths, width)
        if place and (
            widths[place - 1] == width or (place < len(widths) and costs[place] == costs[place - 1])
        ):
            return costs[place - 1]
        cost = float(two_sample.upper(self.laws[layer], width))
        widths.insert(place, width)
        costs.insert(place, cost)
        return cost
