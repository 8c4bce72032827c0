"""Recalibration of a combined network: statistics of BatchNorm, or REPAIR.

Layer after layer, exact moments over all the data with the earlier layers corrected already, so the
result does not depend on the batch size.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from otlmc import _check
from otlmc.connectivity.interpolation import Correction, Interpolation, channels_last
from otlmc.matching.moments import Inputs, batches

Recalibration = Literal["none", "batchnorm", "repair"]


def recalibrate(
    between: Interpolation,
    weights: Sequence[Sequence[float]],
    inputs: Inputs,
    kind: Recalibration,
    *,
    batch_size: int,
) -> list[Correction]:
    """Return the correction of every combination.

    ``"batchnorm"`` replaces the running statistics by those of the combined network on ``inputs``.
    ``"repair"`` rescales what every hidden linear or convolutional layer puts out, unit by unit,
    to the combined mean and standard deviation of the given networks; a unit that never changes
    is only shifted.

    Raises
    ------
    ValueError
        If the kind is unknown, or ``"batchnorm"`` meets a network without running statistics.

    References
    ----------
    Jordan, Sedghi, Saukh, Entezari and Neyshabur (2023), REPAIR.
    """
    _check.one_of("recalibrate", kind, ("none", "batchnorm", "repair"))
    if kind == "none":
        return [Correction() for _ in weights]
    between.load(next(batches(between.network, inputs, batch_size)))
    if kind == "batchnorm":
        layers = _order(between, lambda m: isinstance(m, _BatchNorm) and m.running_mean is not None)
        if not layers:
            raise ValueError("`recalibrate`: the networks have no BatchNorm statistics to reset")
        return [_batchnorm(between, w, layers, inputs, batch_size) for w in weights]
    affine = set(between.affine_layers().values())
    layers = _order(between, lambda m: m in affine)[:-1]
    count = len(between.states)
    ends = [[float(i == k) for i in range(count)] for k in range(count)]
    known = [
        {
            name: _moments(between, end, name, False, inputs, Correction(), batch_size)
            for name in layers
        }
        for end in ends
    ]
    return [_repair(between, w, layers, known, inputs, batch_size) for w in weights]


def _batchnorm(
    between: Interpolation, weights: Sequence[float], layers: list[str], inputs: Inputs, size: int
) -> Correction:
    correction = Correction()
    for name in layers:
        mean, variance, count = _moments(between, weights, name, True, inputs, correction, size)
        like = between.states[0][f"{name}.running_mean"]
        correction.tensors[f"{name}.running_mean"] = mean.to(like)
        unbiased = variance * count / max(1, count - 1)
        correction.tensors[f"{name}.running_var"] = unbiased.to(like)
    return correction


def _repair(
    between: Interpolation,
    weights: Sequence[float],
    layers: list[str],
    known: list[dict[str, tuple[Tensor, Tensor, int]]],
    inputs: Inputs,
    size: int,
) -> Correction:
    correction = Correction()
    like = next(iter(between.states[0].values()))
    for name in layers:
        mean, variance, _ = _moments(between, weights, name, False, inputs, correction, size)
        wanted_mean = sum(w * k[name][0] for w, k in zip(weights, known, strict=True))
        wanted_std = sum(w * k[name][1].sqrt() for w, k in zip(weights, known, strict=True))
        scale = torch.where(variance > 0, wanted_std / variance.sqrt(), 1.0)
        correction.rescaled[name] = (scale.to(like), (wanted_mean - scale * mean).to(like))
    return correction


def _moments(
    between: Interpolation,
    weights: Sequence[float],
    name: str,
    reads: bool,
    inputs: Inputs,
    correction: Correction,
    batch_size: int,
) -> tuple[Tensor, Tensor, int]:
    """Return mean and variance of every channel of what a layer reads or puts out, and n."""
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        value = channels_last(module, args[0] if reads else output)
        # A copy: what follows may write into it.
        seen.append(value.to(torch.float64, copy=True).flatten(0, -2))

    handle = between.network.get_submodule(name).register_forward_hook(hook)
    total = square = torch.zeros(())
    count = 0
    try:
        for batch in batches(between.network, inputs, batch_size):
            between.load(batch)
            between.outputs(weights, correction)
            for rows in seen:
                total, square = total.to(rows) + rows.sum(0), square.to(rows) + rows.square().sum(0)
                count += len(rows)
            seen.clear()
    finally:
        handle.remove()
    mean = total / count
    variance = (square / count - mean.square()).clamp_min(0)
    return mean, torch.where(variance > 1e-12 * square / count, variance, 0.0), count


def _order(between: Interpolation, wanted: Callable[[nn.Module], bool]) -> list[str]:
    """Return the names of the wanted modules in the order in which they are called."""
    calls: list[str] = []
    handles = []
    for name, module in between.network.named_modules():
        if wanted(module):

            def record(_: nn.Module, args: object, name: str = name) -> None:
                if name not in calls:
                    calls.append(name)

            handles.append(module.register_forward_pre_hook(record))
    between.outputs([1.0] + [0.0] * (len(between.states) - 1))
    for handle in handles:
        handle.remove()
    return calls
