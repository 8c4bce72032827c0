"""How modules are run: in evaluation mode, and with tensors other than their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and every part of it back into its own mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def run(model: nn.Module, tensors: Mapping[str, Tensor], batch: Tensor) -> Tensor:
    """Return the outputs of a module with other tensors, all those of its state dict."""
    # Left to itself, functional_call forgets the ties of a module that has two names.
    return functional_call(model, dict(tensors), (batch,), tie_weights=False)


def check_ties(networks: Mapping[str, nn.Module]) -> None:
    """Raise unless the same tensors are tied in all networks; the keys are for the message."""
    (first, reference), *others = networks.items()
    names = first_names(reference)
    for name, other in others:
        for key, tied in first_names(other).items():
            if tied != names[key]:
                pair, where = (tied, name) if tied != key else (names[key], first)
                raise ValueError(
                    f"the architectures differ: {key!r} and {pair!r} are one tensor in {where} only"
                )


def check_moved(network: nn.Module, moved: Mapping[str, Tensor]) -> None:
    """Raise if tied tensors of a network are not permuted alike."""
    for key, tied in first_names(network).items():
        if key != tied and not torch.equal(moved[key], moved[tied]):
            raise ValueError(
                f"the specification permutes {key!r} and {tied!r} in different ways, but they are "
                "one tensor"
            )


def first_names(model: nn.Module) -> dict[str, str]:
    """Return for every key of the state dict the first key of the same tensor: itself, or a tie."""
    seen: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    return {key: seen.setdefault(id(tensor), key) for key, tensor in state.items()}
