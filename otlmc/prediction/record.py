"""The records of a prediction across widths."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

from otlmc import _check
from otlmc._text import Cell, aligned
from otlmc.results import RateFit, Record

_WIDTHS = sorted({round(2 ** (step / 8)) for step in range(8 * 60 + 1)})
"""What is searched; wider than 2^60 is never."""


@dataclass(frozen=True, kw_only=True)
class PredictedValue(Record):
    """A quantity at a width at which nothing was measured.

    Attributes
    ----------
    quantity : str
        What is predicted.
    width : int
        Units of every hidden layer.
    value, low, high : float
        The prediction, and the interval in which one further pair of networks is expected.
    confidence : float
        Nominal level of the interval.
    """

    quantity: str
    width: int
    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, kw_only=True)
class PredictedWidth(Record):
    """The least width at which a quantity is predicted to meet a tolerance.

    Attributes
    ----------
    quantity : str
        What is to be small.
    tolerance : float
        How small.
    width, low, high : int or None
        Where the prediction, and both ends of its interval, meet the tolerance; ``None`` where they
        never do, or not below 2^60.
    source : int
        Width of the networks that were measured.
    confidence : float
        Nominal level of the interval.
    """

    quantity: str
    tolerance: float
    width: int | None
    low: int | None
    high: int | None
    source: int
    confidence: float

    def __str__(self) -> str:
        """Print in one line."""
        shown = ["never" if w is None else f"{w:,}" for w in (self.width, self.low, self.high)]
        return (
            f"{self.quantity} <= {self.tolerance:g}: width {shown[0]} "
            f"[{shown[1]}, {shown[2]}] ({self.confidence:.0%} interval, predicted from width "
            f"{self.source})"
        )


@dataclass(frozen=True, kw_only=True)
class SupportDimension(Record):
    """The k of a matching cost that falls like n^(-2/k) on the subsamples of a layer.

    Attributes
    ----------
    layer : int
        Hidden layer, from 1.
    value, low, high : float
        The dimension with its interval; infinite where the cost does not fall.
    """

    layer: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, layer: int, exponent: float, error: float) -> "SupportDimension":
        """Read the dimension off the exponent of the cost, plus or minus an error.

        Examples
        --------
        >>> SupportDimension.of(1, -0.5, 0.5)
        SupportDimension(layer=1, value=4.0, low=2.0, high=inf)
        """
        slopes = exponent, exponent - error, exponent + error
        value, low, high = (-2 / slope if slope < 0 else math.inf for slope in slopes)
        return cls(layer=layer, value=value, low=low, high=high)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScalingLaw(Record):
    """How a quantity is predicted to change with the width: measured * (width / source)^exponent.

    The interval is that of one further pair of networks. It reaches from the lowest to the highest
    of the routes, and on a logarithmic scale beyond both by ``q * sqrt(2 noise^2 + stderr^2 x^2)``,
    ``x = log(width / source)``, q the quantile of Student's law: both pairs have their noise, and
    the exponent has its error.

    Attributes
    ----------
    quantity : str
        What is predicted.
    source : int
        Width of the networks that were measured.
    measured : float
        The quantity at that width.
    routes : tuple of (str, float)
        The exponents that two ways of reading the sub-networks give.
    wider, narrower : float
        The exponents of the prediction itself, above and below the source.
    stderr : float
        Standard error of the mean of the routes, from the repetitions of the sub-networks.
    noise : float
        Standard deviation of the logarithm between pairs of networks of one width.
    repetitions : int
        How many they were; one less are the degrees of freedom.
    confidence : float
        Nominal level of the intervals.
    """

    quantity: str
    source: int
    measured: float
    routes: tuple[tuple[str, float], ...]
    wider: float
    narrower: float
    stderr: float
    noise: float
    repetitions: int
    confidence: float

    def to_record(self) -> dict[str, Any]:
        """Return the scalars, and the exponent of every route."""
        columns = {f"exponent[{name}]": value for name, value in self.routes}
        return super().to_record() | columns

    def at(self, width: int) -> PredictedValue:
        """Predict the quantity at a width.

        Raises
        ------
        TypeError, ValueError
            If the width is no positive integer.

        Examples
        --------
        >>> law = ScalingLaw(quantity="deviation", source=100, measured=2.0, wider=-0.5,
        ...                  narrower=-0.4, routes=(("a", -0.5), ("b", -0.4)), stderr=0.01,
        ...                  noise=0.1, repetitions=8, confidence=0.9)
        >>> law.at(400).value, law.width_for(0.5).width
        (1.0, 1600)
        """
        width = _check.positive_int("width", width)
        low, value, high = (
            self.measured * math.exp(self._change(width, side)) for side in (-1, 0, 1)
        )
        return PredictedValue(
            quantity=self.quantity,
            width=width,
            value=value,
            low=low,
            high=high,
            confidence=self.confidence,
        )

    def width_for(self, tolerance: float) -> PredictedWidth:
        """Predict the least width at which the quantity is at most ``tolerance``.

        Raises
        ------
        TypeError, ValueError
            If the tolerance is not positive and finite.
        """
        wanted = _check.number("tolerance", tolerance, above=0.0)
        centre, low, high = (self._least(wanted, side) for side in (0, -1, 1))
        return PredictedWidth(
            quantity=self.quantity,
            tolerance=wanted,
            width=centre,
            low=low,
            high=high,
            source=self.source,
            confidence=self.confidence,
        )

    def _change(self, width: int, side: int) -> float:
        """Return the logarithm of the prediction, or of an end of its interval, over measured."""
        x = math.log(width / self.source)
        if side == 0:
            return x * (self.wider if x > 0 else self.narrower)
        quantile = float(stdtrit(self.repetitions - 1, 0.5 + self.confidence / 2))
        beyond = quantile * math.hypot(math.sqrt(2) * self.noise, self.stderr * x)
        return side * (max(side * x * route for _, route in self.routes) + beyond)

    def _least(self, tolerance: float, side: int) -> int | None:
        limit = math.log(tolerance / self.measured)

        def meets(width: int) -> bool:
            return self._change(width, side) <= limit

        # The end of an interval may rise again far from the source: only its first fall counts.
        fails = 0
        for width in _WIDTHS:
            if meets(width):
                between = range(fails + 1, width + 1)
                return between[bisect_left(between, True, key=meets)]
            fails = width
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthPrediction(Record):
    """What two networks of one width say of other widths: a prediction, not a theorem.

    Attributes
    ----------
    width : int
        Units of every hidden layer of the two networks.
    matching : tuple of ScalingLaw
        For every hidden layer the cost of the best matching, over that of a random one.
    deviation : ScalingLaw
        Of the outputs at t = 1/2 from the interpolated outputs, root mean square over the inputs.
    loss_barrier : ScalingLaw or None
        Largest excess of the mean cross-entropy over the straight line; ``None`` without labels or
        where there is no barrier to begin with.
    dimensions : tuple of SupportDimension
        For every hidden layer.
    ladders : tuple of RateFit
        The measurements on sub-networks: costs, layer by layer, then the deviation.
    """

    width: int
    matching: tuple[ScalingLaw, ...]
    deviation: ScalingLaw
    loss_barrier: ScalingLaw | None
    dimensions: tuple[SupportDimension, ...]
    ladders: tuple[RateFit, ...]

    @property
    def laws(self) -> tuple[ScalingLaw, ...]:
        """All laws."""
        barrier = () if self.loss_barrier is None else (self.loss_barrier,)
        return (*self.matching, self.deviation, *barrier)

    def at(self, width: int) -> tuple[PredictedValue, ...]:
        """Predict every quantity at a width; see :meth:`ScalingLaw.at`."""
        return tuple(law.at(width) for law in self.laws)

    def width_for(self, tolerance: float) -> PredictedWidth:
        """Predict the least width whose deviation is at most ``tolerance``.

        For the barrier, ``prediction.loss_barrier.width_for(tolerance)``.

        Raises
        ------
        TypeError, ValueError
            If the tolerance is not positive and finite.
        """
        return self.deviation.width_for(tolerance)

    def to_record(self) -> dict[str, Any]:
        """Return the width, and of every quantity its measurement and exponents."""
        columns = {
            f"{name}[{law.quantity}]": getattr(law, name)
            for law in self.laws
            for name in ("measured", "wider", "narrower")
        }
        dimensions = {f"dimension[{d.layer}]": d.value for d in self.dimensions}
        return {"width": self.width} | columns | dimensions

    def __str__(self) -> str:
        """Print what was measured and what is predicted at twice to eight times the width."""
        widths = [self.width * factor for factor in (2, 4, 8)]
        rows: list[tuple[Cell, ...]] = [
            ("quantity", "k", "exponent", f"at {self.width}", *(f"at {w}" for w in widths))
        ]
        for index, law in enumerate(self.laws):
            k = self.dimensions[index].value if index < len(self.dimensions) else None
            cells = (f"{p.value:.3g} [{p.low:.3g}, {p.high:.3g}]" for p in map(law.at, widths))
            rows.append((law.quantity, k, law.wider, law.measured, *cells))
        title = f"prediction (no theorem) from two networks of width {self.width}"
        return f"{title}, {self.deviation.confidence:.0%} intervals\n{aligned(rows)}"
