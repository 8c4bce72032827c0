"""What the literature says of the width, beside our own theorems (rates of ``bounds.rates``)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from otlmc._text import aligned
from otlmc.bounds import rates
from otlmc.bounds.deep import DeepReLU
from otlmc.bounds.tower import Tower
from otlmc.bounds.two_layer import TwoLayer
from otlmc.bounds.width import Network, min_width
from otlmc.results import Record


@dataclass(frozen=True, kw_only=True)
class WidthStatement(Record):
    """A statement on the width of a layer, or that it makes none.

    Attributes
    ----------
    statement : str
        Who states it.
    applies_to : str
        The networks and, where it is not the deviation, what the tolerance stands for.
    layer : int or None
        Hidden layer; ``None`` for all of them.
    side : {"sufficient", "necessary"}
        What the width is.
    width : Tower or None
        The width; ``None`` where the statement gives no number.
    kind : {"rate", "upper", "lower", "prediction"}
        ``"rate"`` if its constants are unknown, the side of a theorem, or ``"prediction"`` where
        ours takes the kernels of layers 3 and above at infinite width.
    """

    statement: str
    applies_to: str
    layer: int | None
    side: Literal["sufficient", "necessary"]
    width: Tower | None
    kind: Literal["rate", "upper", "lower", "prediction"]

    @property
    def standing(self) -> str:
        """What stands behind the number, in words."""
        if self.kind == "rate":
            return "rate, constants unknown" if self.width else "existence, no rate"
        return "prediction" if self.kind == "prediction" else "theorem, explicit"

    def to_record(self) -> dict[str, Any]:
        """Return a row: the width printed as a power of 2, and its logarithm where it is finite."""
        log2 = self.width.log2 if self.width else None
        row = super().to_record() | {"standing": self.standing}
        return row | {"width": str(self.width) if self.width else None, "log2_width": log2}


@dataclass(frozen=True, kw_only=True)
class WidthTable(Record):
    """Statements on the width for one tolerance.

    Attributes
    ----------
    tolerance : float
        What is to be reached.
    constants : str
        The values given to the unknown constants.
    rows : tuple of WidthStatement
        Published statements, then ours.
    """

    tolerance: float
    constants: str
    rows: tuple[WidthStatement, ...]

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dictionary for each row, for a data frame."""
        return [row.to_record() | {"tolerance": self.tolerance} for row in self.rows]

    def __str__(self) -> str:
        """Print as a small table."""
        header = ("statement", "layer", "side", "width", "standing")
        cells = [
            (r.statement, r.layer or "all", r.side, str(r.width) if r.width else "-", r.standing)
            for r in self.rows
        ]
        title = f"width for tolerance {self.tolerance:g}; rates with {self.constants}"
        return f"{title}\n{aligned([header, *cells])}"


def compare(
    network: TwoLayer | DeepReLU,
    tolerance: float,
    *,
    confidence: float | None = None,
    constant: float = 1.0,
    scale: float | Sequence[float] = 1.0,
    subspace: tuple[int, float] | None = None,
) -> WidthTable:
    """Tabulate what the literature and this package say of the width for a tolerance.

    Parameters
    ----------
    network : TwoLayer or DeepReLU
        Two independent networks. The dimension d of the rates is the number of coordinates of a
        neuron (of the first layer) that vary.
    tolerance : float
        Deviation along the path; below the scales.
    confidence : float, optional
        For our rows, as in :func:`otlmc.bounds.min_width`.
    constant : float
        C of every rate.
    scale : float or sequence of float
        T of every rate, or that of each layer for Theorem 5.2, whose first the others take. The
        density of Theorem 5.3 is ``T^-d``.
    subspace : (int, float), optional
        Dimension k and distance eta of a subspace near which all neurons of the first layer lie,
        for Theorem 5.4.

    Returns
    -------
    WidthTable
        It prints as a table; ``to_records()`` makes a data frame.

    Raises
    ------
    TypeError, ValueError
        For another kind of network, or a parameter out of its range.

    Examples
    --------
    >>> from otlmc import bounds, laws
    >>> table = compare(bounds.TwoLayer(laws.Gaussian(dim=2), lipschitz=1.0), 0.25)
    >>> print(table)
    width for tolerance 0.25; rates with C = 1, T = 1
    statement                    layer        side...width                 standing
    Ferbach et al., Theorem 3.1      1  sufficient...    -       existence, no rate
    Ferbach et al., Theorem 5.2      1  sufficient...  2^4  rate, constants unknown
    Ferbach et al., Theorem 5.3      1   necessary...  2^4  rate, constants unknown
    Entezari et al.                  1  sufficient... 2^16  rate, constants unknown
    Zhan, Li and Wu                  1  sufficient...  2^4  rate, constants unknown
    otlmc                          all  sufficient...        theorem, explicit
    otlmc                          all   necessary...        theorem, explicit
    """
    if not isinstance(network, TwoLayer | DeepReLU):
        raise TypeError(f"`network` must be a TwoLayer or DeepReLU, got {type(network).__name__}")
    laws = [network.neurons] if isinstance(network, TwoLayer) else network.laws
    dim = sum(len(block.variances) for block in laws[0].blocks)
    scales = list(scale) if isinstance(scale, Sequence) else [scale] * len(laws)
    widths = rates.layer_widths(dim, tolerance, layers=len(laws), constant=constant, scale=scales)
    first: dict[str, float] = {"constant": constant, "scale": scales[0]}
    rows = [
        _rate(f"{_FERBACH} 5.2", "independent (sub-)Gaussian weights", width, layer=layer)
        for layer, width in enumerate(widths, start=1)
    ]
    density = -dim * math.log2(scales[0])
    necessary = rates.density_width(dim, tolerance, log2_density=density, constant=constant)
    rows.append(_rate(f"{_FERBACH} 5.3", "matching of the neurons", necessary, side="necessary"))
    if subspace is not None:
        k, eta = subspace
        near = rates.subspace_width(k, tolerance, distance=eta, **first)
        rows.append(_rate(f"{_FERBACH} 5.4", f"neurons near {k} dimensions", near))
    if len(laws) == 1:
        trained = _rate(f"{_FERBACH} 3.1", "trained by SGD, mean field", None)
        random = rates.random_network_width(dim, tolerance, **first)
        student = rates.student_width(tolerance, **first)
        rows = [
            trained,
            *rows,
            _rate("Entezari et al.", "random initialisation", random),
            _rate("Zhan, Li and Wu", "trained students of a teacher; loss barrier", student),
        ]
    shown = ", ".join(f"{value:g}" for value in dict.fromkeys(scales))
    return WidthTable(
        tolerance=tolerance,
        constants=f"C = {constant:g}, T = {shown}",
        rows=(*rows, *_ours(network, tolerance, confidence)),
    )


_FERBACH = "Ferbach et al., Theorem"


def _rate(
    statement: str,
    applies_to: str,
    width: Tower | None,
    *,
    layer: int | None = 1,
    side: Literal["sufficient", "necessary"] = "sufficient",
) -> WidthStatement:
    return WidthStatement(
        statement=statement,
        applies_to=applies_to,
        layer=layer,
        side=side,
        width=width,
        kind="rate",
    )


def _ours(
    network: TwoLayer | DeepReLU, tolerance: float, confidence: float | None
) -> tuple[WidthStatement, WidthStatement]:
    found = min_width(cast(Network, network), tolerance, confidence=confidence)
    both = {"statement": "otlmc", "applies_to": "; ".join(network.assumptions), "layer": None}
    upper, lower = (Tower.power_of_two(value) for value in (found.log2_upper, found.log2_lower))
    exact = isinstance(network, TwoLayer) or network.proved
    return (
        WidthStatement(
            **both, side="sufficient", width=upper, kind="upper" if exact else "prediction"
        ),
        WidthStatement(**both, side="necessary", width=lower, kind="lower"),
    )
