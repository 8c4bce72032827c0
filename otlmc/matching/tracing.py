"""Infer the permutation symmetries of a module by tracing it with ``torch.fx``.

Every value in the traced graph is followed with the group of units on its channel axis. Linear maps
open new groups, entrywise operations pass a group on, sums tie two groups together, and whatever
mixes units in another way is refused by name.
"""

import operator
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from otlmc.matching.permutation import Axis, Layer, PermutationSpec

CONVOLUTIONS = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_ENTRYWISE = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU,
    nn.Mish, nn.Softplus, nn.Softsign, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.AlphaDropout,
)  # fmt: skip
_POOLS = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.Upsample,
)  # fmt: skip


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_ENTRYWISE_NAMES = _names(
    "relu relu_ relu6 leaky_relu elu selu celu gelu silu mish softplus softsign tanh sigmoid "
    "logsigmoid hardtanh hardswish hardsigmoid dropout dropout1d dropout2d dropout3d abs neg exp "
    "square sqrt sin cos clamp contiguous clone detach float double half to erf"
)
_POOL_NAMES = _names(
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d "
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "interpolate"
)
_BINARY_NAMES = _names(
    "add sub mul truediv div iadd isub imul itruediv add_ sub_ mul_ div_ pow maximum minimum"
)
_NO_SIGNAL_NAMES = _names("size dim getattr len floordiv")


@dataclass(frozen=True)
class _Signal:
    """A value: the group on its channel axis, and where that axis is.

    ``spatial`` is the number of axes behind the channels (axis 1), or ``None`` for features on the
    last axis. ``group`` 0 is fixed: nothing there may be permuted.
    """

    group: int
    spatial: int | None = None


def infer_spec(model: nn.Module) -> PermutationSpec:
    """Return the permutation symmetries of a module.

    Understood are linear and convolutional layers (also depthwise), BatchNorm, LayerNorm,
    GroupNorm and InstanceNorm, entrywise activations, dropout, pooling, flattening, and entrywise
    sums and products (residual connections tie the groups of their branches).

    Parameters
    ----------
    model : nn.Module
        Traced symbolically; it is not run.

    Returns
    -------
    PermutationSpec
        Its groups are named after the layer that computes them first.

    Raises
    ------
    TypeError
        If ``model`` is no module (a bare state dict needs a specification by hand).
    ValueError
        If an operation mixes units or cannot be traced; the message names it.

    Examples
    --------
    >>> infer_spec(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))).sizes
    {'0': 8}
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            "a specification can be inferred from an nn.Module only, got "
            f"{type(model).__name__}; give `spec=PermutationSpec.from_axes(...)`"
        )
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # fx raises whatever the traced code raises on a proxy
        raise ValueError(
            f"torch.fx cannot trace {type(model).__name__} ({error}); "
            "give `spec=PermutationSpec.from_axes(...)`"
        ) from error
    return _Walk(model).run(graph)


class _Walk:
    """One pass over a traced graph. Groups are joined as in a union-find; 0 is the fixed one."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parent = [0]
        self.size = {0: 0}
        self.name = {0: ""}
        self.axes: dict[str, list[tuple[int, int, int]]] = {}  # key -> (group, dim, block)
        self.layers: dict[str, tuple[int, int, nn.Module]] = {}  # name -> (source, target, module)
        self.tied: list[tuple[int, int]] = []  # GroupNorm: (group, blocks)

    def run(self, graph: fx.Graph) -> PermutationSpec:
        values: dict[fx.Node, _Signal | None] = {}
        for node in graph.nodes:
            if node.op == "output":
                for source in node.all_input_nodes:
                    if (out := values[source]) is not None:
                        self.join(out.group, 0, "the output")
            elif node.op == "placeholder":
                values[node] = _Signal(0)
            else:
                values[node] = self.step(node, values)
        return self.finish()

    def step(self, node: fx.Node, values: dict[fx.Node, _Signal | None]) -> _Signal | None:
        signals = [s for n in node.all_input_nodes if (s := values[n]) is not None]
        if node.op == "call_module":
            if len(signals) != 1:
                raise self.refuse(node, f"it takes {len(signals)} tensors")
            return self.module(node, str(node.target), signals[0])
        if node.op == "get_attr":
            value = operator.attrgetter(str(node.target))(self.model)
            if value.numel() == 1:
                return None
            raise self.refuse(node, f"a free parameter of shape {tuple(value.shape)}")
        return self.function(node, signals)

    def module(self, node: fx.Node, name: str, signal: _Signal) -> _Signal:
        layer: Any = self.model.get_submodule(name)
        kind = type(layer)
        if kind is nn.Linear or kind in CONVOLUTIONS:
            return self.linear(node, name, layer, signal)
        if isinstance(layer, (*_BATCH_NORMS, *_INSTANCE_NORMS)):
            for vector in ("weight", "bias", "running_mean", "running_var"):
                self.vector(node, name, vector, signal)
            return signal
        if kind is nn.GroupNorm:
            for vector in ("weight", "bias"):
                self.vector(node, name, vector, signal)
            if layer.num_groups not in (1, layer.num_channels):
                self.tied.append((signal.group, layer.num_groups))
            return signal
        if kind is nn.LayerNorm:
            whole = 1 if signal.spatial is None else signal.spatial + 1
            if len(layer.normalized_shape) == whole:
                for vector in ("weight", "bias"):
                    self.vector(node, name, vector, signal)
            elif len(layer.normalized_shape) > whole:
                raise self.refuse(node, f"normalized_shape {layer.normalized_shape}")
            return signal
        if kind is nn.PReLU:
            if layer.num_parameters > 1:
                self.vector(node, name, "weight", signal)
            return signal
        if kind is nn.Flatten:
            return self.flatten(node, signal, layer.start_dim, layer.end_dim)
        if isinstance(layer, _ENTRYWISE):
            return signal
        if isinstance(layer, _POOLS):
            return self.pool(node, signal)
        raise self.refuse(node, kind.__name__)

    def function(self, node: fx.Node, signals: list[_Signal]) -> _Signal | None:
        target = node.target
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        if not signals or name in _NO_SIGNAL_NAMES:
            return None
        first = signals[0]
        if all(s.group == 0 for s in signals):
            return first  # the raw input may be reshaped at will
        if name in _BINARY_NAMES:
            for other in signals[1:]:
                if other.spatial != first.spatial and 0 not in (other.group, first.group):
                    raise self.refuse(node, "its operands have different layouts")
                self.join(first.group, other.group, str(node))
            return next(s for s in signals if s.group)
        if len(signals) > 1:
            raise self.refuse(node, f"it takes {len(signals)} tensors")
        if name in _ENTRYWISE_NAMES:
            return first
        if name in _POOL_NAMES:
            return self.pool(node, first)
        if name == "flatten":
            bounds = [a for a in node.args[1:] if isinstance(a, int)]
            start = node.kwargs.get("start_dim", bounds[0] if bounds else 0)
            end = node.kwargs.get("end_dim", bounds[1] if len(bounds) > 1 else -1)
            return self.flatten(node, first, start, end)
        if name in ("view", "reshape") and len(node.args) == 3 and node.args[2] == -1:
            return self.flatten(node, first, 1, -1)
        if name == "mean":
            return self.mean(node, first)
        raise self.refuse(node, name)

    def linear(self, node: fx.Node, name: str, layer: Any, signal: _Signal) -> _Signal:
        spatial = CONVOLUTIONS.get(type(layer))
        if signal.group and signal.spatial != spatial:
            raise self.refuse(node, "it reads a value of another layout")
        if spatial is None:
            inputs, units = layer.in_features, layer.out_features
        else:
            inputs, units = layer.in_channels, layer.out_channels
            if layer.groups > 1:
                if not layer.groups == inputs == units:
                    raise self.refuse(node, f"a grouped convolution ({layer.groups} groups)")
                self.vector(node, name, "weight", signal)
                self.vector(node, name, "bias", signal)
                return signal
        if name in self.layers:  # a layer that is used twice ties its inputs and its outputs
            source, target, _ = self.layers[name]
            self.join(source, signal.group, name)
            return _Signal(target, spatial)
        group = len(self.parent)
        self.parent.append(group)
        self.size[group], self.name[group] = units, name
        self.layers[name] = (signal.group, group, layer)
        block = self.block(node, signal, inputs)
        self.axes[f"{name}.weight"] = [(group, 0, 1), (signal.group, 1, block)]
        if layer.bias is not None:
            self.axes[f"{name}.bias"] = [(group, 0, 1)]
        return _Signal(group, spatial)

    def vector(self, node: fx.Node, name: str, attribute: str, signal: _Signal) -> None:
        tensor = getattr(self.model.get_submodule(name), attribute, None)
        if tensor is not None:
            block = self.block(node, signal, tensor.shape[0])
            self.axes[f"{name}.{attribute}"] = [(signal.group, 0, block)]

    def flatten(self, node: fx.Node, signal: _Signal, start: Any, end: Any) -> _Signal:
        if signal.group == 0:
            return signal
        last = 1 if signal.spatial is None else signal.spatial + 1
        if start == 1 and end in (-1, last):
            return _Signal(signal.group, None)
        if isinstance(start, int) and start >= 2 and end in (-1, last):
            return replace(signal, spatial=1)
        raise self.refuse(node, f"flattening from axis {start} to {end}")

    def pool(self, node: fx.Node, signal: _Signal) -> _Signal:
        if signal.group and signal.spatial is None:
            raise self.refuse(node, "pooling over units")
        return signal

    def mean(self, node: fx.Node, signal: _Signal) -> _Signal:
        dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        keep = node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False)
        spatial = signal.spatial or 0
        listed = [dims] if isinstance(dims, int) else list(dims or [])  # type: ignore[arg-type]
        over = {d % (spatial + 2) for d in listed}
        if not spatial or over != set(range(2, spatial + 2)):
            raise self.refuse(node, f"a mean over axes {dims}")
        return signal if keep else _Signal(signal.group, None)

    def block(self, node: fx.Node, signal: _Signal, entries: int) -> int:
        """Return how many of an axis' entries belong to each unit of a signal."""
        if signal.group == 0:
            return 1
        block, rest = divmod(entries, self.size[signal.group])
        if rest or not block:
            raise self.refuse(node, f"{entries} entries for {self.size[signal.group]} units")
        return block

    def find(self, group: int) -> int:
        while self.parent[group] != group:
            group = self.parent[group]
        return group

    def join(self, a: int, b: int, where: str) -> None:
        low, high = sorted((self.find(a), self.find(b)))
        if low and self.size[low] != self.size[high]:
            raise ValueError(
                f"{where} joins {self.name[low]!r} ({self.size[low]} units) "
                f"with {self.name[high]!r} ({self.size[high]} units)"
            )
        self.parent[high] = low

    def refuse(self, node: fx.Node, why: str) -> ValueError:
        return ValueError(
            f"cannot see through {node.op} {node.target!r} of {type(self.model).__name__}: {why}; "
            "give `spec=PermutationSpec.from_axes(...)`"
        )

    def finish(self) -> PermutationSpec:
        def group_name(group: int) -> str | None:
            root = self.find(group)
            return self.name[root] if root else None

        roots = [g for g in range(1, len(self.parent)) if self.find(g) == g]
        sizes = {self.name[g]: self.size[g] for g in roots}
        axes = {
            key: found
            for key, carried in self.axes.items()
            if (found := tuple(Axis(n, d, b) for g, d, b in carried if (n := group_name(g))))
        }
        layers = []
        for name, (source, target, module) in self.layers.items():
            sides = {a.dim: a for a in axes.get(f"{name}.weight", ())}
            block = sides[1].block if 1 in sides else 1
            bias = module.bias is not None
            layers.append(Layer(name, group_name(source), group_name(target), bias, block))
        blocks: dict[str, int] = {}
        for group, count in self.tied:
            root = group_name(group)
            if root is not None and blocks.setdefault(root, count) != count:
                raise ValueError(f"group {root!r} is tied into {blocks[root]} and {count} blocks")
        return PermutationSpec(sizes, axes, tuple(layers), blocks)
