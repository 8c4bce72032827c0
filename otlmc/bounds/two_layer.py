"""Two-layer networks in mean-field scaling: the deviation along the path (section "Two layers").

``f(x; theta) = (1/m) sum_i sigma(x; theta_i)``. B is permuted by the best matching of its neurons
with those of A, and ``theta(t) = (1 - t) theta_A + t theta_B``. The deviation is
``sup over x and t of |f(x; theta(t)) - (1 - t) f(x; theta_A) - t f(x; theta_B)|``, or the mean over
given inputs x of the supremum over t.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check
from otlmc.bounds import two_sample
from otlmc.bounds.kink import kink_metric, kinked_deviation
from otlmc.laws import Law
from otlmc.results import Bound

ORDERS = {"lipschitz": 1, "smoothness": 2, "kink": 2}
"""The order p of the distance W_p in which a statement measures the matching."""


class TwoLayer:
    """Two independent networks whose neurons are drawn from one law.

    Proof: ``docs/derivations/two_layer``.

    Parameters
    ----------
    neurons : Law
        Law of the parameters theta_i of a neuron.
    lipschitz : float, optional
        L such that sigma(x; .) is L-Lipschitz for every input x of interest. Then the deviation is
        at most 2 t (1 - t) L W_1 <= (L / 2) W_1.
    smoothness : float, optional
        beta such that the gradient of sigma(x; .) is beta-Lipschitz. Then the deviation is at most
        (beta / 2) t (1 - t) W_2^2 <= (beta / 8) W_2^2.
    kink : float, optional
        For neurons ``psi(<theta, x>)`` with psi linear but for a kink at 0, such as ReLU: the jump
        of the slope of psi times the largest ``|x|``. Then the deviation is of the order
        ``W_2^(4/3)``, see :func:`~otlmc.bounds.kinked_deviation`.
    inputs : array_like, shape (n, d), optional
        For neurons ``psi(<theta, x>)``: bound the mean over these inputs of the largest deviation
        over t, instead of the supremum over all inputs. The distances are then those of the metric
        of the inputs, ``|v|^2 = mean <v, x>^2`` (with a kink, that of
        :func:`~otlmc.bounds.kink_metric`), and the constants those of psi: the largest slope and
        second derivative, and the jump of the slope. Units with a bias read an input of ones.
    chaos_error : float
        For trained networks: root mean square distance of the neurons to independent draws from
        the law (propagation of chaos, Theorem 3.1 of Ferbach et al.), in the metric of the inputs
        where these are given (in both of them, with a kink), and for certain where a confidence
        is asked for. Both networks
        together add twice that to W_1 and W_2, and half of it to what a kink says. It has no usable
        explicit constant, so that it is yours to give; at initialisation it is 0.

    Raises
    ------
    TypeError, ValueError
        If none of ``lipschitz``, ``smoothness`` and ``kink`` is given, or one is not positive and
        finite; if ``inputs`` have the wrong shape, or the law is not Gaussian and their second
        moments are not diagonal in its coordinates.

    References
    ----------
    Ferbach et al. (2024), section 3

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> relu = TwoLayer(Gaussian(dim=5), lipschitz=1.0, kink=1.0)          # for |x| <= 1
    >>> for name, value in relu.deviation(2**20).candidates:
    ...     print(f"{name} {value:.3f}")
    lipschitz 0.278
    kink 0.090
    """

    def __init__(
        self,
        neurons: Law,
        *,
        lipschitz: float | None = None,
        smoothness: float | None = None,
        kink: float | None = None,
        inputs: ArrayLike | None = None,
        chaos_error: float = 0.0,
    ) -> None:
        if not isinstance(neurons, Law):
            raise TypeError(
                "`neurons` must be a product law of otlmc.laws (a theorem needs the law, not a "
                f"cloud), got {type(neurons).__name__}"
            )
        given = {"lipschitz": lipschitz, "smoothness": smoothness, "kink": kink}
        self.neurons = neurons
        self._constants = {
            name: _check.number(name, constant, above=0.0)
            for name, constant in given.items()
            if constant is not None
        }
        if not self._constants:
            raise ValueError("give `lipschitz`, `smoothness` or `kink`")
        self.chaos_error = _check.number("chaos_error", chaos_error, least=0.0)
        # the law in the metric in which a statement measures the distances
        self._laws = dict.fromkeys(self._constants, neurons)
        density, variance = neurons.projection_density(), float(neurons.variances.sum())
        self._where = "sigma(x; .)", "for all inputs x"
        if inputs is not None:
            kinked, density = kink_metric(neurons, inputs)
            x, variance = np.asarray(inputs, dtype=np.float64), 0.0
            for name in self._constants:
                metric = kinked if name == "kink" else x.T @ x / len(x)
                self._laws[name] = _seen(neurons, metric)
            self._where = "psi(<theta, x>)", f"in the mean over {len(x)} inputs x"
        self._near_kink = {"density": density, "variance": variance}

    @property
    def reference(self) -> str:
        """Where the proofs are."""
        pages = [f"docs/derivations/{page}" for page in ("two_layer", "kink")]
        shown = pages if "kink" in self._constants else pages[:1]
        return "; ".join([*shown, "Ferbach et al. (2024), section 3"])

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        chaos = (
            "neurons of A and of B are independent draws from the law"
            if self.chaos_error == 0
            else f"neurons within {self.chaos_error:g} (root mean square) of independent draws"
        )
        constants = ", ".join(f"{name} {value:g}" for name, value in self._constants.items())
        sigma, inputs = self._where
        if "kink" in self._constants:
            sigma = "psi(<theta, x>), psi linear but for a kink at 0,"
        return (
            f"neurons follow {self.neurons!r}",
            chaos,
            f"mean-field scaling 1/m; {sigma} has {constants} {inputs}",
        )

    def deviation(self, width: int, *, confidence: float | None = None) -> Bound:
        """Upper bound on the expected deviation, or on the deviation with a confidence.

        Parameters
        ----------
        width : int
            Neurons of each network.
        confidence : float, optional
            Bound the deviation itself with at least this probability.

        Returns
        -------
        Bound
            The least of the statements whose constants are known. The permutation is the best one
            for the distance of that statement: W_1 for ``"lipschitz"``, W_2 for the others.
        """
        values = {}
        for name in self._constants:
            sure, miss = confidence, None
            if confidence is not None and name == "kink":  # two events, half of the risk each
                sure, miss = (1 + confidence) / 2, (1 - confidence) / 2
            cost = two_sample.upper(self._laws[name], width, p=ORDERS[name], confidence=sure)
            values[name] = self._bound(name, width, float(cost), self.chaos_error, miss)
        return Bound.best("upper", values)

    def matching_shortfall(self, width: int) -> Bound:
        """Lower bound on what the statements give for the deviation, whatever the permutation.

        Below this value no permutation of ``width`` neurons brings the right-hand side of a
        statement: it bounds the matching cost from below, not the deviation itself.
        """
        values = {
            name: self._bound(
                name, width, float(two_sample.lower(self._laws[name], width, p=ORDERS[name]))
            )
            for name in self._constants
        }
        least = min(values, key=values.__getitem__)
        return Bound(
            value=values[least], method=least, kind="lower", candidates=tuple(values.items())
        )

    def _bound(
        self, name: str, width: int, cost: float, chaos: float = 0.0, miss: float | None = None
    ) -> float:
        """Return the right-hand side of a statement for a matching cost W_p^p."""
        constant, distance = self._constants[name], cost ** (1 / ORDERS[name]) + 2 * chaos
        if name == "lipschitz":
            return constant / 2 * distance
        if name == "smoothness":
            return constant / 8 * distance**2
        kinked = kinked_deviation(width, distance**2, miss=miss, **self._near_kink)
        return constant * (kinked + chaos / 2)


def _seen(law: Law, metric: NDArray[np.float64]) -> Law:
    try:
        return law.in_metric(metric)
    except ValueError as error:
        raise ValueError(f"`inputs` ask for a metric in which the law is none: {error}") from error
