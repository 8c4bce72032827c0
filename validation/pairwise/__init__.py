"""Pairs of many networks: the experiments of Kalaivanan et al., one module each.

An experiment has ``DATASETS``, its own first; ``configurations``, ``measured``, ``draw``,
``claims`` and ``summarise`` as every program of this package.
"""

from types import ModuleType

from validation.pairwise import (
    clusters,
    initialisation,
    optimisers,
    redundancy,
    reference,
    swa,
    zoo,
)

EXPERIMENTS: dict[str, ModuleType] = {
    "zoo": zoo,
    "clusters": clusters,
    "redundancy": redundancy,
    "reference": reference,
    "initialisation": initialisation,
    "swa": swa,
    "optimisers": optimisers,
}
"""What ``--experiment`` names."""
