"""Operations that move axes or change their number: where the units are afterwards.

Each function takes a node of the graph and the value that it reads, and returns the value that it
computes, or ``None`` where that cannot be told. Axis 0 is taken to hold the samples, and to keep
them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import fx

from otlmc.matching.groups import Signal


def flattened(signal: Signal, start: Any, end: Any) -> Signal | None:
    """Follow ``flatten(start, end)`` with the samples, or only positions, left out."""
    rank = signal.ndim
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    if start == 1 and (end == -1 or end + 1 == rank):
        if signal.axis == -1:  # position by position, if there are several
            if signal.block is None and rank != 2:
                return None  # no reader could tell
            return replace(signal, ndim=2, sure=signal.sure and rank == 2)
        if signal.on_channels and signal.sure:  # unit by unit
            return Signal(signal.group, ndim=2, block=None)
        return None
    if rank is None or not signal.on_channels:
        return None
    if start % rank == 2 and end % rank == rank - 1:
        return replace(signal, axis=-2, ndim=3)
    return None


def _flatten(node: fx.Node, signal: Signal) -> Signal | None:
    start, end = _arguments(node, ("start_dim", 0), ("end_dim", -1))
    return flattened(signal, start, end)


def _view(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``view(samples, anything, 1, ..., 1)``: a flatten, and axes of one entry."""
    shape = _listed(node.args[1:])
    if len(shape) < 2 or any(extent != 1 for extent in shape[2:]) or not _samples(shape[0]):
        return None
    flat = flattened(signal, 1, -1)
    return flat and replace(flat, axis=1 - len(shape), ndim=len(shape))


def _reduce(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow a mean or sum over axes that carry no units."""
    dims, keep = _arguments(node, ("dim", None), ("keepdim", False))
    over = _listed([dims])
    if signal.ndim is None or not over or not all(isinstance(dim, int) for dim in over):
        return None
    gone = {dim % signal.ndim for dim in over}
    place = signal.ndim + signal.axis
    if place in gone or 0 in gone:
        return None
    if keep:
        return signal
    behind = sum(dim > place for dim in gone)
    return replace(signal, axis=signal.axis + behind, ndim=signal.ndim - len(gone))


def _permute(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``permute(dims)``."""
    order = _listed([node.kwargs["dims"]] if "dims" in node.kwargs else node.args[1:])
    rank = signal.ndim
    if rank is None or len(order) != rank or not all(isinstance(dim, int) for dim in order):
        return None
    place = [dim % rank for dim in order].index(rank + signal.axis)
    return replace(signal, axis=place - rank)


def _transpose(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``transpose(dim0, dim1)``; axes counted from the last need no rank."""
    dims = _arguments(node, ("dim0", None), ("dim1", None))
    if not all(isinstance(dim, int) for dim in dims):
        return None
    if signal.ndim is not None:
        dims = [dim % signal.ndim - signal.ndim for dim in dims]
    if max(dims) >= 0:
        return None
    swap = {dims[0]: dims[1], dims[1]: dims[0]}
    return replace(signal, axis=swap.get(signal.axis, signal.axis))


def _getitem(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``x[...]`` with numbers and slices on axes that carry no units."""
    given = node.args[1]
    index = given if isinstance(given, tuple) else (given,)
    rank = signal.ndim
    if rank is None or not all(type(item) in (slice, int) for item in index):
        return None
    place = rank + signal.axis
    if place < len(index) and index[place] != slice(None):
        return None
    gone = [axis for axis, item in enumerate(index) if isinstance(item, int)]
    behind = sum(axis > place for axis in gone)
    return replace(signal, axis=signal.axis + behind, ndim=rank - len(gone))


def _unsqueeze(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``unsqueeze(dim)``."""
    (dim,) = _arguments(node, ("dim", None))
    if not isinstance(dim, int) or (dim >= 0 and signal.ndim is None):
        return None
    rank = None if signal.ndim is None else signal.ndim + 1
    last = dim if dim < 0 else dim - (rank or 0)
    return replace(signal, axis=signal.axis - (last >= signal.axis), ndim=rank)


def _pad(node: fx.Node, signal: Signal) -> Signal | None:
    """Follow ``pad``, which extends as many of the last axes as it names pairs."""
    (pads,) = _arguments(node, ("pad", None))
    return signal if isinstance(pads, list | tuple) and len(pads) // 2 < -signal.axis else None


def concatenates_units(node: fx.Node, signals: list[Signal]) -> bool:
    """Whether a concatenation is, or may be, along an axis that carries units."""
    (dim,) = _arguments(node, ("dim", 0))
    for signal in signals:
        last = dim if dim < 0 or signal.ndim is None else dim - signal.ndim
        if last >= 0 or last == signal.axis:
            return True
    return False


LAYOUTS: dict[str, Callable[[fx.Node, Signal], Signal | None]] = {
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduce),
    "permute": _permute,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "getitem": _getitem,
    "unsqueeze": _unsqueeze,
    "pad": _pad,
}


def _arguments(node: fx.Node, *wanted: tuple[str, Any]) -> list[Any]:
    """Return arguments of a call behind its tensor, by place or by name, or their defaults."""
    given = node.args[1:]
    return [
        given[place] if place < len(given) else node.kwargs.get(name, default)
        for place, (name, default) in enumerate(wanted)
    ]


def _listed(arguments: Any) -> list[Any]:
    """Return arguments that may come one by one or as one sequence."""
    if len(arguments) == 1 and isinstance(arguments[0], list | tuple):
        return list(arguments[0])
    return [argument for argument in arguments if argument is not None]


def _samples(extent: Any) -> bool:
    """Whether an argument of ``view`` is the number of samples, or a constant."""
    if not isinstance(extent, fx.Node):
        return isinstance(extent, int)
    called = getattr(extent.target, "__name__", extent.target)
    return called in ("size", "getitem") and extent.args[1:] == (0,)
