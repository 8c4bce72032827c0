"""Infer the permutation symmetries of a module by tracing it with ``torch.fx``."""

from collections.abc import Callable
from typing import Any

from torch import fx, nn

from otlmc._modules import evaluation_mode
from otlmc.matching.operations import stock_class
from otlmc.matching.spec import PermutationSpec
from otlmc.matching.walk import Walk

_BY_HAND = "give `spec=PermutationSpec.from_axes(...)`"


def infer_spec(model: nn.Module) -> PermutationSpec:
    """Return the permutation symmetries of a module.

    Units are followed from the layer that computes them to those that read them, through
    everything that keeps them apart. Where units meet an operation that is not understood (a
    grouped convolution, attention, a concatenation, a module that cannot be traced) they stay in
    place, which is always right; the attribute ``fixed`` of the result says which, and why.
    The guide :doc:`/howto/networks` lists what is understood.

    Parameters
    ----------
    model : nn.Module
        Traced symbolically, in evaluation mode; it is not run. Axis 0 of what passes through it
        holds the samples, and what BatchNorm, GroupNorm or PReLU read of a linear layer is
        (samples, units) if the numbers allow it.

    Returns
    -------
    PermutationSpec
        Its groups are named after the layer that computes them first.

    Raises
    ------
    TypeError
        If ``model`` is no module (a bare state dict needs a specification by hand).
    ValueError
        If the module is a wrapper, cannot be traced, or all of its units would have to stay in
        place; the message says why.

    Examples
    --------
    >>> infer_spec(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))).sizes
    {'0': 8}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            "a specification can be inferred from an nn.Module only, got "
            f"{type(model).__name__}; {_BY_HAND}"
        )
    kind = type(model).__name__
    for inside in ("_orig_mod", "module"):  # of torch.compile, and of DataParallel and its like
        if [name for name, _ in model.named_children()] == [inside] and not _own_forward(model):
            raise ValueError(f"{kind} wraps a module: give `.{inside}` of all networks instead")
    before = set(vars(model))
    try:
        with evaluation_mode(model):
            graph = _Tracer().trace(model)
        spec = Walk(model).run(graph)
    except Exception as error:  # fx raises whatever the traced code raises on a proxy
        raise ValueError(f"torch.fx cannot trace {kind} ({error}); {_BY_HAND}") from error
    finally:
        for constant in set(vars(model)) - before:  # tensors that fx leaves in the module
            delattr(model, constant)
    if spec.fixed and not spec.sizes:
        listed = "; ".join(f"{name!r}: {why}" for name, why in spec.fixed.items())
        raise ValueError(f"no units of {kind} can be permuted ({listed}); {_BY_HAND}")
    return spec


def _own_forward(model: nn.Module) -> bool:
    return not type(model).forward.__module__.startswith("torch.")


class _Tracer(fx.Tracer):
    """Takes layers as they are, and whatever cannot be traced for one operation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        plain = stock_class(m) not in (None, nn.Module, nn.Sequential)
        return plain or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        known, depth = len(self.graph.nodes), len(self.module_stack)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception:  # control flow that depends on data, say
            while len(self.module_stack) > depth:
                self.module_stack.popitem()
            for node in list(self.graph.nodes)[: known - 1 : -1]:
                self.graph.erase_node(node)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)
