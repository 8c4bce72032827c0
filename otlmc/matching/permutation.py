"""Permutations of hidden units: which tensor axes carry them, and how they are applied.

The one convention of the package: ``perm[i]`` is the unit of B that takes place ``i`` of A. An axis
that carries the units is gathered, ``B'[i] = B[perm[i]]``, and ``B'`` is compared with A.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, TypeVar, overload

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc._files import replacing
from otlmc._modules import check_moved
from otlmc._text import Cell, aligned

Rng: TypeAlias = int | np.random.Generator | np.random.SeedSequence | None
State: TypeAlias = Mapping[str, Tensor]
Indices: TypeAlias = NDArray[np.int64]
Network = TypeVar("Network", bound=nn.Module)


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


class Permutation(Mapping[str, Indices]):
    """One permutation for every group of a specification: an immutable mapping to index arrays.

    Parameters
    ----------
    spec : PermutationSpec
        Where the units sit.
    indices : mapping of str to array of int
        ``indices[group][i]`` is the unit of B that takes place ``i`` of A.

    Raises
    ------
    ValueError
        If a group is missing or unknown, or an array is no permutation of its units.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> axes = {"0.weight": ["h"], "0.bias": ["h"], "2.weight": [None, "h"]}
    >>> perm = Permutation(PermutationSpec.from_axes(axes, net), {"h": [2, 0, 1]})
    >>> perm.compose(perm.inverse())["h"]
    array([0, 1, 2])
    >>> x = torch.randn(5, 2)
    >>> torch.allclose(perm.apply(net)(x), net(x), atol=1e-6)
    True
    """

    spec: PermutationSpec
    _indices: Mapping[str, Indices]

    def __init__(self, spec: PermutationSpec, indices: Mapping[str, object]) -> None:
        if set(indices) != set(spec.sizes):
            raise ValueError(
                f"`indices` must have the groups {sorted(spec.sizes)}, got {sorted(indices)}"
            )
        checked = {g: _checked(g, indices[g], n, spec.blocks) for g, n in spec.sizes.items()}
        object.__setattr__(self, "spec", spec)
        object.__setattr__(self, "_indices", MappingProxyType(checked))

    @classmethod
    def identity(cls, spec: PermutationSpec) -> "Permutation":
        """Return the permutation that moves nothing."""
        return cls(spec, {g: np.arange(n) for g, n in spec.sizes.items()})

    @classmethod
    def random(cls, spec: PermutationSpec, *, rng: Rng = None) -> "Permutation":
        """Return a uniformly random permutation (among those that respect tied blocks)."""
        generator = np.random.default_rng(rng)
        indices = {}
        for group, n in spec.sizes.items():
            rows = np.arange(n).reshape(spec.blocks.get(group, 1), -1)
            rows = generator.permuted(rows[generator.permutation(len(rows))], axis=1)
            indices[group] = rows.ravel()
        return cls(spec, indices)

    def __getitem__(self, group: str) -> Indices:
        return self._indices[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Permutation is immutable: cannot set {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Permutation):
            return NotImplemented
        return set(self) == set(other) and all(np.array_equal(self[g], other[g]) for g in self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        groups = ", ".join(f"{group}: {len(units)}" for group, units in self.items())
        return f"Permutation({groups})"

    def inverse(self) -> "Permutation":
        """Return the permutation that takes A back onto B."""
        return Permutation(self.spec, {g: np.argsort(p) for g, p in self.items()})

    def compose(self, first: "Permutation") -> "Permutation":
        """Return ``first`` followed by this one: if ``first`` takes C onto B, the result, C onto A.

        ``self.compose(first).apply(c)`` equals ``self.apply(first.apply(c))``.
        """
        self._same_groups(first)
        return Permutation(self.spec, {g: first[g][p] for g, p in self.items()})

    def agreement(self, other: "Permutation") -> dict[str, float]:
        """Return for every group the fraction of places that get the same unit of B from both."""
        self._same_groups(other)
        return {g: float(np.mean(p == other[g])) for g, p in self.items()}

    @overload
    def apply(self, network: Network) -> Network: ...
    @overload
    def apply(self, network: State) -> dict[str, Tensor]: ...
    def apply(self, network: nn.Module | State) -> nn.Module | dict[str, Tensor]:
        """Return a copy of ``network`` (module or state dict) with its units permuted.

        The function that the network computes does not change; nothing happens in place.

        Raises
        ------
        ValueError
            If a tensor is missing or has another shape, or tied tensors would come apart.
        """
        state = state_of(network)
        self.spec.check("network", state)
        with torch.no_grad():
            moved = {key: self.gather(key, tensor) for key, tensor in state.items()}
        if not isinstance(network, nn.Module):
            return moved
        check_moved(network, moved)
        result = copy.deepcopy(network)
        result.load_state_dict(moved)
        return result

    def gather(self, key: str, tensor: Tensor) -> Tensor:
        """Return the tensor ``key`` of a state dict with its units permuted, as a new tensor."""
        axes = self.spec.axes.get(key, ())
        if not axes:
            return tensor.detach().clone()
        result = tensor.detach()
        for axis in axes:
            result = gather_units(result, axis, self[axis.group])
        return result

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: the index arrays, with the specification as JSON in its header.

        Nothing is pickled; :meth:`load` gives an equal permutation back.

        Raises
        ------
        OSError
            If the file cannot be written; what was there before is untouched.
        """
        tensors = {group: torch.from_numpy(units.copy()) for group, units in self.items()}
        content = safetensors.torch.save(tensors, metadata={"spec": json.dumps(asdict(self.spec))})
        with replacing(Path(path)) as part:
            part.write_bytes(content)

    @classmethod
    def load(cls, path: str | Path) -> "Permutation":
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is no safetensors file of a permutation.
        OSError
            If it cannot be opened.
        """
        with Path(path).open("rb"):
            pass  # a missing or unreadable file says so itself
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                fields = json.loads((file.metadata() or {})["spec"])
                indices = {group: file.get_tensor(group).numpy() for group in file.keys()}  # noqa: SIM118
            fields["axes"] = {
                key: tuple(Axis(**axis) for axis in axes) for key, axes in fields["axes"].items()
            }
            fields["layers"] = tuple(Layer(**layer) for layer in fields["layers"])
            return cls(PermutationSpec(**fields), indices)
        except Exception as error:  # a damaged file can fail in any way, and all mean the same
            reason = f"{type(error).__name__}: {error}"[:300]
            raise ValueError(f"`path`: {path} holds no permutation ({reason})") from error

    def _same_groups(self, other: "Permutation") -> None:
        if self.spec.sizes != other.spec.sizes:
            raise ValueError(
                "the permutations belong to different groups: "
                f"{dict(self.spec.sizes)} and {dict(other.spec.sizes)}"
            )


def gather_units(tensor: Tensor, axis: Axis, index: Indices) -> Tensor:
    """Return the tensor with the units on one axis gathered by ``index``."""
    entries = (index[:, None] * axis.block + np.arange(axis.block)).ravel()
    return tensor.index_select(axis.dim, torch.from_numpy(entries).to(tensor.device))


def state_of(network: nn.Module | State) -> dict[str, Tensor]:
    """Return the state dict of a module, or a copy of the mapping itself."""
    return dict(network.state_dict() if isinstance(network, nn.Module) else network)


def _checked(group: str, values: object, size: int, blocks: Mapping[str, int]) -> Indices:
    """Return the index array of a group as a read-only copy, or say why it is no permutation."""
    index = np.array(values)
    if index.shape != (size,) or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(
            f"`indices[{group!r}]` must be {size} integers, got {index.dtype} of {index.shape}"
        )
    if not np.array_equal(np.sort(index), np.arange(size)):
        raise ValueError(f"`indices[{group!r}]` is not a permutation of 0..{size - 1}")
    tied = index.reshape(blocks.get(group, 1), -1) // (size // blocks.get(group, 1))
    if (tied != tied[:, :1]).any():
        raise ValueError(
            f"`indices[{group!r}]` splits the {blocks[group]} blocks that a GroupNorm ties together"
        )
    index = index.astype(np.int64)
    index.setflags(write=False)
    return index


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
