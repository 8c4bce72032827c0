"""Merging hidden units that compute the same feature, in networks with one hidden layer."""

import torch
from torch import Tensor

from otlmc import _check
from otlmc.networks.mlp import MLP, Architecture


def reduce_redundancy(network: MLP, *, similarity: float = 0.99, as_published: bool = False) -> MLP:
    """Merge hidden ReLU units whose incoming weights point the same way.

    With v the incoming weights and the bias of a unit, ReLU(<v_j, x>) is nearly
    ``|v_j| / |v_i| ReLU(<v_i, x>)`` if v_i and v_j have nearly the same direction; so w_out_i gains
    ``|v_j| / |v_i| w_out_j`` and unit j goes. The most similar pair comes first, its first member
    takes in every unit within ``similarity``, and so on until no two units are as similar. The
    function changes by what lies between the directions: not at all if they are equal.

    Parameters
    ----------
    network : MLP
        One hidden layer, ReLU, no LayerNorm. It is not changed.
    similarity : float
        Cosine in (0, 1) above which units merge.
    as_published : bool
        Follow the published algorithm to the letter, to compare with its tables: it weighs with
        the inverse ratio ``|v_i| / |v_j|``, and ends when it has seen as many units as are left,
        hence never removes more than half of them.

    Returns
    -------
    MLP
        With fewer hidden units, in their order.

    Raises
    ------
    ValueError
        If the network is of another kind.

    Examples
    --------
    >>> network = MLP(Architecture(widths=(2, 4, 1)))
    >>> with torch.no_grad():
    ...     for tensor in network.layers[0].parameters():
    ...         _ = tensor[3].copy_(2 * tensor[1])
    >>> reduce_redundancy(network).architecture.widths[1] <= 3
    True
    """
    architecture = network.architecture
    if architecture.depth != 2 or architecture.activation != "relu" or architecture.layer_norm:
        raise ValueError(
            f"`network` must have one hidden ReLU layer and no LayerNorm, got {architecture}"
        )
    _check.number("similarity", similarity, above=0.0, below=1.0)
    state = {name: tensor.detach().double() for name, tensor in network.state_dict().items()}
    incoming = state["layers.0.weight"]
    if architecture.bias:
        incoming = torch.cat([incoming, state["layers.0.bias"][:, None]], dim=1)
    outgoing, kept = _merge(incoming, state["layers.1.weight"], similarity, as_published)
    state["layers.1.weight"] = outgoing[:, kept]
    for name in ("layers.0.weight", "layers.0.bias"):
        if name in state:
            state[name] = state[name][kept]
    inputs, _, outputs = architecture.widths
    reduced = Architecture(widths=(inputs, int(kept.sum()), outputs), bias=architecture.bias)
    result = MLP(reduced).to(next(network.parameters()))
    result.load_state_dict(state)
    return result


def _merge(
    incoming: Tensor, outgoing: Tensor, similarity: float, as_published: bool
) -> tuple[Tensor, Tensor]:
    """Return the outgoing weights after all merges, and which units are left."""
    lengths = incoming.norm(dim=1)
    directions = incoming / lengths.clamp_min(torch.finfo(lengths.dtype).tiny)[:, None]
    cosines = (directions @ directions.T).fill_diagonal_(-1.0)
    outgoing, kept, seen = outgoing.clone(), torch.ones_like(lengths, dtype=torch.bool), 0
    while not as_published or seen < int(kept.sum()):
        best = int(cosines.argmax())
        unit = best // len(cosines)
        others = cosines[unit] > similarity
        if not others.any():
            break
        ratios = lengths[others] / lengths[unit]
        outgoing[:, unit] += outgoing[:, others] @ (1 / ratios if as_published else ratios)
        kept &= ~others
        seen += 1 + int(others.sum())
        cosines[others] = cosines[:, others] = -1.0
    return outgoing, kept


def pad(network: MLP, width: int) -> MLP:
    """Add hidden units without weights, up to a common width: the function stays the same.

    Parameters
    ----------
    network : MLP
        One hidden layer.
    width : int
        At least the present one.
    """
    inputs, present, outputs = network.architecture.widths
    if width < present:
        raise ValueError(f"`width` must be at least {present}, got {width}")
    wider = Architecture(widths=(inputs, width, outputs), bias=network.architecture.bias)
    result = MLP(wider).to(next(network.parameters()))
    with torch.no_grad():
        for name, tensor in result.state_dict().items():
            source = network.state_dict()[name]
            tensor.zero_()[tuple(slice(size) for size in source.shape)] = source
    return result
