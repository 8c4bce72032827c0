"""Loss and error of networks, one or stacked, as means over a stated set."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from otlmc import _check
from otlmc.networks.stack import Stack

BATCH = 2048
"""Examples at a time: large enough for the products, small enough for the cache."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Mean loss and mean 0-1 error over a set.

    Attributes
    ----------
    loss, error : ndarray of float64
        Shape (E,) for a stack, () for one network.
    """

    loss: NDArray[np.float64]
    error: NDArray[np.float64]


def losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of every example: cross-entropy, or its binary form for a single logit.

    Parameters
    ----------
    logits : Tensor, shape (..., n, outputs)
        Raw outputs.
    labels : Tensor of int64, shape (n,) or (..., n)
        Classes.
    """
    labels = labels.expand(logits.shape[:-1])
    if logits.shape[-1] == 1:
        return F.binary_cross_entropy_with_logits(
            logits[..., 0], labels.to(logits.dtype), reduction="none"
        )
    # Classes before examples: torch's softmax is several times faster along an outer axis.
    stacked = logits.reshape(-1, *logits.shape[-2:]).mT
    per_example = F.cross_entropy(stacked, labels.reshape(-1, labels.shape[-1]), reduction="none")
    return per_example.view(labels.shape)


def errors(logits: Tensor, labels: Tensor) -> Tensor:
    """Return whether every example is misclassified; a logit of 0 counts as class 0."""
    chosen = logits[..., 0] > 0 if logits.shape[-1] == 1 else logits.argmax(-1)
    return chosen.to(labels.dtype) != labels


@torch.no_grad()
def evaluate(
    network: nn.Module | Stack, inputs: Tensor, labels: Tensor, *, batch_size: int = BATCH
) -> Evaluation:
    """Evaluate one network, or each network of a stack, on a set.

    The sums are float64, so that batches do not show.

    Parameters
    ----------
    network : Module or Stack
        Returns logits, (n, outputs) or (E, n, outputs); it stays in the mode it is in.
    inputs, labels : Tensor, shapes (n, d) and (n,)
        The set, on any device.
    batch_size : int
        Examples at a time.

    Returns
    -------
    Evaluation
        Cross-entropy (binary for a single logit) and 0-1 error, means over the set. A network
        with infinite or undefined weights has such a loss too.

    Examples
    --------
    >>> from otlmc.networks import MLP, Architecture
    >>> untrained = MLP(Architecture(widths=(2, 8, 2)))
    >>> evaluate(untrained, torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64)).loss.shape
    ()
    """
    _check.positive_int("batch_size", batch_size)
    if not len(inputs) or len(inputs) != len(labels):
        raise ValueError(f"`labels` has {len(labels)} entries for {len(inputs)} `inputs`")
    device = network.device if isinstance(network, Stack) else _device(network)
    loss = error = torch.zeros((), dtype=torch.float64, device=device)
    for start in range(0, len(inputs), batch_size):
        chosen = slice(start, start + batch_size)
        truth = labels[chosen].to(device)
        logits = network(inputs[chosen].to(device))
        loss = loss + losses(logits, truth).sum(-1, dtype=torch.float64)
        error = error + errors(logits, truth).sum(-1, dtype=torch.float64)
    count = len(inputs)
    return Evaluation((loss / count).cpu().numpy(), (error / count).cpu().numpy())


def _device(network: nn.Module) -> torch.device:
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device
