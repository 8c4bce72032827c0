"""One pass over a traced graph, which follows every value with the group of units it carries.

Linear maps open new groups, entrywise operations pass a group on, sums tie two groups together.
Everything else is opaque: what it reads, computes and owns stays in place, whatever it may be.
"""

import operator
from dataclasses import replace
from typing import Any

from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import is_parametrized

from otlmc.matching import operations
from otlmc.matching.groups import FIXED, Free, Groups, Signal
from otlmc.matching.layouts import LAYOUTS, concatenates_units, flattened
from otlmc.matching.spec import Axis, Layer, PermutationSpec

Value = Signal | Free | None
_UNDERSTOOD = (
    *operations.CONVOLUTIONS, *operations.ENTRYWISE, *operations.POOLS, *operations.BATCH_NORMS,
    *operations.INSTANCE_NORMS, *operations.LAYER_NORMS, nn.Linear, nn.GroupNorm, nn.PReLU,
    nn.Upsample, nn.Flatten,
)  # fmt: skip


class Walk:
    """A pass over the graph of a module."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.groups = Groups()
        self.values: dict[fx.Node, Value] = {}
        state = model.state_dict(keep_vars=True).items()
        self.state = {key: tensor for key, tensor in state if isinstance(tensor, Tensor)}
        self.carried: dict[str, dict[int, tuple[int, int]]] = {}  # key -> dim -> (group, block)
        self.layers: dict[str, tuple[int, int]] = {}  # name -> (source, target)
        self.tied: list[tuple[int, int]] = []  # GroupNorm: (group, blocks)
        self.reached: set[str] = set()
        self.inner: set[fx.Node] = set()

    def run(self, graph: fx.Graph) -> PermutationSpec:
        """Return what may be permuted, after following every node."""
        self.inner = self.before_parameters(graph)
        for node in graph.nodes:
            if node.op == "output":
                self.opaque(node)
            elif node.op == "placeholder":
                self.values[node] = FIXED
            elif node.op == "get_attr":
                self.values[node] = self.attribute(str(node.target))
            elif node.op == "call_module":
                self.values[node] = self.module(node, str(node.target))
            else:
                self.values[node] = self.function(node)
        return self.finish()

    def before_parameters(self, graph: fx.Graph) -> set[fx.Node]:
        """Return the operations that have parameters, or lead to some that have."""
        weights: set[fx.Node] = set()
        for node in graph.nodes:
            sources = node.all_input_nodes
            if node.op == "get_attr" or (sources and weights.issuperset(sources)):
                weights.add(node)
        inner: set[fx.Node] = set()
        for node in reversed(graph.nodes):
            uses = self.owns(node) or not weights.isdisjoint(node.all_input_nodes)
            if uses or not inner.isdisjoint(node.users):
                inner.add(node)
        return inner

    def module(self, node: fx.Node, name: str) -> Value:
        """Follow the call of a module, if it is one of torch's own that is understood."""
        layer: Any = self.model.get_submodule(name)
        kind = operations.stock_class(layer)
        self.reached.update(self.keys(name))
        signals, frees = self.sources(node)
        weight = getattr(layer, "weight", None)
        if is_parametrized(layer) or (weight is not None and f"{name}.weight" not in self.state):
            return self.opaque(
                node,
                "its weight is computed: make it permanent first "
                "(remove_parametrizations, remove_weight_norm, prune.remove)",
            )
        if layer._forward_hooks or layer._forward_pre_hooks:
            return self.opaque(node, "it has forward hooks, which may change its values")
        if kind not in _UNDERSTOOD or frees or len(signals) != 1:
            return self.opaque(node)
        (signal,) = signals
        if kind is nn.Linear or kind in operations.CONVOLUTIONS:
            return self.linear(node, name, layer, signal)
        if kind in operations.ENTRYWISE:
            return signal
        if kind is nn.Flatten:
            return flattened(signal, layer.start_dim, layer.end_dim) or self.opaque(node)
        if kind in operations.POOLS:
            over = int(kind.__name__[-2])
            kept = signal.axis < -over and not getattr(layer, "return_indices", False)
            return signal if kept else self.opaque(node)
        if kind is nn.Upsample:
            return signal if signal.on_channels and signal.axis < -1 else self.opaque(node)
        return self.vectors(node, name, layer, signal)

    def vectors(self, node: fx.Node, name: str, layer: Any, signal: Signal) -> Value:
        """Follow a normalisation or PReLU: its vectors carry the units that it reads."""
        kind = operations.stock_class(layer)
        dim, understood = 0, signal.on_channels
        if kind in operations.LAYER_NORMS:
            dim, understood = len(layer.normalized_shape) + signal.axis, True
        elif kind in operations.INSTANCE_NORMS:
            understood &= signal.axis < -1
        elif kind is nn.PReLU and layer.num_parameters == 1:
            return signal
        if self.live(signal) and not understood:
            return self.opaque(node)
        for vector in ("weight", "bias", "running_mean", "running_var"):
            tensor = self.state.get(f"{name}.{vector}")
            if tensor is not None and 0 <= dim < tensor.ndim:
                self.carry(node, f"{name}.{vector}", dim, signal)
        if kind is nn.GroupNorm and layer.num_groups not in (1, layer.num_channels):
            self.read(node, signal, layer.num_channels)
            self.tied.append((signal.group, layer.num_groups))
        return signal

    def linear(self, node: fx.Node, name: str, layer: Any, signal: Signal) -> Value:
        """Follow a linear map, which opens a group unless it is depthwise."""
        dense = isinstance(layer, nn.Linear)
        axis = -1 if dense else -1 - len(layer.kernel_size)
        rank = signal.ndim if dense else 1 - axis
        if signal.axis != axis:
            self.groups.fix(signal.group, f"{self.label(node)} acts on another axis")
        keys = [f"{name}.weight"] + [f"{name}.bias"] * (layer.bias is not None)
        if not dense and layer.groups > 1:
            multiplier, rest = divmod(layer.out_channels, layer.in_channels)
            if rest or layer.groups != layer.in_channels:
                return self.opaque(node, f"a grouped convolution ({layer.groups} groups)")
            block = self.read(node, signal, layer.in_channels)
            written = Signal(signal.group, axis, rank, block * multiplier)
        else:
            units = layer.out_features if dense else layer.out_channels
            _, group = self.layers.get(name) or (0, self.groups.open(name, units))
            self.layers.setdefault(name, (signal.group, group))
            written = Signal(group, axis, rank)
            self.carry(node, keys[0], 1, signal)
        for key in keys:
            self.carry(node, key, 0, written)
        return written

    def function(self, node: fx.Node) -> Value:
        """Follow a function or method, if it keeps units apart."""
        name = self.called(node)
        signals, frees = self.sources(node)
        if not (signals or frees) or name in operations.SIZE_NAMES:
            return None
        if name in operations.BINARY_NAMES:
            return self.together(node, signals, frees)
        live = [signal for signal in signals if self.live(signal)]
        if name in operations.CONCATENATION_NAMES and not concatenates_units(node, live):
            return self.together(node, signals, frees)
        if not signals and name in (*operations.ENTRYWISE_NAMES, "expand"):
            return frees[0] if len(frees) == 1 else self.opaque(node)
        if frees or len(signals) != 1 or not self.live(signals[0]):
            return self.opaque(node)
        (signal,) = signals
        kept = name in operations.ENTRYWISE_NAMES
        if name in operations.POOL_NAMES:
            kept = signal.axis < -int(name[-2]) and not node.kwargs.get("return_indices")
        elif name == "interpolate":
            kept = signal.on_channels and signal.axis < -1
        elif name in LAYOUTS:
            return LAYOUTS[name](node, signal) or self.opaque(node)
        return signal if kept else self.opaque(node)

    def together(self, node: fx.Node, signals: list[Signal], frees: list[Free]) -> Value:
        """Follow a sum, a product or positions put side by side: units meet their like."""
        live = [signal for signal in signals if self.live(signal)]
        if not signals and len(frees) == 1:
            return frees[0]
        if not live or not all(live[0].alike(other) for other in live[1:]):
            return self.opaque(node)
        for other in signals:
            ends = "to what stays in place" if not self.live(other) else "to unlike units"
            self.groups.join(live[0].group, other.group, f"{self.label(node)} ties them {ends}")
        for free in frees:
            dim = len(free.shape) + live[0].axis
            if dim < 0 or free.shape[dim] == 1:
                continue
            if free.key is None:
                self.groups.fix(live[0].group, f"{self.label(node)} brings in a constant")
            else:
                self.carry(node, free.key, dim, live[0])
        ranks = [signal.ndim for signal in live if signal.ndim] + [len(f.shape) for f in frees]
        rank = max(ranks) if live[0].ndim else None
        return replace(live[0], ndim=rank, sure=any(signal.sure for signal in live))

    def opaque(self, node: fx.Node, why: str | None = None) -> Signal:
        """Leave in place whatever an operation reads, owns and computes."""
        signals, frees = self.sources(node)
        for signal in signals:
            self.groups.fix(
                signal.group, f"{self.label(node)} mixes them" if node in self.inner else None
            )
        keys = [free.key for free in frees if free.key is not None]
        if node.op != "call_module" and self.called(node) not in operations.BINARY_NAMES:
            for key in keys:
                if sum(extent > 1 for extent in self.state[key].shape) > 1:
                    owner = key.rpartition(".")[0] or key
                    self.groups.reasons[owner] = f"{self.label(node)} uses {key!r} by itself"
        if node.op == "call_module":
            keys += self.keys(str(node.target))
            if self.owns(node):
                kind = type(self.model.get_submodule(str(node.target))).__name__
                self.groups.reasons[str(node.target)] = why or f"{kind} is not traced"
        for key in keys:
            for dim in range(self.state[key].ndim):
                self.carry(node, key, dim, FIXED)
        return FIXED

    def carry(self, node: fx.Node, key: str, dim: int, signal: Signal) -> None:
        """Note that an axis of a tensor carries the units of a value."""
        block = self.read(node, signal, self.state[key].shape[dim])
        known = self.carried.setdefault(key, {})
        group, before = known.setdefault(dim, (signal.group, block))
        self.meet((group, before), (signal.group, block), f"{key!r} is used for several values")

    def meet(self, one: tuple[int, int], other: tuple[int, int], why: str) -> None:
        """Let two uses of one axis agree."""
        if one[1] != other[1]:
            self.groups.join(one[0], 0, why)
        self.groups.join(one[0], other[0], why)

    def read(self, node: fx.Node, signal: Signal, entries: int) -> int:
        """Return how many of the entries of an axis belong to each unit of a value."""
        if not self.live(signal):
            return 1
        size = self.groups.sizes[self.groups.find(signal.group)]
        block, rest = divmod(entries, size)
        if rest or not block or signal.block not in (None, block):
            why = f"{self.label(node)} reads {entries} entries of {size} units"
            self.groups.fix(signal.group, why)
            return 1
        return block

    def sources(self, node: fx.Node) -> tuple[list[Signal], list[Free]]:
        """Return the tensors that an operation reads."""
        values = [self.values[source] for source in node.all_input_nodes]
        signals = [value for value in values if isinstance(value, Signal)]
        return signals, [value for value in values if isinstance(value, Free)]

    def attribute(self, name: str) -> Value:
        """Return the parameter or buffer of a name."""
        value = operator.attrgetter(name)(self.model)
        if not isinstance(value, Tensor):
            return None
        self.reached.add(name)
        return Free(name if name in self.state else None, tuple(value.shape))

    def live(self, signal: Signal) -> bool:
        """Whether the units of a value may be permuted, as far as is known."""
        return self.groups.find(signal.group) != 0

    def keys(self, module: str) -> list[str]:
        """Return the tensors of a module and all within."""
        return [key for key in self.state if key.startswith(f"{module}.")]

    def owns(self, node: fx.Node) -> bool:
        """Whether an operation has parameters of its own."""
        return node.op == "call_module" and bool(self.keys(str(node.target)))

    def called(self, node: fx.Node) -> str:
        """Return the name of a function, method or attribute of a tensor."""
        name = getattr(node.target, "__name__", str(node.target))
        return str(node.args[1]) if name == "getattr" else name

    def label(self, node: fx.Node) -> str:
        """Return what a message calls an operation: its name, and the module that it is in."""
        if node.op == "call_module":
            kind = type(self.model.get_submodule(str(node.target))).__name__
            return f"{kind} {node.target!r}"
        name = self.called(node)
        stack = list(node.meta.get("nn_module_stack", {}).values())
        if node.target is getattr:  # fx writes attributes down where they are used
            stack = []
        return f"{name!r}" + (f" in {stack[-1][0]!r}" if stack else "")

    def finish(self) -> PermutationSpec:
        """Settle what belongs together, and write the specification."""
        self.settle()
        groups = self.groups
        axes = {
            key: found
            for key in self.state
            if (
                found := tuple(
                    Axis(name, dim, block)
                    for dim, (group, block) in self.carried.get(key, {}).items()
                    if (name := groups.name(group))
                )
            )
        }
        layers = tuple(
            Layer(
                name,
                groups.name(source),
                groups.name(target),
                f"{name}.bias" in self.state,
                self.carried[f"{name}.weight"][1][1] if groups.find(source) else 1,
            )
            for name, (source, target) in self.layers.items()
        )
        sizes = {groups.names[root]: groups.sizes[root] for root in groups.roots()}
        blocks = {name: count for group, count in self.tied if (name := groups.name(group))}
        return PermutationSpec(sizes, axes, layers, blocks, groups.reasons)

    def settle(self) -> None:
        """Join what shares a tensor, and fix what cannot be permuted after all."""
        names: dict[int, list[str]] = {}
        for key, tensor in self.state.items():
            names.setdefault(id(tensor), []).append(key)
        for shared in names.values():
            used = [self.carried[key] for key in shared if key in self.carried]
            merged: dict[int, tuple[int, int]] = {}
            for dim in {dim for dims in used for dim in dims}:
                first, *others = (dims.get(dim, (0, 1)) for dims in used)
                for other in others:
                    self.meet(first, other, f"{shared[0]!r} and {shared[1]!r} are one tensor")
                merged[dim] = first
            self.carried |= dict.fromkeys(shared, merged)
            used_at_all = self.reached.intersection(shared)
            if isinstance(self.state[shared[0]], nn.Parameter) and not used_at_all:
                owner = shared[0].rpartition(".")[0] or shared[0]
                self.groups.reasons[owner] = "not used in evaluation mode"
        counts: dict[int, int] = {}
        for group, count in self.tied:
            root = self.groups.find(group)
            if counts.setdefault(root, count) != count or self.groups.sizes[root] % count:
                self.groups.fix(
                    group, f"GroupNorms tie them into {counts[root]} and {count} blocks"
                )
        read = {self.groups.find(source) for source, _ in self.layers.values()}
        for root in self.groups.roots():
            if root not in read:
                self.groups.fix(root, "no layer reads them")
