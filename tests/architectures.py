"""Small networks of many kinds, for the tests of tracing, matching and connectivity."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]


class Residual(nn.Module):
    """Two residual blocks, a strided one, flatten, LayerNorm behind a linear layer, dropout."""

    def __init__(self, norm: Norm, channels: int = 8) -> None:
        super().__init__()
        c = channels
        self.stem, self.norm = nn.Conv2d(3, c, 3, padding=1), norm(c)
        self.inner, self.inner_norm = nn.Conv2d(c, c, 3, padding=1), norm(c)
        self.back = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.down = nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(c, 2 * c, 1, stride=2)
        self.hidden, self.layer_norm = nn.Linear(2 * c * 9, 12), nn.LayerNorm(12)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.back(F.relu(self.inner_norm(self.inner(x)))))
        x = F.relu(self.down(x) + self.shortcut(x))
        x = F.dropout(F.gelu(self.hidden(torch.flatten(x, 1))), 0.1, self.training)
        return self.head(self.layer_norm(x))


class Depthwise(nn.Module):
    """Depthwise and pointwise convolutions, a mean over the image, a view."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.depth, self.point = nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 5, 1)
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.hidden, self.head = nn.Linear(5, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.tanh(self.point(self.depth(self.stem(x)))), 2)
        x = self.hidden(self.scale * x.mean((2, 3)))
        return self.head(F.silu(x).view(x.size(0), -1))


class Recurrent(nn.Module):
    """One layer that is used twice: its inputs and outputs are one group."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.core, self.head = nn.Linear(12, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.read(x.flatten(1)))
        return self.head(torch.tanh(self.core(torch.tanh(self.core(x)))))


class LeNet(nn.Module):
    """The images are flattened by ``view(-1, K)``, the output is a logarithm of probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 6, 3, padding="same")
        self.hidden, self.head = nn.Linear(24, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(F.pad(F.max_pool2d(self.first(x), 2), (0, 1, 1, 0)))
        x = self.second(x)[:, :, 1:, 1:].reshape(-1, 24)
        return F.log_softmax(self.head(F.relu(self.hidden(x))), dim=1)


class Squeeze(nn.Module):
    """Channels that are scaled by what a small network makes of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 2)
        self.squeeze, self.excite, self.head = nn.Linear(6, 3), nn.Linear(3, 6), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        samples, channels, _, _ = x.shape
        means = F.adaptive_avg_pool2d(x, 1).view(samples, channels)
        scale = torch.sigmoid(self.excite(F.relu(self.squeeze(means))))
        x = F.relu(self.body(x * scale.view(samples, channels, 1, 1).expand_as(x)))
        return self.head(x.amax(3).mean(2) + x.flatten(2).mean(-1))


class LastAxis(nn.Module):
    """Channels on the last axis and back, layer scale, a shift by a buffer, a chosen position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 2), nn.LayerNorm(6)
        self.up, self.down = nn.Linear(6, 9), nn.Linear(9, 6)
        self.gamma = nn.Parameter(torch.rand(6, 1, 1))
        self.register_buffer("shift", torch.rand(6))
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.down(F.gelu(self.up(self.norm(x.permute(0, 2, 3, 1)))))
        x = x + torch.exp(self.gamma) * y.permute(0, 3, 1, 2)
        x = x[:, :, ::2, ::2] + x.mean((2, 3)).unsqueeze(-1).unsqueeze(2)
        tokens = x.flatten(2).transpose(1, 2) - self.shift
        return self.head(tokens[:, 0] + tokens.mean(1)).softmax(1)


class Shared(nn.Module):
    """A layer of two names, one weight in two layers, one PReLU and one LayerNorm for two."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.core = nn.Linear(5, 6), nn.Linear(6, 6)
        self.again, self.tied = self.core, nn.Linear(6, 6)
        self.tied.weight = self.core.weight
        self.curve, self.norm, self.side = nn.PReLU(6), nn.LayerNorm(6), nn.Linear(5, 6)
        self.join, self.head = nn.Linear(6, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.curve(self.tied(self.again(self.curve(self.core(self.norm(self.stem(x)))))))
        return self.head(torch.relu(self.join(deep * self.norm(self.side(x)).data)))


class Renamed(nn.Linear):
    """A subclass that computes the same."""


def plain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: plain(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 4)),
            (5,)),
    "mlp with norms": (
        lambda: plain(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.PReLU(6), nn.Linear(6, 8, bias=False),
                      nn.ReLU(), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 4)),
        (5,)),
    "conv1d": (
        lambda: plain(nn.Conv1d(2, 6, 3), nn.BatchNorm1d(6), nn.ELU(), nn.AvgPool1d(2),
                      nn.Conv1d(6, 5, 2, stride=2, padding=1), nn.Sigmoid(), nn.Flatten(),
                      nn.Linear(10, 4)),
        (2, 9)),
    "conv with LayerNorm over everything": (
        lambda: plain(nn.Conv2d(3, 6, 3), nn.LayerNorm([6, 4, 4]), nn.ReLU(), nn.MaxPool2d(2),
                      nn.Flatten(), nn.Linear(24, 6), nn.BatchNorm1d(6), nn.Linear(6, 4)),
        (3, 6, 6)),
    "residual, BatchNorm": (lambda: Residual(nn.BatchNorm2d), (3, 6, 6)),
    "residual, GroupNorm 4": (lambda: Residual(lambda c: nn.GroupNorm(4, c)), (3, 6, 6)),
    "residual, GroupNorm 1": (lambda: Residual(lambda c: nn.GroupNorm(1, c)), (3, 6, 6)),
    "residual, InstanceNorm": (
        lambda: Residual(lambda c: nn.InstanceNorm2d(c, affine=True)), (3, 6, 6)),
    "depthwise": (Depthwise, (3, 6, 6)),
    "recurrent": (Recurrent, (3, 4)),
    "lenet": (LeNet, (3, 6, 6)),
    "squeeze": (Squeeze, (3, 6, 6)),
    "channels last": (LastAxis, (3, 6, 6)),
    "shared": (Shared, (5,)),
    "depthwise, two filters each": (
        lambda: plain(nn.Conv1d(2, 4, 3), nn.ReLU(True), nn.Conv1d(4, 8, 2, groups=4),
                      nn.BatchNorm1d(8, affine=False), nn.GroupNorm(2, 8), nn.ReLU(True),
                      nn.Conv1d(8, 5, 2), nn.Flatten(), nn.Linear(25, 4)),
        (2, 9)),
    "subclasses": (
        lambda: plain(Renamed(5, 6), nn.RMSNorm(6), nn.SiLU(), plain(Renamed(6, 7), nn.Softmax(-1)),
                      nn.Linear(7, 4)),
        (5,)),
}  # fmt: skip


def build(name: str, seed: int = 0) -> nn.Module:
    """Draw a network of the table in float64, all parameters and statistics off their defaults."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ARCHITECTURES[name][0]().double().eval()
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.2 * torch.rand_like(tensor)
    return network
