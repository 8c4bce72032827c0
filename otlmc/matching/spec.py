"""Which axes of which tensors carry hidden units that may be permuted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor, nn

from otlmc._text import Cell, aligned

State: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Axis:
    """The axis ``dim`` of a tensor carries the units of ``group``, ``block`` entries for each unit.

    ``block`` exceeds 1 where a convolution was flattened: every channel then owns ``block``
    consecutive inputs of the following linear layer.
    """

    group: str
    dim: int
    block: int = 1


@dataclass(frozen=True)
class Layer:
    """A linear map (dense or convolutional) between two groups; ``None`` is a fixed side.

    ``name`` is the module's path and the prefix of its tensors in the state dict.
    """

    name: str
    source: str | None
    target: str | None
    bias: bool
    block: int = 1

    @property
    def weight(self) -> str:
        """Key of the weight, shape (units, inputs, ...)."""
        return f"{self.name}.weight"


@dataclass(frozen=True)
class PermutationSpec:
    """Which axis of which tensor carries which group of interchangeable units.

    Attributes
    ----------
    sizes : mapping of str to int
        The units of every group, in the order in which the network computes them.
    axes : mapping of str to tuple of Axis
        The permuted axes of every tensor of the state dict; tensors without any may be left out.
    layers : tuple of Layer
        The linear maps, in the order of computation.
    blocks : mapping of str to int
        Groups whose units are tied into equal consecutive blocks (GroupNorm): a permutation must
        map blocks onto blocks.
    fixed : mapping of str to str
        The layers and modules whose units stay in place although they are hidden, and why.
    """

    sizes: Mapping[str, int]
    axes: Mapping[str, tuple[Axis, ...]]
    layers: tuple[Layer, ...]
    blocks: Mapping[str, int] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_axes(
        cls, axes: Mapping[str, Sequence[str | None]], state: State | nn.Module
    ) -> "PermutationSpec":
        """Write a specification by hand: the group (or ``None``) on the leading axes of a tensor.

        Parameters
        ----------
        axes : mapping of str to sequence of (str or None)
            For every permuted tensor the group on axis 0, axis 1, ...; missing axes are fixed.
            The longest axis-0 tensor of a group gives its size; an axis of a multiple of that
            size holds several consecutive entries for each unit.
        state : mapping or nn.Module
            The tensors, for their shapes.

        Raises
        ------
        ValueError
            If a tensor is unknown or an axis does not fit the size of its group.

        Examples
        --------
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> hidden = {"0.weight": ["h"], "0.bias": ["h"], "2.weight": [None, "h"]}
        >>> PermutationSpec.from_axes(hidden, net).sizes
        {'h': 8}
        """
        tensors = state_of(state)
        for key in axes:
            if key not in tensors:
                raise ValueError(f"`axes` names the tensor {key!r}, which is not in `state`")
        sizes: dict[str, int] = {}
        for key, groups in axes.items():
            if groups and groups[0] is not None:
                sizes.setdefault(groups[0], tensors[key].shape[0])
        found: dict[str, tuple[Axis, ...]] = {}
        for key, groups in axes.items():
            shape = tuple(tensors[key].shape)
            carried = []
            for dim, group in enumerate(groups):
                if group is None:
                    continue
                if group not in sizes:
                    raise ValueError(f"`axes`: no tensor carries the group {group!r} on its axis 0")
                block, rest = divmod(shape[dim] if dim < len(shape) else 0, sizes[group])
                if rest or not block:
                    raise ValueError(
                        f"`axes`: axis {dim} of {key!r} (shape {shape}) does not hold the "
                        f"{sizes[group]} units of group {group!r}"
                    )
                carried.append(Axis(group, dim, block))
            found[key] = tuple(carried)
        return cls(sizes, found, _layers(found, tensors))

    @property
    def hidden_layers(self) -> tuple[Layer, ...]:
        """The layers that compute units which may be permuted."""
        return tuple(layer for layer in self.layers if layer.target is not None)

    def writers(self, group: str) -> list[Layer]:
        """Return the layers that compute the units of ``group``."""
        return [layer for layer in self.layers if layer.target == group]

    def readers(self, group: str) -> list[Layer]:
        """Return the layers that read the units of ``group``."""
        return [layer for layer in self.layers if layer.source == group]

    def __str__(self) -> str:
        """Print for every group its units and the layers around it, and what stays in place."""
        rows: list[tuple[Cell, ...]] = [("group", "units", "written by", "read by")]
        for group, units in self.sizes.items():
            layers = (self.writers(group), self.readers(group))
            rows.append((group, units, *(", ".join(x.name for x in side) for side in layers)))
        left = [f"in place: {name} ({why})" for name, why in self.fixed.items()]
        return "\n".join([aligned(rows), *left])

    def check(self, name: str, state: State) -> None:
        """Raise ``ValueError`` unless the tensors of ``state`` have the axes that are listed."""
        for key, axes in self.axes.items():
            if key not in state:
                raise ValueError(f"`{name}` has no tensor {key!r}, which the specification names")
            shape = tuple(state[key].shape)
            for axis in axes:
                wanted = self.sizes[axis.group] * axis.block
                if axis.dim >= len(shape) or shape[axis.dim] != wanted:
                    raise ValueError(
                        f"`{name}`: axis {axis.dim} of {key!r} must hold {wanted} entries "
                        f"(group {axis.group!r}), got shape {shape}"
                    )


def state_of(network: nn.Module | State) -> dict[str, Tensor]:
    """Return the state dict of a module, or a copy of the mapping itself."""
    return dict(network.state_dict() if isinstance(network, nn.Module) else network)


def _layers(axes: Mapping[str, tuple[Axis, ...]], state: State) -> tuple[Layer, ...]:
    """Read the linear maps off a hand-written specification: weights of two axes or more."""
    layers = []
    for key, tensor in state.items():
        name, _, last = key.rpartition(".")
        if last != "weight" or tensor.ndim < 2:
            continue
        sides = {axis.dim: axis for axis in axes.get(key, ())}
        target = sides[0].group if 0 in sides else None
        source, block = (sides[1].group, sides[1].block) if 1 in sides else (None, 1)
        layers.append(Layer(name, source, target, f"{name}.bias" in state, block))
    return tuple(layers)
