"""What the functions of otlmc return: frozen records that print as small tables.

Every record has :meth:`Record.to_record`, a flat dictionary for a data frame or a CSV row.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy  # its parts are loaded when they are first used
from numpy.typing import NDArray

BoundKind = Literal["upper", "lower", "upper estimate", "lower estimate"]
"""The side of a bound, and whether it is a theorem or, with measured quantities or limits in the
place of exact ones, an estimate."""

Kind = Literal["upper", "lower", "two-sided", "rate", "prediction", "measurement"]
"""What stands behind a bound: a theorem on one side or both, a rate whose constant is
unknown, a prediction outside every theorem, or nothing but a measurement."""


@dataclass(frozen=True)
class Record:
    """Base of the result records."""

    def to_record(self) -> dict[str, Any]:
        """Return the scalar fields as a flat dictionary, in the order of their declaration."""
        scalars = (int, float, str, bool, type(None))
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {k: v for k, v in values.items() if isinstance(v, scalars)}


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """A measured quantity beside what theory says of it.

    Attributes
    ----------
    quantity : str
        What was measured, with its normalisation.
    measured, stderr : float
        The measurement and its standard error (0 when it is exact).
    lower, upper : float or None
        The theoretical limits, where there are any.
    kind : str
        ``"upper"``, ``"lower"`` or ``"two-sided"`` for theorems, ``"rate"``, ``"prediction"`` or
        ``"measurement"``.
    reference : str
        The statement behind the limits.
    """

    quantity: str
    measured: float
    stderr: float = 0.0
    lower: float | None = None
    upper: float | None = None
    kind: Kind = "measurement"
    reference: str = ""

    def holds(self, z: float = 5.0) -> bool:
        """Whether the measurement respects its limits up to ``z`` standard errors.

        Examples
        --------
        >>> Comparison(quantity="S_2", measured=1.02, stderr=0.01, upper=1.0, kind="upper").holds()
        True
        """
        slack = z * self.stderr
        above = self.lower is None or self.measured >= self.lower - slack
        below = self.upper is None or self.measured <= self.upper + slack
        return bool(above and below)


@dataclass(frozen=True, kw_only=True)
class Bound(Record):
    """The best of several bounds on one side; ``float(bound)`` is its value.

    Attributes
    ----------
    value : float
        The bound.
    method : str
        The statement that gave it.
    kind : {"upper", "lower", "upper estimate", "lower estimate"}
        Its side; an estimate is no theorem: a measured quantity entered, or a limit.
    candidates : tuple of (str, float)
        Every statement that was evaluated, with its value.
    """

    value: float
    method: str
    kind: BoundKind
    candidates: tuple[tuple[str, float], ...]

    @classmethod
    def best(cls, kind: BoundKind, candidates: dict[str, float]) -> "Bound":
        """Return the least upper or the largest lower bound.

        Raises
        ------
        FloatingPointError
            If one is not a number, which no comparison would notice.
        """
        if any(math.isnan(value) for value in candidates.values()):
            raise FloatingPointError(f"a bound is not a number: {candidates}")
        choose = min if kind.startswith("upper") else max
        method = choose(candidates, key=candidates.__getitem__)
        return cls(
            value=float(candidates[method]),
            method=method,
            kind=kind,
            candidates=tuple(candidates.items()),
        )

    def __float__(self) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class WidthBound(Record):
    """How wide a layer must be, between a necessary and a sufficient width.

    Attributes
    ----------
    upper, lower : int or None
        A sufficient and a necessary width; ``None`` where the number is too large for a float.
    log2_upper, log2_lower : float
        Their binary logarithms, always present.
    tolerance : float
        What is to be reached.
    assumptions : tuple of str
        Everything that the statement assumes.
    reference : str
        Where the proof stands.
    """

    upper: int | None
    lower: int | None
    log2_upper: float
    log2_lower: float
    tolerance: float
    assumptions: tuple[str, ...]
    reference: str

    def __str__(self) -> str:
        """Print as a small table."""

        def row(name: str, width: int | None, log2: float) -> str:
            shown = "-" if width is None else f"{width:,}"
            return f"{name:<12}{shown:>24}{log2:>14.4f}"

        lines = [
            f"width for tolerance {self.tolerance:g}",
            f"{'':<12}{'width':>24}{'log2 width':>14}",
            row("sufficient", self.upper, self.log2_upper),
            row("necessary", self.lower, self.log2_lower),
            *(f"assumes: {line}" for line in self.assumptions),
            f"proof:   {self.reference}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class LayerWidths(Record):
    """How wide each layer must be, with as few units in all as the search found.

    Attributes
    ----------
    widths : tuple of int
        Sufficient widths, from the first hidden layer.
    units : int
        Their sum.
    equal : int
        The sufficient width if all layers have the same.
    deviation, tolerance : float
        The bound at ``widths``, and what it was to reach.
    assumptions : tuple of str
        Everything that the statement assumes.
    reference : str
        Where the proof stands.
    """

    widths: tuple[int, ...]
    units: int
    equal: int
    deviation: float
    tolerance: float
    assumptions: tuple[str, ...]
    reference: str

    def __str__(self) -> str:
        """Print as a small table."""

        def row(name: str, width: int) -> str:
            shown = f"{width:,}" if width < 2**53 else "-"
            return f"{name:<16}{shown:>24}{math.log2(width):>14.4f}"

        lines = [
            f"widths for tolerance {self.tolerance:g}, reached {self.deviation:g}",
            f"{'':<16}{'width':>24}{'log2 width':>14}",
            *(row(f"layer {place}", width) for place, width in enumerate(self.widths, start=1)),
            row("units in all", self.units),
            row("if all are equal", self.equal),
            *(f"assumes: {line}" for line in self.assumptions),
            f"proof:   {self.reference}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True, eq=False)
class Transport(Record):
    """An optimal transport between two samples.

    Attributes
    ----------
    value : float
        W_p; ``cost`` is W_p^p.
    p : int
        The order.
    permutation : ndarray of int, shape (m,), or None
        For uniform weights and equal sizes: ``permutation[i]`` is the point of the second sample
        that is matched with point ``i`` of the first.
    plan : sparse array, shape (m, n), or None
        The coupling, where it is not a permutation; fewer than m + n entries are not zero.
    gap : float
        Certificate: primal cost minus a feasible dual value (0 up to round-off when optimal).
    method : str
        The route taken: ``"sort"`` or ``"network simplex"``.
    """

    value: float
    cost: float
    p: int
    gap: float
    method: str
    permutation: NDArray[np.int64] | None = None
    plan: "scipy.sparse.coo_array | None" = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RateFit(Record):
    """A power law c n^exponent fitted to a ladder of sizes, with its confidence interval.

    Attributes
    ----------
    exponent, low, high : float
        The fitted slope of log value against log size and its interval.
    constant : float
        The factor c.
    confidence : float
        Level of the interval.
    sizes, means, stderrs : ndarray
        The ladder that was fitted.
    """

    exponent: float
    low: float
    high: float
    constant: float
    confidence: float
    sizes: NDArray[np.float64]
    means: NDArray[np.float64]
    stderrs: NDArray[np.float64]

    def __str__(self) -> str:
        """Print the exponent with its interval."""
        return (
            f"exponent {self.exponent:.3f} "
            f"[{self.low:.3f}, {self.high:.3f}] at {self.confidence:.0%} confidence"
        )
