"""Check that a permutation did what it should: keep the function, and bring B towards A."""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from otlmc._modules import evaluation_mode
from otlmc._text import aligned
from otlmc.matching.moments import Inputs, batches
from otlmc.matching.permutation import Permutation
from otlmc.matching.record import Matching
from otlmc.results import Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Verification(Record):
    """What a permutation changes.

    Attributes
    ----------
    output_change : float
        Largest change of an output of B, divided by the largest output, in the precision of B;
        half precision, which could not tell, is raised to float32.
    preserved : bool
        Whether that is round-off: at most 1000 units in the last place.
    distance_before, distance_after : float
        Euclidean distance between the parameters of A and B, as given and permuted.
    relative_distance : float
        ``distance_after`` divided by the norm of A's parameters: near 0 for a planted copy, of
        the order of 1 for independent networks.
    moved : float
        Fraction of the units that changed their place.
    """

    output_change: float
    preserved: bool
    distance_before: float
    distance_after: float
    relative_distance: float
    moved: float

    def __str__(self) -> str:
        """Print whether B still computes the same, and how near it is to A."""
        verdict = "the same" if self.preserved else "NOT the same"
        rows = [
            ("largest change of an output", self.output_change),
            ("units that moved", f"{self.moved:.1%}"),
            ("distance to A as given", self.distance_before),
            ("distance to A permuted", self.distance_after),
            ("  over the norm of A", self.relative_distance),
        ]
        return f"B permuted computes {verdict} function\n{aligned(rows)}"


def verify(
    a: nn.Module,
    b: nn.Module,
    permutation: Permutation | Matching,
    inputs: Inputs,
    *,
    batch_size: int = 4096,
) -> Verification:
    """Measure what ``permutation`` changes in B, and how near it brings B to A.

    Parameters
    ----------
    a, b : nn.Module
        The networks that were matched; they are run in evaluation mode and not changed.
    permutation : Permutation or Matching
        It is applied to B.
    inputs : array or Tensor
        Where the outputs of B are compared.

    Raises
    ------
    ValueError
        If the permutation does not fit the networks or the inputs hold NaN.

    Notes
    -----
    On a GPU PyTorch rounds the operands of convolutions to 11 bits (TF32). In a deep network this
    can add up to more than ``preserved`` allows; ``torch.backends.cudnn.allow_tf32 = False`` before
    the call turns it off.

    Examples
    --------
    >>> from otlmc.matching import match
    >>> a, b = (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(2))
    >>> verify(a, b, match(a, b), torch.randn(20, 4)).preserved
    True
    """
    moving = permutation.permutation if isinstance(permutation, Matching) else permutation
    moving.spec.check("a", a.state_dict())
    moved = moving.apply(b)
    dtype = next(b.parameters()).dtype
    if torch.finfo(dtype).bits < 32:
        dtype = torch.float32
        b, moved = (copy.deepcopy(network).to(dtype) for network in (b, moved))
    change = size = 0.0
    with torch.no_grad(), evaluation_mode(b), evaluation_mode(moved):
        for batch in batches(b, inputs, batch_size):
            before = b(batch)
            change = max(change, float((moved(batch) - before).abs().max()))
            size = max(size, float(before.abs().max()))
    relative = change / size if size else change
    parameters = dict(a.named_parameters())
    norm = _norm(parameters, {})
    after = _norm(parameters, dict(moved.named_parameters()))
    places = [units != range(len(units)) for units in moving.values()]
    return Verification(
        output_change=relative,
        preserved=relative <= 1000 * torch.finfo(dtype).eps,
        distance_before=_norm(parameters, dict(b.named_parameters())),
        distance_after=after,
        relative_distance=after / norm if norm else after,
        moved=float(sum(p.sum() for p in places) / max(1, sum(p.size for p in places))),
    )


def _norm(a: dict[str, nn.Parameter], b: dict[str, nn.Parameter]) -> float:
    """Return the norm of the difference of two sets of parameters; missing ones are 0."""
    total = 0.0
    for key, tensor in a.items():
        other = b[key].detach().double().to(tensor.device) if key in b else 0.0
        total += float((tensor.detach().double() - other).square().sum())
    return total**0.5
