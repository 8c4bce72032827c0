"""What a matching costs: the distance of the matched units of two networks, layer by layer.

The units of a layer are points, of A and of B, in the space in which a method compares them: rows
of weights in a metric, or activations on data. All that is needed is their Gram matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from otlmc import _check
from otlmc.matching.moments import Inputs, cross_moments, input_moments
from otlmc.matching.spec import PermutationSpec, State, state_of
from otlmc.matching.tracing import infer_spec
from otlmc.results import Record

Space = Literal["weight_incoming", "covariance", "activation_centred"]
SPACES: tuple[Space, ...] = ("weight_incoming", "covariance", "activation_centred")


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchingCost(Record):
    """Cost of a matching in one layer.

    Attributes
    ----------
    space : str
        The space in which the units are compared, named as the method that matches in it.
    group : str
        The group of units that are permuted together.
    width : int
        Number m of units.
    cost : float
        ``(1/m) sum_i |a_i - b_i|^2`` for B as given, hence already permuted.
    spectrum : ndarray, shape (2 width,)
        Eigenvalues of the covariance of the 2m units of both networks, descending: the law from
        which m independent Gaussian neurons would have to be drawn to look like these.
    """

    space: Space
    group: str
    width: int
    cost: float
    spectrum: NDArray[np.float64]


def matching_costs(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs | None = None,
    *,
    space: Space,
    batch_size: int = 4096,
) -> dict[str, MatchingCost]:
    """Measure the cost of leaving every unit of B where it is, after B has been permuted.

    In ``weight_incoming`` units are rows of incoming weights; in ``covariance`` the same in the
    metric of the uncentred second moment of what the layer reads in A; in ``activation_centred``
    they are their outputs on the inputs, centred, with the mean over the inputs as inner product.
    Biases are left aside, as the methods do.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture.
    inputs : array or Tensor, shape (samples, ...), optional
        Data; needed unless ``space`` is ``"weight_incoming"``.
    space : str
        Where the units are compared.
    batch_size : int
        Samples per forward pass.

    Returns
    -------
    dict of str to MatchingCost
        One for every group of units.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> matching_costs(net, net, space="weight_incoming")["0"].cost
    0.0
    """
    _check.one_of("space", space, SPACES)
    spec = infer_spec(a)
    if space != "weight_incoming" and inputs is None:
        raise ValueError(f"`inputs` is missing: space {space!r} needs data")
    pairs = ((a, a), (a, b), (b, b))
    if space == "activation_centred" and inputs is not None:
        crossed = [cross_moments(x, y, spec, inputs, batch_size=batch_size) for x, y in pairs]
        products = [{g: m.centred().cpu().numpy() for g, m in c.items()} for c in crossed]
    else:
        metrics: dict[str, Tensor] = {}
        if space == "covariance" and inputs is not None:
            moments = input_moments(a, spec.hidden_layers, inputs, batch_size=batch_size)
            metrics = {name: moment.second for name, moment in moments.items()}
        products = [_weight_products(spec, state_of(x), state_of(y), metrics) for x, y in pairs]
    costs = {}
    for group, width in spec.sizes.items():
        aa, ab, bb = (product[group] for product in products)
        costs[group] = MatchingCost(
            space=space,
            group=group,
            width=width,
            cost=float(np.trace(aa) + np.trace(bb) - 2 * np.trace(ab)) / width,
            spectrum=_covariance_spectrum(np.block([[aa, ab], [ab.T, bb]])),
        )
    return costs


def _weight_products(
    spec: PermutationSpec, a: State, b: State, metrics: Mapping[str, Tensor]
) -> dict[str, NDArray[np.float64]]:
    """Inner products of the incoming weights of all units of A and B, group by group."""
    products = {g: np.zeros((n, n)) for g, n in spec.sizes.items()}
    for layer in spec.layers:
        if layer.target is not None:
            rows = a[layer.weight].double().flatten(1)
            if layer.name in metrics:
                rows = rows @ metrics[layer.name]
            product = rows @ b[layer.weight].double().flatten(1).T
            products[layer.target] += product.cpu().numpy()
    return products


def _covariance_spectrum(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eigenvalues of the covariance of points with the given Gram matrix, descending."""
    centred = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
    eigenvalues = np.linalg.eigvalsh(0.5 * (centred + centred.T))[::-1]
    return np.clip(eigenvalues, 0.0, None) / len(gram)
