"""The certificate against networks that are blended and run one by one."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import digits, gaussian, mlp, trained
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from otlmc.certificate import certify
from otlmc.matching import Permutation, infer_spec, match
from otlmc.networks import MLP, Architecture


def blend(a: nn.Sequential, b: nn.Sequential, t: float) -> nn.Sequential:
    net = copy.deepcopy(a)
    other = b.state_dict()
    net.load_state_dict({k: (1 - t) * v + t * other[k] for k, v in a.state_dict().items()})
    return net


def features(net: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    """What every ReLU puts out, and the output."""
    found = []
    with torch.no_grad():
        for place, module in enumerate(net):
            x = module(x)
            if isinstance(module, nn.ReLU) or place == len(net) - 1:
                found.append(x)
    return found


def deviations(a, b, x, t) -> np.ndarray:
    """Norms of h_t - hbar_t, shape (points, layers, samples)."""
    ends = features(a, x), features(b, x)
    rows = []
    for s in t:
        here = features(blend(a, b, s), x)
        lines = [(1 - s) * u + s * v for u, v in zip(*ends, strict=True)]
        rows.append([(h - v).norm(dim=1).numpy() for h, v in zip(here, lines, strict=True)])
    return np.array(rows)


def scaled(net: nn.Sequential, factors: list[float]) -> nn.Sequential:
    linear = [module for module in net if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer, factor in zip(linear, factors, strict=True):
            layer.weight *= factor
            layer.bias *= abs(factor)
    return net


@st.composite
def pairs(draw):
    depth = draw(st.integers(1, 6))
    units = st.integers(1, 9) | st.just(200)
    widths = [draw(units) for _ in range(depth + 1)] + [draw(st.integers(1, 4))]
    seeds = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    # far apart in scale, sign flips, and dead layers
    factor = st.sampled_from([-1.0, 0.0, 1.0, 3.0, 1e3, -1e-3])
    factors = [draw(st.lists(factor, min_size=depth + 1, max_size=depth + 1)) for _ in seeds]
    a, b = (scaled(mlp(*widths, seed=s), f) for s, f in zip(seeds, factors, strict=True))
    return a, b, gaussian(draw(st.integers(1, 12)), widths[0], seed=draw(st.integers(0, 99)))


@settings(max_examples=80, deadline=None)
@given(pair=pairs(), pieces=st.sampled_from([1, 2, 5, 16]), seed=st.integers(0, 10**6))
def test_never_below_the_deviation(pair, pieces, seed) -> None:
    a, b, x = pair
    found = certify(a, b, x, pieces=pieces)
    t = np.sort(np.random.default_rng(seed).uniform(size=40))
    true = deviations(a, b, x, t)
    sizes = np.array([float(h.norm(dim=1).max()) for h in features(a, x)])
    sizes += [float(h.norm(dim=1).max()) for h in features(b, x)]
    for k, layer in enumerate(found.layers):
        slack = 4 * found.roundoff + 1e-13 * sizes[k]
        rms = np.sqrt(np.square(true[:, k]).mean(-1)).max()
        assert rms <= layer.bound + slack
        assert rms <= layer.from_ends + slack
        assert true[:, k].max() <= layer.bound_max + slack
        assert layer.measured <= layer.bound and layer.measured_max <= layer.bound_max


@pytest.mark.parametrize("method", ["none", "weight", "covariance"])
def test_trained_networks(method) -> None:
    a, b = trained(0).double(), trained(1).double()
    _, _, x, y = digits()
    perm = match(a, b, x, method=method)
    found = certify(a, b, x, permutation=perm, pieces=16)
    t = np.linspace(0, 1, 65)
    true = deviations(a, perm.permutation.apply(b), x.double(), t)
    for k, layer in enumerate(found.layers):
        rms = np.sqrt(np.square(true[:, k]).mean(-1)).max()
        assert rms <= layer.bound <= 1.1 * rms
        assert true[:, k].max() <= layer.bound_max
        assert rms <= layer.from_ends
        np.testing.assert_allclose(
            layer.measured, np.sqrt(np.square(true[::4, k]).mean(-1)).max(), rtol=1e-9
        )
    losses = [
        float(nn.functional.cross_entropy(features(blend(a, b, s), x.double())[-1], y)) for s in t
    ]
    if method == "none":
        barrier = np.max(losses - (1 - t) * losses[0] - t * losses[-1])
        claimed = found.loss_barrier(y.numpy())
        assert claimed.measured <= barrier <= claimed.upper
        assert claimed.kind == "upper" and found.permutation == "none"


def test_the_excess_falls_faster_than_the_pieces_grow() -> None:
    a, b, x = mlp(6, 40, 40, 3, seed=0), mlp(6, 40, 40, 3, seed=1), gaussian(50, 6)
    fine = certify(a, b, x, pieces=512).layers[-1].measured
    gaps = [certify(a, b, x, pieces=n).layers[-1].bound - fine for n in (8, 64)]
    assert 0 < gaps[1] < gaps[0] / 8


def neuron(w: float, v: float) -> nn.Sequential:
    net = mlp(1, 1, 1)
    for module, value in ((net[0], w), (net[2], v)):
        nn.init.constant_(module.weight, value)
        nn.init.zeros_(module.bias)
    return net


@pytest.mark.parametrize(
    ("a", "b", "t", "constant"),
    [
        ((2.0, 1.5), (-1.0, 1.5), 2 / 3, 1.5),  # the signs differ: |w_A w_B| / (|w_A| + |w_B|)
        ((-1.0, 1.5), (2.0, 1.5), 1 / 3, 1.5),
        ((1.0, 1.0), (3.0, -2.0), 1 / 2, 3.0),  # both differ: |dv| |dw| / 4
    ],
)
def test_equality_for_one_neuron(a, b, t, constant) -> None:
    x = torch.ones(1, 1, dtype=torch.float64)
    pair = neuron(*a), neuron(*b)
    true = deviations(*pair, x, [t])[0, -1, 0]
    found = certify(*pair, x, pieces=1)
    np.testing.assert_allclose(found.layers[-1].from_ends, true, rtol=1e-10)
    # the constant of `everywhere`, max(|v_A|, |v_B|, |v_B - v_A|), is reached at this t
    moved = abs(b[0] - a[0])
    np.testing.assert_allclose(found.everywhere, constant * moved / 4, rtol=1e-10)
    np.testing.assert_allclose(t * (1 - t) * constant * moved, true, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    widths=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 4)),
    seed=st.integers(0, 10**6),
    turned=st.sampled_from([0.0, 0.1, 1.0]),
    size=st.sampled_from([1e-2, 1.0, 1e3]),
)
def test_everywhere_holds_for_any_input(widths, seed, turned, size) -> None:
    a, b = mlp(*widths, seed=seed), mlp(*widths, seed=seed + 1)
    with torch.no_grad():
        b[2].weight.lerp_(a[2].weight, 1 - turned)
    found = certify(a, b, gaussian(2, widths[0]), pieces=1)
    x = size * gaussian(200, widths[0], seed=seed)
    true = deviations(a, b, x, np.linspace(0, 1, 21))[:, -1].max(0)
    lengths = np.sqrt(np.square(x.numpy()).sum(1) + 1)
    assert found.everywhere is not None
    assert (true <= found.everywhere * lengths * (1 + 1e-12) + 1e-13).all()


def test_identical_networks_have_none() -> None:
    a, x = mlp(5, 9, 9, 3), gaussian(11, 5)
    copy_of_a = Permutation.random(infer_spec(a), rng=0).apply(a)
    perm = match(a, copy_of_a).permutation
    for found in (certify(a, a, x), certify(a, copy_of_a, x, permutation=perm)):
        assert all(layer.bound <= 2 * found.roundoff for layer in found.layers)
        assert all(layer.from_ends == 0 for layer in found.layers)
        assert found.roundoff < 1e-12
        assert found.loss_barrier(np.zeros(11)).upper <= 1e-12


def test_an_affine_network_has_none() -> None:
    found = certify(mlp(5, 3, seed=0), mlp(5, 3, seed=1), gaussian(11, 5))
    assert [layer.from_ends for layer in found.layers] == [0.0]
    assert found.layers[0].bound <= found.roundoff and found.everywhere is None


def test_roundoff_covers_another_order_of_summation() -> None:
    a, x = mlp(64, 128, 128, 10), gaussian(200, 64)
    moved = Permutation.random(infer_spec(a), rng=0).apply(a)
    with torch.no_grad():
        apart = float((a(x) - moved(x)).norm(dim=1).max())
    assert 0 < apart < certify(a, a, x, pieces=1).roundoff < 1e-10


def test_roundoff_counts_what_b_reads() -> None:
    a, b, x = mlp(64, 128, 128, 10), mlp(64, 128, 128, 10, seed=1), gaussian(200, 64)
    scaled(a, [0.0, 1.0, 1.0])  # no signal in A, only its small biases
    scaled(b, [100.0, 1.0, 1.0])
    moved = Permutation.random(infer_spec(b), rng=0).apply(b)
    with torch.no_grad():
        apart = float((b(x) - moved(x)).norm(dim=1).max())
    assert 0 < apart < certify(a, b, x, pieces=1).roundoff < 1e-8
    np.testing.assert_allclose(
        certify(a, b, x, pieces=1).roundoff, certify(b, a, x, pieces=1).roundoff, rtol=1e-9
    )


def test_images_are_flattened() -> None:
    flat = mlp(12, 5, 2)
    net, x = nn.Sequential(nn.Flatten(), *flat), gaussian(7, 3, 4)
    found, expected = certify(net, net, x), certify(flat, flat, x.flatten(1))
    np.testing.assert_array_equal(found.outputs, expected.outputs)


def test_the_permutation_is_applied_and_the_batches_do_not_matter() -> None:
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(31, 5)
    found = match(a, b)
    direct = certify(a, found.permutation.apply(b), x, batch_size=4)
    for permutation, name in ((found, "weight"), (found.permutation, "given")):
        moved = certify(a, b, x, permutation=permutation)
        assert moved.permutation == name and direct.permutation == "none"
        for row, other in zip(moved.layers, direct.layers, strict=True):
            np.testing.assert_allclose(
                list(row.to_record().values())[1:], list(other.to_record().values())[1:], rtol=1e-10
            )
        np.testing.assert_allclose(moved.outputs, direct.outputs, rtol=1e-10)


def test_scales_with_the_output_layer() -> None:
    a, b, x = mlp(5, 9, 7, 3, seed=0), mlp(5, 9, 7, 3, seed=1), gaussian(31, 5)
    found = certify(a, b, x).layers[-1]
    with torch.no_grad():
        for net in (a, b):
            net[4].weight *= 8
            net[4].bias *= 8
    larger = certify(a, b, x).layers[-1]
    np.testing.assert_allclose(
        [larger.bound, larger.from_ends], [8 * found.bound, 8 * found.from_ends], rtol=1e-10
    )


def test_the_modules_of_otlmc_are_read() -> None:
    architecture = Architecture(widths=(5, 8, 6, 2))
    found = certify(MLP(architecture), MLP(architecture), gaussian(9, 5))
    assert [layer.layer for layer in found.layers] == ["layers.0", "layers.1", "layers.2"]
    record = found.to_record()
    assert record["pieces"] == 32 and record["bound[layers.2]"] == found.layers[-1].bound
    assert "output" in str(found) and found.deviation.upper == found.layers[-1].bound


@pytest.mark.parametrize(("outputs", "loss"), [(1, "cross-entropy"), (3, "squared")])
def test_loss_barriers_hold(outputs, loss) -> None:
    a, b, x = mlp(5, 9, outputs, seed=0), mlp(5, 9, outputs, seed=1), gaussian(31, 5)
    scaled(a, [3.0, 3.0])
    scaled(b, [-3.0, 3.0])
    t = np.linspace(0, 1, 97)
    values = [blend(a, b, s)(x).detach() for s in t]
    if loss == "squared":
        labels = gaussian(31, outputs, seed=1).numpy()
        losses = [np.square(y.numpy() - labels).sum(1).mean() for y in values]
    else:
        labels = np.arange(31) % 2
        target = torch.from_numpy(labels).double()
        losses = [
            float(nn.functional.binary_cross_entropy_with_logits(y[:, 0], target)) for y in values
        ]
    barrier = np.max(losses - (1 - t) * losses[0] - t * losses[-1])
    gaps = []
    for pieces in (1, 8, 64):
        found = certify(a, b, x, pieces=pieces).loss_barrier(labels, loss=loss)
        assert found.measured <= found.upper and barrier <= found.upper
        gaps.append(found.upper - barrier)
    assert gaps[2] < gaps[1] / 8 < gaps[0] / 64


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(x + torch.relu(self.inner(x)))


class Branching(Skip):
    def forward(self, x):
        return x if x.sum() > 0 else self.head(x)


def plain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def hooked(*place: int) -> nn.Sequential:
    net = plain(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    hooking = net[place[0]] if place else net
    hooking.register_forward_hook(lambda module, args, output: 2 * output)
    return net


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (MLP(Architecture(widths=(4, 5, 2), layer_norm=True)), r"'norms.0' \(LayerNorm\)"),
        (plain(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)), "BatchNorm1d"),
        (plain(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), "Tanh"),
        (plain(nn.Linear(4, 5), nn.Linear(5, 2)), "Linear"),
        (plain(nn.Linear(4, 5), nn.ReLU()), "no affine output layer"),
        (plain(nn.Identity()), "no affine output layer"),
        (plain(nn.ReLU(), nn.Linear(4, 2)), "ReLU"),
        (plain(weight_norm(nn.Linear(4, 2))), "'0' .ParametrizedLinear"),
        (hooked(1), "'1' has forward hooks"),
        (hooked(), "it has forward hooks"),
        (Skip(), "does not continue a chain"),
        (Branching(), "cannot trace"),
    ],
)
def test_other_networks_are_refused(net, message) -> None:
    with pytest.raises(ValueError, match=rf"`a` must alternate Linear and ReLU.*{message}"):
        certify(net, net, gaussian(3, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b": mlp(3, 5, 2)}, r"'0' is \(4, 3\) in `a` and \(5, 3\) in `b`"),
        ({"b": mlp(3, 4, 4, 2)}, "the architectures differ"),
        ({"b": mlp(3, 4, 2).state_dict()}, "`b` must be an nn.Module, got OrderedDict"),
        ({"inputs": torch.full((6, 3), torch.nan)}, "`inputs` holds NaN"),
        ({"inputs": gaussian(6, 4)}, r"`inputs` must hold 3 values a sample, got shape \(6, 4\)"),
        ({"pieces": 0}, "`pieces`"),
        ({"pieces": 2.0}, "`pieces`"),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_refusals(arguments, message) -> None:
    given = {"a": mlp(3, 4, 2), "b": mlp(3, 4, 2, seed=1), "inputs": gaussian(6, 3)} | arguments
    with pytest.raises((ValueError, TypeError), match=message):
        certify(given.pop("a"), given.pop("b"), given.pop("inputs"), **given)


def test_nan_weights_are_refused() -> None:
    broken = mlp(3, 4, 2)
    with torch.no_grad():
        broken[2].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"`b`: layer '2' holds NaN"):
        certify(mlp(3, 4, 2), broken, gaussian(6, 3))


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (np.zeros(5), "cross-entropy", r"`labels` must be 6 class numbers below 2, got shape \(5,"),
        (np.full(6, 2), "cross-entropy", "below 2.* with .*2"),
        (np.full(6, 0.5), "cross-entropy", "with .*0.5"),
        (np.zeros(6), "squared", r"targets of shape \(6, 2\), got \(6,\)"),
        (np.zeros(6), "hinge", "`loss` must be one of"),
    ],
)
def test_bad_labels_are_refused(labels, loss, message) -> None:
    found = certify(mlp(3, 4, 2), mlp(3, 4, 2, seed=1), gaussian(6, 3))
    with pytest.raises(ValueError, match=message):
        found.loss_barrier(labels, loss=loss)
