"""A second device for machines that have one only.

Its tensors say that they are elsewhere and hold values all the same, so that whole functions run
there, sums and branches included. What a GPU refuses is refused: operands on two devices, and NumPy
without a copy to the host. What a GPU makes the host wait for is written down.

The device is torch's ``meta``: of the devices that every build of torch knows, it is the one whose
tensors can be differentiated without hardware.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

DEVICE = torch.device("meta")
_HOST = torch.device("cpu")

_aten: Any = torch.ops.aten
_COPIES = (_aten._to_copy, _aten.copy_)
_GATHERS = (_aten.index, _aten.index_put_, _aten._index_put_impl_)
_ASKS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
"""Operations whose result, or its shape, the host has to know to go on."""


class There(Tensor):
    """A tensor on the second device."""

    held: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> "There":
        outer = Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )
        outer.held = values
        return outer

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} on the second device, which is switched off")


class SecondDevice(TorchDispatchMode):
    """Switch the device on, for this thread.

    Attributes
    ----------
    waits : list of str
        The operations for which the host had to wait until the device had caught up.
    made : set of torch.dtype
        The types of the tensors that came to be there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.made: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        leaves, form = tree_flatten((args, kwargs))
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        there = [x for x in tensors if isinstance(x, There)]
        target = _target(func, args, kwargs, there)
        if not there and target != DEVICE:
            return func(*args, **kwargs)
        if 0 < len(there) < len(tensors) and not _may_mix(func, args, tensors):
            raise RuntimeError(f"{func}: tensors on two devices, {DEVICE} and {_HOST}")
        if (there and _needs_values(func, args)) or _blocks(func, args, kwargs, tensors, target):
            self.waits.append(str(func))
        args, kwargs = tree_unflatten([_on_host(x) for x in leaves], form)
        found = func(*args, **kwargs)
        if target != DEVICE:
            return found
        known = {id(x.held): x for x in there}  # what is changed in place stays what it is

        def outer(x: Tensor) -> Tensor:
            self.made.add(x.dtype)
            return known[id(x)] if id(x) in known else There(x)

        return tree_map_only(Tensor, outer, found)


def _on_host(x: Any) -> Any:
    if isinstance(x, torch.device):
        return _HOST
    return x.held if isinstance(x, There) else x


def _target(func: Any, args: Any, kwargs: dict[str, Any], there: list[There]) -> torch.device:
    """Return where the result is."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    if func.overloadpacket is _aten.copy_:
        return args[0].device
    return DEVICE if there else _HOST


def _may_mix(func: Any, args: Any, tensors: list[Tensor]) -> bool:
    """Say whether an operation takes operands on two devices: as CUDA does, few do."""
    here = [x for x in tensors if not isinstance(x, There)]
    if func.overloadpacket in _COPIES:
        return True
    if isinstance(args[0], Tensor) and not isinstance(args[0], There) and func._schema.is_mutable:
        return False
    if func.overloadpacket in _GATHERS:
        return isinstance(args[0], There)  # indices may be on the host
    return torch.Tag.pointwise in func.tags and all(x.ndim == 0 for x in here)


def _needs_values(func: Any, args: Any) -> bool:
    """Say whether an operation on the device has a result, or a shape, that the host asks for."""
    if func.overloadpacket in _GATHERS:
        indices = [x for x in args[1] if x is not None]
        return any(x.dtype == torch.bool or not isinstance(x, There) for x in indices)
    return not _ASKS.isdisjoint(func.tags)


def _blocks(
    func: Any, args: Any, kwargs: dict[str, Any], tensors: list[Tensor], target: torch.device
) -> bool:
    """Say whether an operation is a copy between the devices that the host waits for."""
    if func.overloadpacket not in _COPIES or all(x.device == target for x in tensors):
        return False
    asynchronous = kwargs.get("non_blocking", False) or args[2:] == (True,)
    return target == _HOST or not asynchronous
