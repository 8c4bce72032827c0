"""Two-layer networks in mean-field scaling: the deviation along the path (section "Two layers").

``f(x; theta) = (1/m) sum_i sigma(x; theta_i)``. B is permuted by the best matching of its neurons
with those of A, and ``theta(t) = (1 - t) theta_A + t theta_B``. The deviation is
``sup over x and t of |f(x; theta(t)) - (1 - t) f(x; theta_A) - t f(x; theta_B)|``.
"""

from otlmc import _check
from otlmc.bounds import two_sample
from otlmc.laws import Law
from otlmc.results import Bound


class TwoLayer:
    """Two independent networks whose neurons are drawn from one law.

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
    chaos_error : float
        For trained networks: root mean square distance of the neurons to independent draws from
        the law (propagation of chaos, Theorem 3.1 of Ferbach et al.). Both networks
        together add twice that to W_1 and W_2. It has no usable explicit constant, so that it is
        yours to give; at initialisation it is 0.

    Raises
    ------
    TypeError, ValueError
        If neither ``lipschitz`` nor ``smoothness`` is given, or one is not positive and finite.

    Examples
    --------
    >>> from otlmc.laws import Gaussian
    >>> network = TwoLayer(Gaussian(dim=5), lipschitz=1.0)
    >>> bound = network.deviation(1024)
    >>> bound.method, round(bound.value, 3)
    ('lipschitz', 0.701)
    """

    reference = "docs/derivations/two_layer; Ferbach et al. (2024), section 3"

    def __init__(
        self,
        neurons: Law,
        *,
        lipschitz: float | None = None,
        smoothness: float | None = None,
        chaos_error: float = 0.0,
    ) -> None:
        if not isinstance(neurons, Law):
            raise TypeError(
                "`neurons` must be a product law of otlmc.laws (a theorem needs the law, not a "
                f"cloud), got {type(neurons).__name__}"
            )
        if lipschitz is None and smoothness is None:
            raise ValueError("give `lipschitz`, `smoothness` or both")
        self.neurons = neurons
        # deviation <= factor * (W_p + 2 chaos)^p: a pair (p, factor) for each regularity
        self._routes: dict[str, tuple[int, float]] = {}
        if lipschitz is not None:
            self._routes["lipschitz"] = 1, _check.number("lipschitz", lipschitz, above=0.0) / 2
        if smoothness is not None:
            self._routes["smoothness"] = 2, _check.number("smoothness", smoothness, above=0.0) / 8
        self.chaos_error = _check.number("chaos_error", chaos_error, least=0.0)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the statements assume."""
        chaos = (
            "neurons of A and of B are independent draws from the law"
            if self.chaos_error == 0
            else f"neurons within {self.chaos_error:g} (root mean square) of independent draws"
        )
        scales = {1: 2.0, 2: 8.0}
        constants = ", ".join(f"{k} {scales[p] * f:g}" for k, (p, f) in self._routes.items())
        return (
            f"neurons follow {self.neurons!r}",
            chaos,
            f"mean-field scaling 1/m; sigma(x; .) has {constants} for all inputs x",
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
            The lesser of the Lipschitz and the smooth statement, where both constants are known.
        """

        def value(p: int, factor: float) -> float:
            cost = float(two_sample.upper(self.neurons, width, p=p, confidence=confidence))
            return factor * (cost ** (1 / p) + 2 * self.chaos_error) ** p

        return Bound.best("upper", {name: value(*route) for name, route in self._routes.items()})

    def matching_shortfall(self, width: int) -> Bound:
        """Lower bound on what the statements give for the deviation, whatever the permutation.

        Below this value no permutation of ``width`` neurons brings the right-hand side of a
        statement: it bounds the matching cost from below, not the deviation itself.
        """
        values = {
            name: factor * float(two_sample.lower(self.neurons, width, p=p))
            for name, (p, factor) in self._routes.items()
        }
        least = min(values, key=values.__getitem__)
        return Bound(
            value=values[least], method=least, kind="lower", candidates=tuple(values.items())
        )
