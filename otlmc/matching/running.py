"""How networks are run: in evaluation mode, and with tensors other than their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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


def first_names(model: nn.Module) -> dict[str, str]:
    """Return for every key of the state dict the first key of the same tensor: itself, or a tie."""
    seen: dict[int, str] = {}
    state = model.state_dict(keep_vars=True)
    return {key: seen.setdefault(id(tensor), key) for key, tensor in state.items()}
