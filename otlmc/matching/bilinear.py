"""The objective Σ <A_k, P B_k> over tensors, and its ascent one group of units at a time.

Every method that looks at weights maximises such a sum: it is linear in each permutation, so the
best permutation of one group, given the others, is an assignment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from otlmc.matching.assignment import assign
from otlmc.matching.permutation import Indices, gather_units
from otlmc.matching.record import Placed, Search
from otlmc.matching.spec import Axis, PermutationSpec, State

_RELATIVE_STOP = 1e-12


@dataclass(frozen=True)
class Term:
    """One tensor of A and one of B, in float64, with the axes that carry units."""

    axes: tuple[Axis, ...]
    a: Tensor
    b: Tensor


@dataclass
class _Product:
    """A contribution to a score matrix, and the neighbour's permutation it was made for."""

    matrix: Tensor
    index: Indices | None


@dataclass
class Bilinear:
    """The objective Σ <A_k, P B_k>.

    Products of tensors are kept between calls. When only a few units of a neighbour have moved
    since, they are updated by those units instead of computed again.
    """

    spec: PermutationSpec
    terms: list[Term]
    _products: dict[tuple[int, int], _Product] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: PermutationSpec, pairs: Iterable[tuple[State, State]]) -> "Bilinear":
        """Sum over the tensors that both states of a pair have; running statistics do not count."""
        terms = [
            Term(axes, a[key].detach().double(), b[key].detach().double().to(a[key].device))
            for a, b in pairs
            for key, axes in spec.axes.items()
            if key in a and key in b and not key.endswith(("running_mean", "running_var"))
        ]
        return cls(spec, terms)

    def total(self, placed: Placed) -> float:
        """Return Σ <A_k, P B_k>."""
        value = 0.0
        for term in self.terms:
            moved = term.b
            for axis in term.axes:
                moved = gather_units(moved, axis, placed[axis.group])
            value += float((term.a * moved).sum())
        return value

    def scale(self) -> float:
        """Return the Cauchy-Schwarz bound on the objective: the unit of the stop rule."""
        a = sum(float(term.a.square().sum()) for term in self.terms)
        b = sum(float(term.b.square().sum()) for term in self.terms)
        return float(np.sqrt(a * b)) or 1.0

    def score(
        self, group: str, placed: Placed, *, incoming_only: bool = False
    ) -> NDArray[np.float64]:
        """Return what it is worth to put unit j of B in place i of A of one group.

        Terms whose other axis is not placed do not count; with ``incoming_only``, neither do those
        that read the group.
        """
        units = self.spec.sizes[group]
        total = np.zeros((units, units))
        for number, term in enumerate(self.terms):
            for position, axis in enumerate(term.axes):
                others = [other for k, other in enumerate(term.axes) if k != position]
                unplaced = any(other.group not in placed for other in others)
                if axis.group == group and not unplaced and not (incoming_only and axis.dim > 0):
                    total += self._product(number, position, others, placed).cpu().numpy()
        return total

    def _product(self, number: int, position: int, others: list[Axis], placed: Placed) -> Tensor:
        term, axis = self.terms[number], self.terms[number].axes[position]
        known = self._products.get((number, position))
        if not others:
            if known is None:
                known = _Product(_rows(term.a, axis) @ _rows(term.b, axis).T, None)
                self._products[number, position] = known
            return known.matrix
        (other,) = others
        index = placed[other.group]
        places = np.arange(len(index))
        if known is not None and known.index is not None:
            places = np.flatnonzero(index != known.index)
        if known is None or known.index is None or 2 * len(places) > len(index):
            moved = gather_units(term.b, other, index)
            known = _Product(_rows(term.a, axis) @ _rows(moved, axis).T, index)
            self._products[number, position] = known
        elif len(places):
            change = gather_units(term.b, other, index[places])
            change -= gather_units(term.b, other, known.index[places])
            part = gather_units(term.a, other, places)
            known.matrix += _rows(part, axis) @ _rows(change, axis).T
            known.index = index
        return known.matrix

    def ascend(
        self, start: Placed, *, rng: np.random.Generator | None = None, max_sweeps: int = 100
    ) -> Search:
        """Improve one group at a time until no group can be improved.

        A group is visited again only after a neighbour has moved. Without ``rng`` the groups are
        visited in the order of computation, with it in a new random order every sweep. A move must
        gain more than 1e-12 of the scale of the objective.
        """
        placed = dict(start)
        least = _RELATIVE_STOP * self.scale()
        total = self.total(placed)
        trace, stale = [total], set(placed)
        gains, objective = dict.fromkeys(placed, 0.0), dict.fromkeys(placed, 0.0)
        order = list(self.spec.sizes)
        while stale and len(trace) <= max_sweeps:
            if rng is not None:
                rng.shuffle(order)
            for group in order:
                if group not in stale:
                    continue
                stale.discard(group)
                matrix = self.score(group, placed)
                found = assign(matrix, blocks=self.spec.blocks.get(group, 1))
                new, old = worth(matrix, found), worth(matrix, placed[group])
                moved = placed | {group: found}
                gain = new - old
                if group in self._neighbours(group):  # the scores only linearise a quadratic term
                    gain = self.total(moved) - total
                objective[group] = old
                if gain > least:
                    placed, total, objective[group] = moved, total + gain, new
                    gains[group] += gain
                    stale |= self._neighbours(group)
            trace.append(total)
        stop = "sweeps" if stale else "fixed"
        return Search(placed=placed, objective=objective, gain=gains, trace=tuple(trace), stop=stop)

    def _neighbours(self, group: str) -> set[str]:
        found = set()
        for term in self.terms:
            groups = [axis.group for axis in term.axes]
            if group in groups:
                groups.remove(group)
                found.update(groups)
        return found


def worth(matrix: NDArray[np.float64], index: Indices) -> float:
    """Return the sum of the scores at a permutation."""
    return float(matrix[np.arange(len(index)), index].sum())


def _rows(tensor: Tensor, axis: Axis) -> Tensor:
    """Return the tensor as one row for every unit on an axis."""
    return tensor.movedim(axis.dim, 0).reshape(tensor.shape[axis.dim] // axis.block, -1)
