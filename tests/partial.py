"""Small networks of which some units stay in place, and networks that are refused.

The names are those of the table in docs/howto/networks.md.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

Case = tuple[Callable[[], nn.Module], tuple[int, ...], set[str]]


class Tokens(nn.Module):
    """A module on the tokens of an image, between two linear layers and a residual one."""

    def __init__(self, mixer: nn.Module) -> None:
        super().__init__()
        self.stem, self.mixer = nn.Conv2d(3, 8, 2, stride=2), mixer
        self.extra, self.places = nn.Parameter(torch.rand(1, 1, 8)), nn.Parameter(torch.rand(10, 8))
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.extra.expand(x.shape[0], -1, -1), x], 1) + self.places
        x = x + self.mixer(x)
        return self.head(self.norm(x + self.down(F.gelu(self.up(x))))[:, 0])


class Attention(nn.Module):
    """Self-attention of two heads, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        samples, tokens, _ = x.shape
        q, k, v = self.qkv(x).view(samples, tokens, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(samples, tokens, 8))


class TorchAttention(nn.Module):
    """The same by the module of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class TokenMixer(nn.Module):
    """The layer of an MLP-Mixer that acts on the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(10, 9), nn.Linear(9, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x.transpose(1, 2)))).transpose(1, 2)


class Skip(nn.Module):
    """A U-Net of one level: pooled, brought back, concatenated with what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1)
        self.up, self.body = nn.ConvTranspose2d(6, 5, 2, stride=2), nn.Conv2d(10, 7, 3)
        self.head = nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = self.up(F.relu(self.deep(F.max_pool2d(x, 2))))
        return self.head(F.relu(self.body(torch.cat([x, y], 1))).mean((2, 3)))


class Decoder(nn.Module):
    """An autoencoder whose decoder is the transpose of its encoder, with a network between."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.up, self.down = nn.Linear(5, 6), nn.Linear(6, 9), nn.Linear(9, 6)

    def forward(self, x: Tensor) -> Tensor:
        code = self.down(F.relu(self.up(torch.relu(self.encode(x)))))
        return F.linear(code, self.encode.weight.t())


class Language(nn.Module):
    """An embedding whose weight is also that of the last layer, and a layer between."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.up, self.down = nn.Embedding(4, 6), nn.Linear(6, 9), nn.Linear(9, 6)
        self.head = nn.Linear(6, 4, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.abs().long() % 4)
        return self.head(x + self.down(F.relu(self.up(x)))).mean(1)


class Reader(nn.Module):
    """A recurrent network between linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.cell = nn.Linear(4, 5), nn.LSTM(5, 6, batch_first=True)
        self.hidden, self.head = nn.Linear(6, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.cell(torch.tanh(self.stem(x)))
        return self.head(F.relu(self.hidden(states[:, -1])))


class Undecided(nn.Module):
    """Control flow that depends on the data."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Standardised(nn.Conv1d):
    """A convolution whose weight is standardised in every pass."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2), keepdim=True)
        return F.conv1d(input, weight, self.bias)


class Gated(nn.Module):
    """A layer whose halves are multiplied, with an auxiliary head for training."""

    def __init__(self) -> None:
        super().__init__()
        self.halves, self.hidden = nn.Linear(5, 12), nn.Linear(6, 7)
        self.head, self.auxiliary = nn.Linear(7, 4), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = F.relu(self.hidden(F.glu(self.halves(x))))
        return (self.head(x), self.auxiliary(x)) if self.training else self.head(x)


def between(*layers: nn.Module) -> nn.Sequential:
    """Put layers between one that they may fix, 0, and one that is matched, "hidden"."""
    network = nn.Sequential(nn.Linear(5, 6), *layers)
    network.add_module("hidden", nn.Linear(6, 7))
    network.add_module("relu", nn.ReLU())
    network.add_module("head", nn.Linear(7, 4))
    return network


def computed(change: Callable[..., nn.Module]) -> nn.Module:
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):  # weight_norm is old
        return between(nn.ReLU(), change(nn.Linear(6, 6)))


def convolved(layer: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 6, 2), nn.ReLU(), layer, nn.ReLU(), nn.Conv1d(6, 7, 1), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(7, 4),
    )  # fmt: skip


def hooked() -> nn.Module:
    network = between(nn.ReLU())
    network[0].register_forward_hook(lambda module, args, output: output.flip(1))
    return network


# name -> (network, shape of a sample, what stays in place)
PARTIAL: dict[str, Case] = {
    "attention, written out": (
        lambda: Tokens(Attention()), (3, 6, 6), {"mixer.qkv"}),
    "`nn.MultiheadAttention`": (
        lambda: Tokens(TorchAttention()), (3, 6, 6), {"stem", "down", "mixer.attention"}),
    "MLP-Mixer": (lambda: Tokens(TokenMixer()), (3, 6, 6), {"stem", "down", "mixer.down"}),
    "`nn.TransformerEncoderLayer`": (
        lambda: Tokens(nn.TransformerEncoderLayer(8, 2, 9, batch_first=True)), (3, 6, 6),
        {"stem", "down", "mixer"}),
    "`nn.Embedding`, also tied": (Language, (5,), {"embed", "down"}),
    "`nn.LSTM`, `nn.GRU`, `nn.RNN`": (Reader, (3, 4), {"stem", "cell"}),
    "concatenation, slices of channels": (Skip, (3, 6, 6), {"stem", "deep", "up"}),
    "grouped convolutions": (
        lambda: convolved(nn.Conv1d(6, 6, 2, groups=3)), (2, 9), {"0", "2"}),
    "transposed convolutions": (
        lambda: convolved(nn.ConvTranspose1d(6, 6, 2)), (2, 9), {"0", "2"}),
    "`nn.LocalResponseNorm`, `nn.ChannelShuffle`": (
        lambda: convolved(nn.LocalResponseNorm(3)), (2, 9), {"0"}),
    "gates of halves (`nn.GLU`)": (Gated, (5,), {"halves", "auxiliary"}),
    "positions flattened behind a linear layer": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Flatten(), nn.Linear(18, 7),
                              nn.ReLU(), nn.Linear(7, 4)),
        (3, 4), {"0"}),
    "weights used by themselves (`F.linear`)": (Decoder, (5,), {"encode", "down"}),
    "weights computed in `forward`": (
        lambda: convolved(Standardised(6, 6, 2)), (2, 9), {"0", "2"}),
    "control flow within a module": (lambda: between(Undecided()), (5,), {"0", "1"}),
    "modules with forward hooks": (hooked, (5,), {"0"}),
    "`weight_norm`, `spectral_norm`, pruning": (
        lambda: computed(parametrizations.weight_norm), (5,), {"0", "2"}),
}  # fmt: skip

# name -> (network, shape of a sample, what the message says)
REFUSED = {
    "`nn.DataParallel`": (lambda: nn.DataParallel(between()), (5,), "give `.module`"),
    "`torch.compile`": (
        lambda: torch.compile(between(), backend="eager"), (5,), "give `._orig_mod`"),
    "control flow in the outermost `forward`": (Undecided, (6,), "torch.fx cannot trace Undecided"),
}  # fmt: skip


def draw(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """Draw a network in float64, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().double().eval()
