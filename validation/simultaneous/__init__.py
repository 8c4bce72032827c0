"""Sharma et al. (2024): one permutation that joins two whole sequences of networks.

Weak linear connectivity modulo permutation: any two networks are joined after a permutation, which
may be another one for every two. Simultaneous: one permutation joins two sequences, network by
network. The sequences are the checkpoints of training (``trajectory``, ``cutoff``) and the levels
of iterative magnitude pruning (``imp``); if it holds for these, a mask found on one network can be
carried over to another (``masks``). The strong form, one permutation for each network that joins
it with all others, is the subject of ``validation.strong``.

``python -m validation.simultaneous --experiment all`` runs them.
"""

from types import ModuleType

from validation.simultaneous import cutoff, imp, masks, trajectory

EXPERIMENTS: dict[str, ModuleType] = {
    "trajectory": trajectory,
    "cutoff": cutoff,
    "imp": imp,
    "masks": masks,
}
"""Each has ``configurations``, ``measured``, ``draw``, ``claims`` and ``summarise``."""

__all__ = ["EXPERIMENTS"]
