"""Small networks and trained digits networks for the tests of matching and connectivity."""

import functools
import itertools

import numpy as np
import torch
from torch import Tensor, nn


def mlp(*widths: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, units in itertools.pairwise(widths):
            layers += [nn.Linear(inputs, units), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


@functools.cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Train inputs and labels, test inputs and labels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = torch.from_numpy(x[order]).float() / 16, torch.from_numpy(y[order])
    return x[:1297], y[:1297], x[1297:], y[1297:]


@functools.cache
def trained(seed: int, *, width: int = 64, rate: float = 0.003, epochs: int = 30) -> nn.Sequential:
    """64-w-w-w-10, SGD with momentum, cosine to zero."""
    x, y, _, _ = digits()
    net = mlp(64, width, width, width, 10, seed=seed, dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in net:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)
        optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
        steps = epochs * (len(x) // 50)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(epochs):
            for rows in torch.randperm(len(x))[: len(x) // 50 * 50].split(50):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
                optimiser.step()
                schedule.step()
    return net.eval()
