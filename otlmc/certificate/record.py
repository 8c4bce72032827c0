"""The record of a certified path."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from torch import Tensor

from otlmc import _check
from otlmc.bounds.barrier import cross_entropy_barrier, squared_loss_barrier
from otlmc.results import Comparison, Record

Array = NDArray[np.float64]
Loss = Literal["cross-entropy", "squared"]

REFERENCE = "docs/derivations/certificate"


@dataclass(frozen=True, kw_only=True)
class LayerCertificate(Record):
    """One layer: how far its features are, at most, from the interpolated features of the ends.

    For every sample the distance is ``|h(theta(t)) - (1 - t) h(theta_A) - t h(theta_B)|``, h the
    activations of a hidden layer or the outputs.

    Attributes
    ----------
    layer : str
        Path of the affine layer in the module; the last one gives the outputs.
    measured, bound : float
        The largest root mean square over the samples: on the grid of t, and for all t in [0, 1].
    measured_max, bound_max : float
        The same for the largest distance of any sample.
    from_ends : float
        What the features of A and B alone prove of the root mean square.
    gain, mismatch, kinks : float
        How that came about: at most ``gain`` times ``from_ends`` of the layer below, plus
        ``mismatch`` (weights and features both differ), plus ``kinks`` (units whose sign differs).
    """

    layer: str
    measured: float
    bound: float
    measured_max: float
    bound_max: float
    from_ends: float
    gain: float
    mismatch: float
    kinks: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate(Record):
    """Proved bounds on the deviation of theta(t) = (1 - t) theta_A + t P theta_B, for all t.

    Attributes
    ----------
    t : ndarray, shape (pieces + 1,)
        The grid at which the networks of the path were run.
    layers : tuple of LayerCertificate
        The hidden layers and, last, the output.
    outputs : ndarray, shape (pieces + 1, samples, outputs)
        The outputs on the grid.
    excess : ndarray, shape (pieces, samples)
        Between two neighbours of the grid, no output is further than this from the straight line
        between their outputs.
    everywhere : float or None
        With one hidden layer, for every input x whatsoever the deviation is at most this times
        ``|(x, 1)|``; ``None`` for other depths.
    roundoff : float
        Size of the float64 round-off in a deviation, to first order; it is not part of the bounds.
    permutation : str
        The method that permuted B, ``"given"`` or ``"none"``.
    samples : int
        Size of the set.
    """

    t: Array
    layers: tuple[LayerCertificate, ...]
    outputs: Array
    excess: Array
    everywhere: float | None
    roundoff: float
    permutation: str
    samples: int

    @property
    def deviation(self) -> Comparison:
        """The deviation of the outputs, root mean square over the samples, with its bound."""
        output = self.layers[-1]
        return Comparison(
            quantity="deviation along the path, root mean square over the samples",
            measured=output.measured,
            upper=output.bound,
            kind="upper",
            reference=REFERENCE,
        )

    def loss_barrier(
        self, labels: ArrayLike | Tensor, *, loss: Loss = "cross-entropy"
    ) -> Comparison:
        """Bound the barrier max_t [L(t) - (1 - t) L(0) - t L(1)] of the mean loss.

        Parameters
        ----------
        labels : array or Tensor
            Class numbers, shape (samples,); for the squared loss the targets, shape
            (samples, outputs).
        loss : {"cross-entropy", "squared"}
            Cross-entropy of the softmax (binary for one logit), or ``|y - target|^2``.

        Returns
        -------
        Comparison
            ``measured``: the barrier on the grid. ``upper``: for all t.

        Raises
        ------
        ValueError
            If the labels do not fit the outputs.
        """
        targets = labels.cpu() if isinstance(labels, Tensor) else labels
        if _check.one_of("loss", loss, ("cross-entropy", "squared")) == "squared":
            residuals = _residuals(self.outputs, targets)
            losses = (residuals**2).mean(1)
            ends = np.maximum(residuals[:-1], residuals[1:])
            steps = [
                squared_loss_barrier(excess, residual=residual)
                for excess, residual in zip(self.excess, ends, strict=True)
            ]
        else:
            losses = _cross_entropies(self.outputs, targets)
            outputs = self.outputs.shape[2]
            steps = [cross_entropy_barrier(excess, outputs=outputs) for excess in self.excess]
        barrier = losses - (1 - self.t) * losses[0] - self.t * losses[-1]
        return Comparison(
            quantity=f"barrier of the mean {loss} loss",
            measured=float(barrier.max()),
            upper=float((np.maximum(barrier[:-1], barrier[1:]) + steps).max()),
            kind="upper",
            reference=REFERENCE,
        )

    def to_record(self) -> dict[str, Any]:
        """Return the scalars, and the measures of every layer with its name in brackets."""
        columns = {
            f"{key}[{layer.layer}]": value
            for layer in self.layers
            for key, value in layer.to_record().items()
            if key != "layer"
        }
        return super().to_record() | {"pieces": len(self.t) - 1} | columns

    def __str__(self) -> str:
        """Print as a small table."""
        lines = [
            f"deviation along the path, root mean square over {self.samples} samples",
            f"{'layer':<16}{'measured':>12}{'bound':>12}{'from ends':>12}",
        ]
        for row in self.layers:
            name = "output" if row is self.layers[-1] else row.layer
            lines.append(f"{name:<16}{row.measured:12.4g}{row.bound:12.4g}{row.from_ends:12.4g}")
        if self.everywhere is not None:
            lines.append(f"for every input x: at most {self.everywhere:.4g} |(x, 1)|")
        return "\n".join([*lines, f"proof: {REFERENCE}"])


def _cross_entropies(outputs: Array, labels: ArrayLike) -> Array:
    """Return the mean cross-entropy at every point of the grid."""
    samples, width = outputs.shape[1:]
    values = np.asarray(labels)
    classes = max(width, 2)
    known = np.isin(values, np.arange(classes))
    if values.shape != (samples,) or not known.all():
        raise ValueError(
            f"`labels` must be {samples} class numbers below {classes}, got shape {values.shape}"
            + ("" if known.all() else f" with {values[~known].flat[0]!r}")
        )
    if width == 1:  # one logit z is the pair (0, z)
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=2)
    chosen = outputs[:, np.arange(samples), values.astype(int)]
    return (logsumexp(outputs, axis=2) - chosen).mean(1)


def _residuals(outputs: Array, targets: ArrayLike) -> Array:
    """Return |y - target| at every point of the grid, for every sample."""
    wanted = _check.finite("labels", targets)
    if wanted.shape != outputs.shape[1:]:
        raise ValueError(
            f"`labels` must hold targets of shape {outputs.shape[1:]}, got {wanted.shape}"
        )
    return np.linalg.norm(outputs - wanted, axis=2)
