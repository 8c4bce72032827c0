"""Networks of random operations: whatever tracing lets move, the function stays the same."""

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from small_networks import gaussian
from torch import Tensor, nn

from otlmc.matching import Permutation, infer_spec

Step = Callable[["Chain", list[Tensor]], Tensor]
CONVOLUTIONS = {3: nn.Conv1d, 4: nn.Conv2d}
NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}


class Chain(nn.Module):
    """Steps that read any of the values before them."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.layers, self.free = nn.ModuleList(), nn.ParameterList()

    def forward(self, x: Tensor) -> Tensor:
        values = [x]
        for step in self.steps:
            values.append(step(self, values))
        return values[-1]


def layers(shape: torch.Size, draw: random.Random) -> list[Callable[[], nn.Module]]:
    """Return the layers that may read a value; many fail on it, and are drawn again."""
    rank, channels = len(shape), shape[1]
    units = draw.choice([2, 3, 4, 6])
    return [
        lambda: nn.Linear(shape[-1], units),
        lambda: CONVOLUTIONS[rank](channels, units, draw.choice([1, 2])),
        lambda: CONVOLUTIONS[rank](channels, channels, 1, groups=channels),
        lambda: CONVOLUTIONS[rank](channels, 2 * channels, 1, groups=channels),
        lambda: CONVOLUTIONS[rank](channels, channels, 1, groups=2),
        lambda: NORMS[rank](channels),
        lambda: nn.LayerNorm(shape[-draw.randint(1, rank - 1) :]),
        lambda: nn.GroupNorm(draw.choice([1, 2, channels]), channels, affine=draw.random() < 0.5),
        lambda: nn.PReLU(channels),
        lambda: nn.Flatten(draw.choice([1, 2])),
    ]


def operations(shape: torch.Size, draw: random.Random) -> list[Callable[[Tensor, Tensor], Tensor]]:
    """Return functions of a value and another one."""
    rank = len(shape)
    entries, last = shape[1:].numel(), list(range(1, rank))
    order = [0, *draw.sample(last, rank - 1)]
    over = draw.sample(last, max(1, rank - 2))
    axis, keep = draw.choice([1, 2, -1, -2]), draw.random() < 0.5
    index = (slice(None), *draw.choices([slice(None), slice(0, None, 2), 0], k=rank - 1))
    return [
        lambda x, y: torch.tanh(x),
        lambda x, y: x.softmax(axis),
        lambda x, y: x + y,
        lambda x, y: y.expand_as(x) * x,
        lambda x, y: torch.cat([x, y], axis),
        lambda x, y: x.permute(*order),
        lambda x, y: x.transpose(axis, -1),
        lambda x, y: x.mean(over, keepdim=keep),
        lambda x, y: x[index],
        lambda x, y: x.unsqueeze(axis),
        lambda x, y: x.flatten(1),
        lambda x, y: x.reshape(x.size(0), -1, 1),
        lambda x, y: x.reshape(-1, entries),
        lambda x, y: x.reshape(x.size(0) * x.size(1), -1).reshape(x.size(0), -1),
        lambda x, y: F.max_pool1d(x, 2, 1),
        lambda x, y: F.pad(x, (1, 0)),
        lambda x, y: x.chunk(2, 1)[0],
    ]


def assumed(layer: nn.Module, shape: torch.Size) -> None:
    """Refuse what tracing takes for granted: samples on axis 0, and no more units than it sees."""
    unbatched = isinstance(layer, nn.Conv1d | nn.Conv2d) and len(shape) != layer.weight.ndim
    normalising = isinstance(layer, nn.GroupNorm | nn.PReLU | nn.BatchNorm1d | nn.BatchNorm2d)
    if unbatched or (normalising and len(shape) > 2 and shape[1] == shape[-1]):
        raise ValueError("ambiguous without the shapes")


def choose(chain: Chain, values: list[Tensor], draw: random.Random) -> Step:
    """Return a step that reads one of the values, mostly the latest, with what it needs."""
    read = len(values) - 1 if draw.random() < 0.8 else draw.randrange(len(values))
    other, kind, shape = draw.randrange(len(values)), draw.random(), values[read].shape
    count, weights = len(chain.layers), len(chain.free)
    if kind < 0.4 or not count:  # the first step opens a group
        chosen = draw.choice(layers(shape, draw)[: None if count else 2])
        chain.layers.append(chosen().double())
        assumed(chain.layers[count], shape)
        return lambda net, seen: net.layers[count](seen[read])
    if kind < 0.5:
        again = draw.randrange(count)
        assumed(chain.layers[again], shape)
        return lambda net, seen: net.layers[again](seen[read])
    if kind < 0.6:
        extents = [draw.choice([n, n, 1]) for n in shape[draw.randint(1, len(shape) - 1) :]]
        chain.free.append(nn.Parameter(torch.ones(extents, dtype=torch.float64)))
        return lambda net, seen: seen[read] * torch.exp(net.free[weights])
    operation = draw.choice(operations(shape, draw))
    return lambda net, seen: operation(seen[read], seen[other])


def grow(draw: random.Random) -> tuple[Chain, Tensor]:
    """Draw a network step by step; it runs as it grows, so that all shapes fit."""
    chain = Chain().double()
    x = gaussian(3, *draw.choice([(4,), (3, 4), (4, 4), (2, 4, 4)]), seed=draw.randrange(1000))
    values = [x]
    while len(chain.steps) < 5:
        count, weights = len(chain.layers), len(chain.free)
        try:
            step = choose(chain, values, draw)
            value = step(chain.eval(), values)
            if value.ndim not in (2, 3, 4) or len(value) != 3 or not 0 < value.numel() < 2000:
                raise ValueError("of no use for the next step")
        except (RuntimeError, ValueError, IndexError, KeyError):
            del chain.layers[count:]
            chain.free = nn.ParameterList(list(chain.free)[:weights])
            continue
        chain.steps.append(step)
        values.append(value)
    chain.layers.append(nn.Linear(values[-1][0].numel(), 3).double())
    head = len(chain.layers) - 1
    chain.steps.append(lambda net, seen: net.layers[head](seen[-1].flatten(1)))
    with torch.no_grad():
        for tensor in chain.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.3 * torch.rand_like(tensor)
    return chain.eval(), x


@pytest.mark.parametrize("block", range(4))
def test_whatever_moves_the_function_stays(block):
    moved = 0
    for seed in range(100 * block, 100 * block + 100):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network, x = grow(random.Random(seed))
        try:
            spec = infer_spec(network)
        except ValueError as error:
            assert "no units of Chain can be permuted" in str(error)
            continue
        moved += len(spec.sizes) > 0
        permuted = Permutation.random(spec, rng=seed).apply(network)
        torch.testing.assert_close(permuted(x), network(x), rtol=1e-9, atol=1e-9)
    assert moved > 10  # the test would be idle otherwise
