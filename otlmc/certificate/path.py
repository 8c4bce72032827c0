"""Certify the path between two given networks, at any depth, on given data.

Between two networks U and V of a path, with z their pre-activations and h = relu(z), let bars be
straight lines in s, as in ``(1 - s) h_U + s h_V``. Then for every sample and all s in [0, 1]

- ``z_s - zbar_s = W_s (h_s - hbar_s) - s (1 - s) (W_V - W_U) (h_V - h_U)``, h of the layer below;
- ``|relu(zbar_s) - hbar_s| <= |z_U z_V| / (|z_U| + |z_V|)`` where the signs differ, else 0;
- ``||W_s|| <= max(||W_U||, ||W_V||)``, and relu is 1-Lipschitz.

This bounds ``h_s - hbar_s`` layer by layer. With U = A and V = B it needs nothing but the features
of the ends. Run on the pieces of a grid, where it is of the order of (1 / pieces)^1.5, and added to
what was measured at the ends of a piece, it closes in on the truth.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.certificate.chain import Affine, relu_chain
from otlmc.certificate.record import Certificate, LayerCertificate
from otlmc.matching.moments import Inputs, batches
from otlmc.matching.pairwise import check_shapes
from otlmc.matching.permutation import Permutation
from otlmc.matching.record import Matching, named
from otlmc.matching.spec import State

Array = NDArray[np.float64]
Network: TypeAlias = Sequence[Affine]
Features: TypeAlias = Sequence[tuple[Tensor, Tensor]]
"""For every layer z and h = relu(z); at the output both are z."""

_UNIT_ROUNDOFF = 2.0**-53
_KNOTS = np.linspace(0.0, 1.0, 5)


def certify(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs,
    *,
    permutation: Permutation | Matching | None = None,
    pieces: int = 32,
    batch_size: int = 1024,
) -> Certificate:
    """Bound the deviation along theta(t) = (1 - t) theta_A + t P theta_B, for all t in [0, 1].

    No assumption is made on how the networks came to be: the weights and the data are measured.
    Proof: ``docs/derivations/certificate``.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture that alternates linear layers and ReLU.
    inputs : array or Tensor, shape (samples, ...)
        The data on which the bounds hold, flattened and rounded to the precision of the networks.
    permutation : Permutation or Matching, optional
        Applied to B.
    pieces : int
        The path is run at ``pieces + 1`` equidistant t and proved in between. With 1, the bound
        follows from the features of A and B alone.
    batch_size : int
        Samples per forward pass.

    Returns
    -------
    Certificate
        For every layer the bound and the deviation measured on the grid. It prints as a table.

    Raises
    ------
    TypeError
        If a network is no module.
    ValueError
        If a network has anything but linear layers and ReLU (normalisation, for one), the
        architectures differ, or a weight or an input is NaN or does not fit.

    Notes
    -----
    Everything is computed in float64; ``roundoff`` of the certificate says how exactly. The network
    that runs in float32 differs from the one that is certified by its own round-off.

    Examples
    --------
    >>> nets = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(2)]
    >>> found = certify(*nets, torch.randn(20, 4))
    >>> found.deviation.holds(z=0), found.layers[-1].bound <= 1.2 * found.layers[-1].measured
    (True, True)
    """
    pieces = _check.positive_int("pieces", pieces)
    batch_size = _check.positive_int("batch_size", batch_size)
    name, moving = named(permutation)
    if moving is not None:
        b = moving.apply(b)
    ends = relu_chain("a", a), relu_chain("b", b)
    _check_alike(*ends)
    t = np.linspace(0.0, 1.0, pieces + 1)
    gains = _gains(ends, t)
    runs = []
    for batch in batches(a, inputs, batch_size):
        read = batch.double().flatten(1)
        if read.shape[1] != ends[0][0].weight.shape[1]:
            raise ValueError(
                f"`inputs` must hold {ends[0][0].weight.shape[1]} values a sample, "
                f"got shape {tuple(batch.shape)}"
            )
        runs.append(_run(ends, t, gains, read))
    run = _Run(*(np.concatenate(parts, axis=-1) for parts in zip(*runs, strict=True)))
    return Certificate(
        t=t,
        layers=tuple(_layer(run, k, layer.name, gains) for k, layer in enumerate(ends[0])),
        outputs=run.outputs.swapaxes(1, 2),
        excess=run.excess[:, -1],
        everywhere=_everywhere(*ends) if len(ends[0]) == 2 else None,
        roundoff=_roundoff(ends, gains.max(0), run.sizes.max(-1)),
        permutation=name,
        samples=run.outputs.shape[-1],
    )


class _Run(NamedTuple):
    """What was measured on n samples: per sample, which is the last axis."""

    outputs: Array
    """On the grid, shape (points, outputs, n)."""
    deviation: Array
    """Norms of h_t - hbar_t on the grid, shape (points, layers, n)."""
    excess: Array
    """Bounds within the pieces on the distance to their straight line, (pieces, layers, n)."""
    ends: Array
    """The same for the whole path as one piece, its mismatch and its kinks, (3, layers, n)."""
    sizes: Array
    """Bounds on the norms of what the layers read, on the grid, shape (layers, n)."""


def _run(ends: tuple[Network, Network], t: Array, gains: Array, inputs: Tensor) -> _Run:
    at_a, at_b = (_features(network, network[0](inputs)) for network in ends)
    outputs, deviation, excess = [], [], []
    last, before = ends[0], at_a
    for k, s in enumerate(t.tolist()):
        network, here = _blended(ends, s), at_b if s == 1 else at_a
        if 0 < s < 1:  # the first layer is linear in its parameters: no need to run it again
            here = _features(network, torch.lerp(at_a[0][0], at_b[0][0], s))
        straight = [torch.lerp(u, v, s) for (_, u), (_, v) in zip(at_a, at_b, strict=True)]
        pairs = zip(here, straight, strict=True)
        deviation.append(torch.stack([(h - line).norm(dim=1) for (_, h), line in pairs]))
        outputs.append(here[-1][1].T)
        if k:
            excess.append(_piece((last, network), (before, here), gains[k - 1 : k + 1])[0])
        last, before = network, here
    whole = _piece(ends, (at_a, at_b), gains[[0, -1]])
    deviations = torch.stack(deviation)
    norms = [
        torch.maximum(u.norm(dim=1), v.norm(dim=1))
        for (_, u), (_, v) in zip(at_a, at_b, strict=True)
    ]
    sizes = torch.stack([inputs.norm(dim=1), *norms[:-1]])
    sizes[1:] += deviations[:, :-1].amax(0)
    measured = (torch.stack(outputs), deviations, torch.stack(excess), whole, sizes)
    return _Run(*(tensor.cpu().numpy() for tensor in measured))


def _blended(ends: tuple[Network, Network], t: float) -> Network:
    return [u.between(v, t) for u, v in zip(*ends, strict=True)]


def _features(network: Network, z: Tensor) -> Features:
    """Run the network upwards from what its first layer computes."""
    found = []
    for layer in network[1:]:
        found.append((z, z.relu()))
        z = layer(found[-1][1])
    return [*found, (z, z)]


def _piece(ends: Sequence[Network], at: Sequence[Features], gains: Array) -> Tensor:
    """Bound the distance to the straight line between two networks, from their features alone.

    Returns the bound, its mismatch and its kinks for every layer and sample, (3, layers, n).
    """
    total = at[0][0][0].new_zeros(len(at[0][0][0]))
    rows = []
    for k, (u, v) in enumerate(zip(*ends, strict=True)):
        mismatch, kinks = torch.zeros_like(total), torch.zeros_like(total)
        if k:
            moved = at[1][k - 1][1] - at[0][k - 1][1]
            mismatch = (moved @ (v.weight - u.weight).T).norm(dim=1) / 4  # s (1 - s) <= 1 / 4
        if k < len(at[0]) - 1:
            kinks = _kinks(at[0][k][0], at[1][k][0]).norm(dim=1)
        total = gains[:, k].max() * total + mismatch + kinks
        rows.append(torch.stack([total, mismatch, kinks]))
    return torch.stack(rows, dim=1)


def _kinks(u: Tensor, v: Tensor) -> Tensor:
    """Return the largest |relu((1 - s) u + s v) - (1 - s) relu(u) - s relu(v)| over s."""
    opposite = (-u * v).relu()
    return opposite / (u - v).abs().clamp_min(torch.finfo(u.dtype).tiny)


def _layer(run: _Run, k: int, name: str, gains: Array) -> LayerCertificate:
    def bound(norm) -> float:  # a norm over the samples: convex, so a straight line peaks at an end
        deviation = norm(run.deviation[:, k])
        return float((np.maximum(deviation[:-1], deviation[1:]) + norm(run.excess[:, k])).max())

    from_ends, mismatch, kinks = _rms(run.ends[:, k]).tolist()
    return LayerCertificate(
        layer=name,
        measured=float(_rms(run.deviation[:, k]).max()),
        bound=bound(_rms),
        measured_max=float(run.deviation[:, k].max()),
        bound_max=bound(lambda values: values.max(-1)),
        from_ends=from_ends,
        gain=float(gains[[0, -1], k].max()),
        mismatch=mismatch,
        kinks=kinks,
    )


def _everywhere(a: Network, b: Network) -> float:
    """Return C such that the deviation is at most C |(x, 1)| for every input x, one hidden layer.

    Neuron i, theta = (v, w), computes v relu(<w, (x, 1)>). With w_i moved by dw_i, its deviation is
    at most s (1 - s) c_i |<dw_i, (x, 1)>|, c_i = max(|v_A|, |v_B|, |v_B - v_A|), and for given c_i
    and <dw_i, (x, 1)> no smaller constant will do. The sum over the neurons is bounded in three
    ways: by the triangle inequality (a weighted W_1 of the matched neurons), by Cauchy and
    Schwarz, and by the operator norms of the layers.
    """
    moved = torch.column_stack([b[0].weight - a[0].weight, b[0].bias - a[0].bias])
    turned = b[1].weight - a[1].weight
    sizes = torch.stack([m.norm(dim=0) for m in (a[1].weight, b[1].weight, turned)]).amax(0)
    widest = max(_norm(a[1].weight), _norm(b[1].weight))
    bounds = (
        float(sizes @ moved.norm(dim=1)),
        float(sizes.norm()) * _norm(moved),
        (widest + _norm(turned)) * _norm(moved),
    )
    return min(bounds) / 4


def _roundoff(ends: Sequence[Network], gains: Array, sizes: Array) -> float:
    """Return the round-off of a deviation, to first order: that of three features, twice over.

    A product of n terms is off by at most n + 1 units of round-off times the sizes of its factors.
    """
    error = 0.0
    for k, layers in enumerate(zip(*ends, strict=True)):
        units = _UNIT_ROUNDOFF * (layers[0].weight.shape[1] + 1)
        size = max(float(la.weight.norm()) * sizes[k] + float(la.bias.norm()) for la in layers)
        error = gains[k] * error + units * size
    return 4 * error


def _check_alike(a: Network, b: Network) -> None:
    states: dict[str, State] = {
        f"`{name}`": {layer.name: layer.weight for layer in network}
        for name, network in (("a", a), ("b", b))
    }
    check_shapes(states)


def _gains(ends: tuple[Network, Network], t: Array) -> Array:
    """Return bounds on the operator norms on the grid, shape (points, layers).

    The norm is convex along the path: it lies below its chords between a few knots.
    """
    knots = [[_norm(layer.weight) for layer in _blended(ends, s)] for s in _KNOTS.tolist()]
    return np.stack([np.interp(t, _KNOTS, norms) for norms in zip(*knots, strict=True)], axis=1)


def _norm(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix, 2))


def _rms(values: Array) -> Array:
    return np.sqrt(np.square(values).mean(-1))
