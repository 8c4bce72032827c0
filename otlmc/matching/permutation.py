"""Permutations of hidden units, and how they are applied.

The one convention of the package: ``perm[i]`` is the unit of B that takes place ``i`` of A. An axis
that carries the units is gathered, ``B'[i] = B[perm[i]]``, and ``B'`` is compared with A.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
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
from otlmc.matching.spec import Axis, Layer, PermutationSpec, State, state_of

Rng: TypeAlias = int | np.random.Generator | np.random.SeedSequence | None
Indices: TypeAlias = NDArray[np.int64]
Network = TypeVar("Network", bound=nn.Module)


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
