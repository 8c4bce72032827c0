"""Reports on what lies between networks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from otlmc import _check
from otlmc._text import aligned
from otlmc.results import Record

Array = NDArray[np.float64]
PathsMeasure = Literal["loss_barrier", "error_barrier", "epsilon_loss", "epsilon_error"]

_MEASURES = (
    "loss_barrier",
    "error_barrier",
    "epsilon_loss",
    "epsilon_error",
    "midpoint_loss",
    "midpoint_error",
    "calibrated_loss_barrier",
    "calibrated_midpoint_loss",
    "midpoint_temperature",
    "largest_deviation",
)
"""What is measured of a path, in the order of its record."""
_SIMPLEX_MEASURES = ("loss_barrier", "error_barrier", "barycentre_loss", "barycentre_error")


@dataclass(frozen=True, kw_only=True, eq=False)
class PathReport(Record):
    """Loss and error along theta(t) = (1 - t) theta_A + t P theta_B, as means over a stated set.

    Attributes
    ----------
    t : ndarray, shape (points,)
        The grid; it holds 0, 1/2 and 1.
    loss, error : ndarray, shape (points,)
        Cross-entropy (binary for one logit) and 0-1 error.
    deviation : ndarray, shape (points,)
        Root mean square over the samples of the distance between the outputs of theta(t) and the
        interpolated outputs (1 - t) f(theta_A) + t f(theta_B).
    temperature, calibrated_loss : ndarray, shape (points,)
        The softmax temperature with the least loss on the set, for each t, and that loss.
    on : str
        The set, ``"test"`` or ``"train"``.
    samples : int
        Its size.
    permutation : str
        The method that permuted B, ``"given"`` for a bare permutation, or ``"none"``.
    recalibrate : str
        ``"none"``, ``"batchnorm"`` or ``"repair"``.
    relation : str
        ``"copy"`` if the ends, B permuted, differ by at most a quarter of the norm of A's
        parameters (a planted copy, or a common history), else ``"independent"``.
    unpermuted : PathReport or None
        The same path without the permutation; ``None`` where nothing was permuted.
    """

    t: Array
    loss: Array
    error: Array
    deviation: Array
    temperature: Array
    calibrated_loss: Array
    on: str
    samples: int
    permutation: str
    recalibrate: str
    relation: str
    unpermuted: "PathReport | None" = None

    @property
    def loss_barrier(self) -> float:
        """max_t [L(t) - (1-t) L(0) - t L(1)]."""
        return self._barrier(self.loss)

    @property
    def error_barrier(self) -> float:
        """max_t [E(t) - (1-t) E(0) - t E(1)]."""
        return self._barrier(self.error)

    @property
    def calibrated_loss_barrier(self) -> float:
        """The loss barrier with the softmax temperature fitted at every t."""
        return self._barrier(self.calibrated_loss)

    @property
    def epsilon_loss(self) -> float:
        """max_t L(t) - max(L(0), L(1))."""
        return float(_epsilon(self.loss))

    @property
    def epsilon_error(self) -> float:
        """max_t E(t) - max(E(0), E(1))."""
        return float(_epsilon(self.error))

    @property
    def midpoint_loss(self) -> float:
        """L(1/2), nothing subtracted."""
        return self._middle(self.loss)

    @property
    def midpoint_error(self) -> float:
        """E(1/2), nothing subtracted."""
        return self._middle(self.error)

    @property
    def calibrated_midpoint_loss(self) -> float:
        """L(1/2) at the fitted softmax temperature."""
        return self._middle(self.calibrated_loss)

    @property
    def midpoint_temperature(self) -> float:
        """The softmax temperature with the least loss at t = 1/2."""
        return self._middle(self.temperature)

    @property
    def largest_deviation(self) -> float:
        """The largest deviation from the interpolated outputs."""
        return float(self.deviation.max())

    def to_record(self) -> dict[str, Any]:
        """Return the scalars and all measures, at softmax temperature 1 and fitted."""
        record = super().to_record() | {"points": len(self.t)}
        record.pop("unpermuted", None)
        return record | {name: getattr(self, name) for name in _MEASURES}

    def __str__(self) -> str:
        """Print the measures, beside those without the permutation."""
        reports = [self] if self.unpermuted is None else [self.unpermuted, self]
        rows = [("", *(report.permutation for report in reports))]
        for name in _MEASURES:
            label = name.replace("_", " ").replace("calibrated", "at fitted temperature:")
            rows.append((label, *(getattr(report, name) for report in reports)))
        return f"path on {self.samples} {self.on} samples, ends: {self.relation}\n{aligned(rows)}"

    def rows(self) -> list[dict[str, Any]]:
        """Return the record of the path and, where B was permuted, of the path without it."""
        without = [] if self.unpermuted is None else self.unpermuted.rows()
        return [*without, self.to_record()]

    def related(self, relation: str) -> "PathReport":
        """Return the report with another relation of the ends."""
        return replace(self, relation=relation)

    def _barrier(self, values: Array) -> float:
        return float(_barrier(self.t, values))

    def _middle(self, values: Array) -> float:
        return float(_middle(self.t, values))


@dataclass(frozen=True, kw_only=True, eq=False)
class PathsReport(Record):
    """Loss and error along the straight paths between many networks, as means over a stated set.

    The measures are those of :class:`PathReport`, with one entry for every pair.

    Attributes
    ----------
    pairs : ndarray of int, shape (pairs, 2)
        The networks at t = 0 and at t = 1.
    t : ndarray, shape (points,)
        The grid; it holds 0, 1/2 and 1.
    loss, error : ndarray, shape (pairs, points)
        Cross-entropy (binary for one logit) and 0-1 error, means over the set.
    on : str
        The set.
    samples : int
        Its size.
    """

    pairs: NDArray[np.int64]
    t: Array
    loss: Array
    error: Array
    on: str
    samples: int

    @property
    def loss_barrier(self) -> Array:
        """max_t [L(t) - (1-t) L(0) - t L(1)]."""
        return _barrier(self.t, self.loss)

    @property
    def error_barrier(self) -> Array:
        """max_t [E(t) - (1-t) E(0) - t E(1)]."""
        return _barrier(self.t, self.error)

    @property
    def epsilon_loss(self) -> Array:
        """max_t L(t) - max(L(0), L(1))."""
        return _epsilon(self.loss)

    @property
    def epsilon_error(self) -> Array:
        """max_t E(t) - max(E(0), E(1))."""
        return _epsilon(self.error)

    @property
    def midpoint_loss(self) -> Array:
        """L(1/2), nothing subtracted."""
        return _middle(self.t, self.loss)

    @property
    def midpoint_error(self) -> Array:
        """E(1/2), nothing subtracted."""
        return _middle(self.t, self.error)

    def matrix(self, measure: PathsMeasure) -> Array:
        """Return a measure as a symmetric matrix over the networks.

        The diagonal is 0 (a path from a network to itself has neither barrier nor epsilon), and
        pairs that were not asked for are NaN.
        """
        _check.one_of("measure", measure, get_args(PathsMeasure))
        size = int(self.pairs.max()) + 1
        values = np.full((size, size), np.nan)
        np.fill_diagonal(values, 0.0)
        i, j = self.pairs.T
        values[i, j] = values[j, i] = getattr(self, measure)
        return values

    def to_record(self) -> dict[str, Any]:
        """Return the set, the numbers of pairs and points, and the median of every measure."""
        measures = (*get_args(PathsMeasure), "midpoint_loss", "midpoint_error")
        medians = {f"median {name}": float(np.median(getattr(self, name))) for name in measures}
        return super().to_record() | {"pairs": len(self.pairs), "points": len(self.t)} | medians

    def __str__(self) -> str:
        """Print the quartiles of the measures over the pairs."""
        rows: list[tuple[Any, ...]] = [("", "quartile", "median", "quartile")]
        for name in (*get_args(PathsMeasure), "midpoint_loss", "midpoint_error"):
            quartiles = np.quantile(getattr(self, name), (0.25, 0.5, 0.75))
            rows.append((name.replace("_", " "), *map(float, quartiles)))
        return f"{len(self.pairs)} paths on {self.samples} {self.on} samples\n{aligned(rows)}"


def _barrier(t: Array, values: Array) -> Array:
    """Return max_t [v(t) - (1-t) v(0) - t v(1)] along the last axis."""
    straight = (1 - t) * values[..., :1] + t * values[..., -1:]
    return (values - straight).max(-1)


def _epsilon(values: Array) -> Array:
    """Return max_t v(t) - max(v(0), v(1)) along the last axis."""
    return values.max(-1) - np.maximum(values[..., 0], values[..., -1])


def _middle(t: Array, values: Array) -> Array:
    """Return v(1/2) along the last axis."""
    return values[..., np.flatnonzero(t == 0.5)[0]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimplexReport(Record):
    """Loss and error on the simplex of several networks, as means over a stated set.

    Attributes
    ----------
    weights : ndarray, shape (points, networks)
        Barycentric coordinates; the vertices and the barycentre are among them.
    loss, error, deviation : ndarray, shape (points,)
        As in :class:`PathReport`.
    on : str
        The set.
    samples : int
        Its size.
    recalibrate : str
        ``"none"``, ``"batchnorm"`` or ``"repair"``.
    """

    weights: Array
    loss: Array
    error: Array
    deviation: Array
    on: str
    samples: int
    recalibrate: str = "none"

    @property
    def loss_barrier(self) -> float:
        """max_w [L(w) - Σ w_k L(k)]."""
        return self._barrier(self.loss)

    @property
    def error_barrier(self) -> float:
        """max_w [E(w) - Σ w_k E(k)]."""
        return self._barrier(self.error)

    @property
    def barycentre_loss(self) -> float:
        """L at equal weights, nothing subtracted."""
        return float(self.loss[self._centre])

    @property
    def barycentre_error(self) -> float:
        """E at equal weights, nothing subtracted."""
        return float(self.error[self._centre])

    def to_record(self) -> dict[str, Any]:
        """Return the set, the numbers of networks and points, and the measures."""
        points, networks = self.weights.shape
        measures = {name: getattr(self, name) for name in _SIMPLEX_MEASURES}
        return super().to_record() | {"networks": networks, "points": points} | measures

    def __str__(self) -> str:
        """Print the measures."""
        rows = [(name.replace("_", " "), getattr(self, name)) for name in _SIMPLEX_MEASURES]
        title = f"simplex of {self.weights.shape[1]} networks on {self.samples} {self.on} samples"
        return f"{title}\n{aligned(rows)}"

    @property
    def _centre(self) -> int:
        return int(np.argmin(self.weights.max(1)))

    def _barrier(self, values: Array) -> float:
        vertices = values[np.argmax(self.weights, axis=0)]
        return float((values - self.weights @ vertices).max())


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaneReport(Record):
    """Loss and error on a rectangle of the plane through three networks.

    Attributes
    ----------
    x, y : ndarray, shape (resolution,)
        Orthonormal coordinates in parameter space, network A at the origin and B on the x axis.
    loss, error : ndarray, shape (resolution, resolution)
        At ``(y[i], x[j])``.
    corners : ndarray, shape (3, 2)
        Where the three networks lie.
    on : str
        The set.
    samples : int
        Its size.
    recalibrate : str
        ``"none"`` or ``"batchnorm"``.
    """

    x: Array
    y: Array
    loss: Array
    error: Array
    corners: Array
    on: str
    samples: int
    recalibrate: str = "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureReport(Record):
    """How far the features of theta(t) are from the interpolated features of the ends.

    Attributes
    ----------
    t : ndarray, shape (points,)
        The grid.
    deviation : mapping of str to ndarray, shape (points,)
        For every layer the root mean square of h(theta(t)) - (1-t) h(theta_A) - t h(theta_B),
        divided by that of the interpolated features. A layer's features are what it reads;
        ``"output"`` are the logits.
    cosine : mapping of str to ndarray, shape (points,)
        The mean cosine between both.
    samples : int
        Size of the set.
    """

    t: Array
    deviation: Mapping[str, Array]
    cosine: Mapping[str, Array]
    samples: int

    def to_record(self) -> dict[str, Any]:
        """Return the largest deviation and the smallest cosine of every layer."""
        record = super().to_record()
        record |= {f"deviation[{k}]": float(v.max()) for k, v in self.deviation.items()}
        return record | {f"cosine[{k}]": float(v.min()) for k, v in self.cosine.items()}

    def __str__(self) -> str:
        """Print the worst of every layer along the path."""
        rows = [("features of", "largest deviation", "least cosine")]
        rows += [
            (k, float(v.max()), float(self.cosine[k].min())) for k, v in self.deviation.items()
        ]
        return aligned(rows)
