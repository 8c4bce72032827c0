"""Approximate dimension: how many directions carry the units that are to be matched."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from otlmc import _check
from otlmc.matching.moments import Inputs, cross_moments, input_moments
from otlmc.matching.spec import PermutationSpec
from otlmc.matching.tracing import infer_spec

Method = Literal["weight_incoming", "covariance", "activation_centred"]


def approximate_dimension(spectrum: ArrayLike) -> float:
    """Return tr(S)² / tr(S²), the number of directions that a covariance fills.

    Parameters
    ----------
    spectrum : array, shape (n,) or (n, n)
        The eigenvalues of S, or the symmetric matrix S itself.

    Raises
    ------
    ValueError
        If S is zero, or neither a vector nor a square matrix.

    References
    ----------
    Ferbach, Goujaud, Gidel and Dieuleveut (2024), the participation ratio of Figure 2.

    Examples
    --------
    >>> approximate_dimension([1, 1, 1, 0]), approximate_dimension([[2, 0], [0, 2]])
    (3.0, 2.0)
    """
    values = _check.finite("spectrum", spectrum)
    if values.ndim == 2 and values.shape[0] == values.shape[1]:
        trace = np.trace(values)
    elif values.ndim == 1:
        trace = values.sum()
    else:
        raise ValueError(f"`spectrum` must be (n,) or (n, n), got shape {values.shape}")
    square = np.square(values).sum()
    if square == 0:
        raise ValueError("`spectrum` is zero: its dimension is undefined")
    return float(trace**2 / square)


def layer_dimensions(
    model: nn.Module,
    inputs: Inputs | None = None,
    *,
    method: Method,
    spec: PermutationSpec | None = None,
    batch_size: int = 4096,
) -> dict[str, float]:
    """Return for every group the approximate dimension of what ``method`` matches.

    ``weight_incoming`` takes S = W Wᵀ, ``covariance`` S = W Σ Wᵀ with Σ the uncentred second
    moment of the layer's inputs, ``activation_centred`` the **uncentred** second moment of the
    units, as the paper does although its matching is centred.

    Raises
    ------
    ValueError
        If the method is unknown or its inputs are missing.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> 1 <= layer_dimensions(net, torch.randn(9, 4), method="covariance")["0"] <= 4
    True
    """
    _check.one_of("method", method, get_args(Method))
    spec = spec or infer_spec(model)
    if method != "weight_incoming" and inputs is None:
        raise ValueError(f"`inputs` is missing: method {method!r} needs data")
    if method == "activation_centred" and inputs is not None:
        crossed = cross_moments(model, model, spec, inputs, batch_size=batch_size)
        return {g: approximate_dimension(m.cross.cpu()) for g, m in crossed.items()}
    moments = {}
    if method == "covariance" and inputs is not None:
        moments = input_moments(model, spec.hidden_layers, inputs, batch_size=batch_size)
    state = model.state_dict()
    result = {}
    for group in spec.sizes:
        total = 0
        for layer in spec.writers(group):
            weight = state[layer.weight].double().flatten(1)
            seen = weight @ moments[layer.name].second if moments else weight
            total += (seen @ weight.T).cpu().numpy()
        result[group] = approximate_dimension(total)
    return result
