"""Linear feature connectivity, layer by layer."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from otlmc import _check
from otlmc.connectivity.interpolation import Interpolation
from otlmc.connectivity.paths import grid
from otlmc.connectivity.report import FeatureReport
from otlmc.matching.moments import Inputs, batches


def features(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs,
    *,
    points: int | ArrayLike = 11,
    batch_size: int = 4096,
) -> FeatureReport:
    """Compare the features of theta(t) with the interpolated features of the two ends.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture, permuted already.
    inputs, points, batch_size
        As for :func:`otlmc.connectivity.path`.

    Raises
    ------
    ValueError
        As for :func:`otlmc.connectivity.path`.

    References
    ----------
    Zhou, Yang, Yang, Yan and Hu (2023), layerwise linear feature connectivity.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> report = features(net, net, torch.randn(20, 4))
    >>> list(report.deviation), bool(report.deviation["output"].max() < 1e-6)
    (['2', 'output'], True)
    """
    t = grid(points)
    batch_size = _check.positive_int("batch_size", batch_size)
    between = Interpolation([a, b])
    sums: dict[str, np.ndarray] = {}
    samples = 0
    for batch in batches(a, inputs, batch_size):
        between.load(batch)
        ends = [_record(between, end) for end in ((1.0, 0.0), (0.0, 1.0))]
        samples += len(batch)
        for i, s in enumerate(t):
            for name, value in _record(between, (1 - s, s)).items():
                straight = (1 - s) * ends[0][name] + s * ends[1][name]
                cosine = torch.cosine_similarity(value, straight, dim=1)
                total = sums.setdefault(name, np.zeros((3, len(t))))
                total[0, i] += float((value - straight).square().sum())
                total[1, i] += float(straight.square().sum())
                total[2, i] += float(cosine.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = {k: np.nan_to_num(np.sqrt(v[0] / v[1]), nan=0.0) for k, v in sums.items()}
    cosines = {name: total[2] / samples for name, total in sums.items()}
    return FeatureReport(t=t, deviation=deviation, cosine=cosines, samples=samples)


def _record(between: Interpolation, weights: tuple[float, float]) -> dict[str, Tensor]:
    """Return what every layer but the first reads, and the output, as float64 rows."""
    seen: dict[str, Tensor] = {}
    handles = []
    for name, module in list(between.affine_layers().items()):
        if not between.is_first(module):

            def keep(_: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
                seen[name] = args[0].to(torch.float64, copy=True).flatten(1)

            handles.append(module.register_forward_pre_hook(keep))
    output = between.outputs(weights)
    for handle in handles:
        handle.remove()
    return seen | {"output": output.double().reshape(len(output), -1)}
