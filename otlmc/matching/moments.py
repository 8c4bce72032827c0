"""Second moments of what the layers read, streamed over batches and summed in float64.

No activation outlives its batch: memory is one batch of one network plus the moments.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc._modules import evaluation_mode
from otlmc.matching.spec import Layer, PermutationSpec

Inputs = Tensor | NDArray[np.floating]


@dataclass(frozen=True)
class InputMoments:
    """Uncentred moments of what a layer reads: the mean of x xᵀ and of x."""

    second: Tensor
    mean: Tensor


@dataclass(frozen=True)
class CrossMoments:
    """Moments of the units of A and B on the same samples.

    Attributes
    ----------
    cross : Tensor, shape (n, n)
        Mean of a_i b_j.
    mean_a, mean_b, second_a, second_b : Tensor, shape (n,)
        Means of the units and of their squares.
    """

    cross: Tensor
    mean_a: Tensor
    mean_b: Tensor
    second_a: Tensor
    second_b: Tensor

    def centred(self) -> Tensor:
        """Return the cross-covariance."""
        return self.cross - torch.outer(self.mean_a, self.mean_b)

    def correlation(self) -> Tensor:
        """Return the correlations; a unit that is constant has correlation 0 with every other."""
        var_a = self.second_a - self.mean_a.square()
        var_b = self.second_b - self.mean_b.square()
        scale_a, scale_b = (
            torch.where(var > 1e-12 * second, var, torch.inf).rsqrt()
            for var, second in ((var_a, self.second_a), (var_b, self.second_b))
        )
        return scale_a[:, None] * self.centred() * scale_b


def input_moments(
    model: nn.Module, layers: Sequence[Layer], inputs: Inputs, *, batch_size: int
) -> dict[str, InputMoments]:
    """Return the moments of what the given layers read, in float64.

    For a convolution x is a patch, flattened in the order of the weight; every position of every
    image counts once.
    """
    seconds: dict[str, Tensor] = {}
    firsts: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    with _recording(model, layers) as seen:
        for batch in batches(model, inputs, batch_size):
            model(batch)
            for name, values in seen.items():
                for value in values:
                    rows = _patches(model.get_submodule(name), value).double()
                    seconds[name] = seconds.get(name, 0) + rows.T @ rows
                    firsts[name] = firsts.get(name, 0) + rows.sum(0)
                    counts[name] = counts.get(name, 0) + len(rows)
                values.clear()
    return {n: InputMoments(seconds[n] / counts[n], firsts[n] / counts[n]) for n in seconds}


def cross_moments(
    a: nn.Module,
    b: nn.Module,
    spec: PermutationSpec,
    inputs: Inputs,
    *,
    batch_size: int,
    written: bool = False,
) -> dict[str, CrossMoments]:
    """Return for every group the joint moments of its units in A and B.

    The value of a unit is what the next layer reads of it (after activation and normalisation), or
    with ``written`` what its own layer writes (the pre-activation). Positions of a convolution and
    several readers or writers count as further samples.
    """
    layers = [layer for layer in spec.layers if (layer.target if written else layer.source)]
    sums: dict[str, list[Tensor]] = {}
    counts: dict[str, int] = {}
    with (
        _recording(a, layers, written=written) as seen_a,
        _recording(b, layers, written=written) as seen_b,
    ):
        for batch in batches(a, inputs, batch_size):
            a(batch)
            if b is not a:
                b(batch.to(*_placement(b)))
            for layer in layers:
                group = str(layer.target if written else layer.source)
                block = 1 if written else layer.block
                pairs = zip(seen_a[layer.name], seen_b[layer.name], strict=True)
                for value_a, value_b in pairs:
                    units_a = _units(a.get_submodule(layer.name), value_a, block)
                    units_b = _units(b.get_submodule(layer.name), value_b, block)
                    units_b = units_b.to(units_a.device)
                    new = [
                        units_a.T @ units_b,
                        units_a.sum(0),
                        units_b.sum(0),
                        units_a.square().sum(0),
                        units_b.square().sum(0),
                    ]
                    old = sums.get(group)
                    sums[group] = (
                        new if old is None else [s + t for s, t in zip(old, new, strict=True)]
                    )
                    counts[group] = counts.get(group, 0) + len(units_a)
                seen_a[layer.name].clear()
                seen_b[layer.name].clear()
    return {g: CrossMoments(*(total / counts[g] for total in sums[g])) for g in sums}


def batches(model: nn.Module, inputs: Inputs, batch_size: int) -> Iterator[Tensor]:
    """Yield batches of ``inputs`` on the device and in the precision of ``model``.

    Raises
    ------
    ValueError
        If the inputs are empty or hold NaN or infinite entries.
    """
    tensor = torch.as_tensor(inputs)
    if tensor.ndim < 2 or not tensor.numel():
        raise ValueError(f"`inputs` must be (samples, ...), got shape {tuple(tensor.shape)}")
    device, dtype = _placement(model)
    for batch in tensor.split(batch_size):
        if not torch.isfinite(batch).all():
            raise ValueError("`inputs` holds NaN or infinite entries")
        yield batch.to(device, dtype)


def _placement(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    parameter = next(model.parameters())
    return parameter.device, parameter.dtype


@contextmanager
def _recording(
    model: nn.Module, layers: Sequence[Layer], *, written: bool = False
) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what the given layers read, or write, in evaluation mode and without gradients."""
    seen: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}
    handles = []
    for layer in layers:
        module = model.get_submodule(layer.name)
        kept = seen[layer.name]
        handles.append(
            module.register_forward_hook(_writer(kept))
            if written
            else module.register_forward_pre_hook(_keeper(kept))
        )
    try:
        with torch.no_grad(), evaluation_mode(model):
            yield seen
    finally:
        for handle in handles:
            handle.remove()


def _keeper(values: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        values.append(args[0].clone())  # what comes next may write into it

    return keep


def _writer(values: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def keep(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        values.append(output.clone())

    return keep


def _units(module: nn.Module, value: Tensor, block: int) -> Tensor:
    """Return what a layer reads as (samples, units): positions become samples."""
    last = value if isinstance(module, nn.Linear) else value.movedim(1, -1)
    return last.flatten(0, -2).unflatten(1, (-1, block)).movedim(1, -1).flatten(0, -2).double()


def _patches(module: nn.Module, value: Tensor) -> Tensor:
    """Return what a layer reads as (samples, inputs of a unit)."""
    if not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return value.flatten(0, -2)
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    value = F.pad(value, _pads(module), mode)
    for k, size in enumerate(module.kernel_size):
        spread, step = module.dilation[k], module.stride[k]
        value = value.unfold(2 + k, spread * (size - 1) + 1, step)[..., ::spread]
    spatial = len(module.kernel_size)  # now (samples, channels, *positions, *kernel)
    return value.movedim(1, 1 + spatial).flatten(0, spatial).flatten(1)


def _pads(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> list[int]:
    """Return the padding of a convolution as ``F.pad`` wants it: last axis first, both ends."""
    pads: list[int] = []
    for k in reversed(range(len(module.kernel_size))):
        if module.padding == "same":
            total = module.dilation[k] * (module.kernel_size[k] - 1)
            pads += [total // 2, total - total // 2]
        else:
            pads += [0 if module.padding == "valid" else int(module.padding[k])] * 2
    return pads
