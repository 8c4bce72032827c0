"""Networks of several families, trained in different ways, and the paths between the families."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from otlmc.connectivity import PathsReport
from otlmc.networks import TrainResult
from validation.pairwise import protocol
from validation.pairwise.protocol import Rows


def family_rows(report: PathsReport, families: Sequence[str], *, frame: str) -> Rows:
    """Yield the measures of the paths within and between families.

    ``families[k]`` is that of network k; the families of a pair stand in alphabetical order.
    """
    names = np.sort(np.array(families)[report.pairs], axis=1)
    for first, second in np.unique(names, axis=0).tolist():
        chosen = (names == (first, second)).all(axis=1)
        part = dataclasses.replace(
            report,
            pairs=report.pairs[chosen],
            loss=report.loss[chosen],
            error=report.error[chosen],
        )
        yield from protocol.path_rows(part, frame=frame, first=first, second=second)


def best(results: Sequence[TrainResult]) -> int:
    """Return the place of the network with the least test error among all, then least loss."""
    errors, losses = (
        np.concatenate([getattr(result, name) for result in results])
        for name in ("test_error", "test_loss")
    )
    return int(np.lexsort((losses, errors))[0])
