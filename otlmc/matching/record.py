"""The record of a matching."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otlmc.matching.permutation import Permutation
from otlmc.results import Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching(Record):
    """A permutation and how it was found.

    Attributes
    ----------
    permutation : Permutation
        ``permutation[group][i]`` is the unit of B that takes place ``i`` of A.
    method : str
        How scores were computed.
    objective : mapping of str to float
        For every group the sum of its scores at the permutation, as the method defines them.
    gain : mapping of str to float
        The same minus the sum of the scores if the group itself were left as it is.
    seconds : float
        Wall time, moments included.
    """

    permutation: Permutation
    method: str
    objective: Mapping[str, float]
    gain: Mapping[str, float]
    seconds: float

    def to_record(self) -> dict[str, Any]:
        """Return the scalars, with one column for the objective and the gain of every group."""
        columns = {f"objective[{g}]": value for g, value in self.objective.items()}
        columns |= {f"gain[{g}]": value for g, value in self.gain.items()}
        return super().to_record() | columns
