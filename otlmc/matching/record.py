"""The records of a matching."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from otlmc._text import Cell, aligned
from otlmc.matching.permutation import Indices, Permutation
from otlmc.results import Record

Placed: TypeAlias = Mapping[str, Indices]


@dataclass(frozen=True, kw_only=True, eq=False)
class Search(Record):
    """What a method found, before it becomes a :class:`Matching`; the fields mean the same."""

    placed: Placed
    objective: Mapping[str, float]
    gain: Mapping[str, float]
    trace: tuple[float, ...]
    stop: str
    start: str = "none"
    starts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching(Record):
    """A permutation and how it was found.

    Attributes
    ----------
    permutation : Permutation
        ``permutation[group][i]`` is the unit of B that takes place ``i`` of A.
    method : str
        Its name.
    total : float
        The sum that the method maximises, at the permutation.
    objective : mapping of str to float
        For every group the sum of its scores at the permutation, as the method defines them.
    gain : mapping of str to float
        What every group has won: over being left as it is in a single pass, over the start in an
        ascent.
    start : str
        The start whose result this is.
    starts : mapping of str to float
        The final objective of every start that was tried.
    sweeps : int
        Sweeps over the groups (or steps of a relaxation); 1 for a single pass.
    converged : bool
        Whether no group can be improved any more (always after a single pass, by definition).
    stop : str
        Why it ended: ``"one pass"``, ``"fixed"``, ``"sweeps"``, ``"steps"`` or ``"exhausted"``.
    trace : tuple of float
        The objective at the start and after every sweep.
    seconds : float
        Wall time, moments included.
    """

    permutation: Permutation
    method: str
    total: float
    objective: Mapping[str, float]
    gain: Mapping[str, float]
    start: str
    starts: Mapping[str, float]
    sweeps: int
    converged: bool
    stop: str
    trace: tuple[float, ...]
    seconds: float

    def to_record(self) -> dict[str, Any]:
        """Return the scalars, with one column for the objective and the gain of every group."""
        columns = {f"objective[{g}]": value for g, value in self.objective.items()}
        columns |= {f"gain[{g}]": value for g, value in self.gain.items()}
        return super().to_record() | columns

    def __str__(self) -> str:
        """Print how it ended, and a line for every group."""
        rows: list[tuple[Cell, ...]] = [("group", "units", "moved", "objective", "gain")]
        for group in self.permutation:
            places = self.permutation[group]
            moved = int(np.sum(places != np.arange(len(places))))
            rows.append(
                (group, len(places), moved, self.objective.get(group), self.gain.get(group))
            )
        ended = f"{self.method}: {self.total:.6g} after {self.sweeps} sweep(s) ({self.stop})"
        return f"{ended}, {self.seconds:.3g} s\n{aligned(rows)}"


def named(permutation: Permutation | Matching | None) -> tuple[str, Permutation | None]:
    """Return what was used, by the method that found it: ``"given"`` if bare, ``"none"`` if not."""
    if isinstance(permutation, Matching):
        return permutation.method, permutation.permutation
    return "none" if permutation is None else "given", permutation


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMatching(Record):
    """One permutation for each of several networks.

    Attributes
    ----------
    permutations : tuple of Permutation
        ``permutations[k].apply(networks[k])`` brings network k into the common frame.
    method : str
        The pairwise method.
    reference : int or "universe"
        The network in whose frame all are, or the common frame that all pairs agreed on (fixed by
        leaving network 0 in place).
    trace : tuple of float
        The sum of the objective over all pairs, at the start and after every round.
    converged : bool
        Whether the last round left every network in place.
    seconds : float
        Wall time.
    """

    permutations: tuple[Permutation, ...]
    method: str
    reference: int | str
    trace: tuple[float, ...]
    converged: bool
    seconds: float

    def between(self, a: int, b: int) -> Permutation:
        """Return the permutation that takes network ``b`` onto network ``a`` as it was given."""
        return self.permutations[a].inverse().compose(self.permutations[b])

    def __str__(self) -> str:
        """Print how it ended."""
        networks = f"{self.method}: {len(self.permutations)} networks onto"
        if self.reference != "universe":
            return f"{networks} network {self.reference}, {self.seconds:.3g} s"
        end = "converged" if self.converged else "stopped"
        return (
            f"{networks} a common universe, {end} at {self.trace[-1]:.6g} after "
            f"{len(self.trace) - 1} round(s), {self.seconds:.3g} s"
        )
