"""Deep networks: every quantity of the recursion, measured on random networks."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.special import erf

from otlmc import bounds, kernels
from otlmc.bounds.deep import CONTRACTION, DeepReLU

SIGMA = {"relu": lambda z: np.maximum(z, 0), "linear": lambda z: z, "erf": erf}


def data(examples: int = 60, dim: int = 8) -> np.ndarray:
    values = np.random.default_rng(7).standard_normal((examples, dim))
    return values / np.linalg.norm(values, axis=1, keepdims=True) * math.sqrt(dim)


def measure(x, widths, *, matching, bias_std, activation, rng, s=2**0.5, outputs=50):
    """Squared omega or beta, p, e and path by layer at t = 1/2, and the squared deviations.

    The deviation comes at t = 1/3 too, where its bound is largest.
    """
    sigma, a, b, rows = SIGMA[activation], x, x, []
    path = {t: x for t in (1 / 2, 1 / 3)}
    for width in widths:
        fan_in = a.shape[1]
        scale = np.append(np.full(fan_in, s / math.sqrt(fan_in)), bias_std)
        # wb reads the aligned activations of B: its columns are exchangeable, so it may be drawn so
        wa, wb = rng.standard_normal((2, width, fan_in + 1)) * scale
        in_a, in_b = (np.column_stack([phi, np.ones(len(phi))]) for phi in (a, b))
        other = in_b if matching == "preactivation" else in_a
        wb = wb[linear_sum_assignment((in_a @ wa.T).T @ (other @ wb.T), maximize=True)[1]]
        if matching == "preactivation":
            inner = bures(in_a * scale, in_b * scale) ** 2
        else:
            inner = np.mean((in_a @ (wa - wb).T) ** 2)
        za, zb = in_a @ wa.T, in_b @ wb.T
        a, b = sigma(za), sigma(zb)
        for t, phi in path.items():
            wt = (1 - t) * wa + t * wb
            path[t] = sigma(phi @ wt[:, :-1].T + wt[:, -1])
        ends = (np.mean((path[1 / 2] - a) ** 2) + np.mean((path[1 / 2] - b) ** 2)) / 2
        rows.append([inner, np.mean((za - zb) ** 2), np.mean((a - b) ** 2), ends])
    va, vb = rng.standard_normal((2, widths[-1], outputs)) / math.sqrt(widths[-1])
    deviations = [
        np.mean((phi @ ((1 - t) * va + t * vb) - (1 - t) * a @ va - t * b @ vb) ** 2)
        for t, phi in path.items()
    ]
    return np.array(rows), deviations


def bures(a: np.ndarray, b: np.ndarray) -> float:
    """Bures distance of the Gram matrices of two factors, by orthogonal Procrustes."""
    inner = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    square = np.square(a).sum() + np.square(b).sum() - 2 * inner
    return math.sqrt(max(square, 0.0) / len(a))


@pytest.mark.parametrize("matching", ["covariance", "preactivation"])
@pytest.mark.parametrize(
    ("widths", "bias_std", "activation"),
    [((64,), 0.0, "relu"), ((32, 96), 0.5, "relu"), ((256, 24), 0.0, "relu"),
     ((48, 48, 48), 0.0, "relu"), ((64, 32), 0.0, "linear"), ((32, 32), 0.3, "erf")],
)  # fmt: skip
def test_bounds_hold_on_random_networks(matching, widths, bias_std, activation) -> None:
    x, rng = data(), np.random.default_rng(11)
    options = {"matching": matching, "bias_std": bias_std, "activation": activation}
    runs = [measure(x, widths, rng=rng, **options) for _ in range(24)]
    squares = np.array([rows for rows, _ in runs])
    network = DeepReLU(inputs=x, hidden_layers=len(widths), **options)
    mean, error = squares.mean(0), squares.std(0, ddof=1) / math.sqrt(len(runs))
    for layer, m, e in zip(network.layers(widths), mean, error, strict=True):
        inner = layer.weights if matching == "covariance" else layer.gram
        limits = np.array([inner, layer.preactivations, layer.units, layer.path]) ** 2
        assert (m <= limits + 5 * e + 1e-12).all(), (layer, m)
    deviations = np.array([deviation for _, deviation in runs])
    spread = deviations.std(0, ddof=1) / math.sqrt(len(runs))
    assert (deviations.mean(0) <= float(network.deviation(widths)) ** 2 + 5 * spread).all()
    # 8 of 10 draws of the networks are within the bound that holds with 80 %, by Markov far more
    high = float(network.deviation(widths, confidence=0.8)) ** 2
    assert (np.mean(deviations <= high, axis=0) >= 0.8).all()


def test_gram_matrices_meet_as_the_layer_below_widens() -> None:
    network = DeepReLU(inputs=data(), hidden_layers=2, matching="preactivation")
    second = [network.layers([width, 64])[1] for width in (4, 10**9, 10**11, 2**1100)]
    grams = [layer.gram for layer in second]
    assert grams == sorted(grams, reverse=True) and grams[-1] == 0.0
    assert grams[0] == pytest.approx(network.layers([4, 64])[0].preactivations)  # s e_1
    assert grams[1] / grams[2] == pytest.approx(
        10, rel=1e-10
    )  # 1 / sqrt(m) once every direction is sampled well
    assert second[-1].preactivations == second[-1].weights


def test_squares_of_layers_add() -> None:
    """Layers of one spectrum without the Gram term, s kappa = 1: closed forms at every depth."""
    spectra = [[1.0, 0.5]] * 4
    network = DeepReLU(spectra=spectra, hidden_layers=4, matching="preactivation")
    layers = network.layers(100)
    omega = layers[0].weights
    for depth, layer in enumerate(layers, start=1):  # p_l^2 = l omega^2
        assert layer.preactivations == pytest.approx(math.sqrt(depth) * omega, rel=1e-10)
        total = depth * (depth + 1) / 2
        assert layer.path == pytest.approx(omega * math.sqrt(total / 8), rel=1e-10)
    assert float(network.deviation(100)) == pytest.approx(omega * math.sqrt(10 / 2 * 4 / 27))


def test_min_width_meets_the_tolerance_and_no_narrower_one_does() -> None:
    network = DeepReLU(inputs=data(), hidden_layers=2)
    found = bounds.min_width(network, tolerance=0.6)
    assert found.upper is not None and found.lower is not None
    assert found.lower <= found.upper
    assert float(network.deviation(found.upper)) <= 0.6 < float(network.deviation(found.upper - 1))


@pytest.mark.parametrize("matching", ["covariance", "preactivation"])
@pytest.mark.parametrize(("layers", "equal", "top"), [(2, 6, 60), (2, 20, 60), (3, 10, 25)])
def test_min_widths_is_the_best_of_a_grid(matching, layers, equal, top) -> None:
    network = DeepReLU(inputs=data(40, 6), hidden_layers=layers, matching=matching)
    tolerance = float(network.deviation(equal)) * 1.0001
    found = bounds.min_widths(network, tolerance)
    assert found.deviation == float(network.deviation(found.widths)) <= tolerance
    assert found.units == sum(found.widths) <= layers * found.equal
    assert found.equal == bounds.min_width(network, tolerance).upper
    grid = product(range(1, top), repeat=layers)
    best = min(sum(w) for w in grid if float(network.deviation(w)) <= tolerance)
    assert found.units == best  # widths outside of the grid have larger sums


def test_no_single_layer_can_be_narrower() -> None:
    spectra = [[1.0, 0.5, 0.2], [0.1], [0.5, 0.5]]
    network = DeepReLU(spectra=spectra, hidden_layers=3)
    found = bounds.min_widths(network, tolerance=0.7, confidence=0.5)
    for layer in range(3):
        narrower = list(found.widths)
        narrower[layer] -= 1
        assert float(network.deviation(narrower, confidence=0.5)) > 0.7
    assert "units in all" in str(found) and f"{found.units:,}" in str(found)
    assert found.to_record()["units"] == found.units


@pytest.mark.parametrize(("tolerance", "error"), [(0.0, ValueError), ("a", TypeError)])
def test_min_widths_refuses_a_bad_tolerance(tolerance, error) -> None:
    with pytest.raises(error, match="`tolerance`"):
        bounds.min_widths(DeepReLU(spectra=[[1.0]], hidden_layers=1), tolerance)


def test_widths_beyond_floats_are_found() -> None:
    spectrum = [1 / i for i in range(1, 41)]
    network = DeepReLU(spectra=[spectrum] * 2, hidden_layers=2, matching="preactivation")
    found = bounds.min_widths(network, float(network.deviation(2**60)))
    assert found.units > 2**59 and found.units <= 2 * found.equal
    assert "  -  " in str(found)


def test_known_costs_are_the_computed_ones() -> None:
    """Costs between two equal ones are not computed again: they agree with fresh ones."""
    network = DeepReLU(inputs=data(), hidden_layers=1)
    widths = np.random.default_rng(1).permutation(np.arange(1, 200))
    warm = [float(network.deviation(int(w))) for w in widths]
    fresh = [
        float(DeepReLU(inputs=data(), hidden_layers=1).deviation(int(w))) for w in widths[::20]
    ]
    np.testing.assert_allclose(warm[::20], fresh, rtol=1e-12)


def test_only_two_layers_are_proved() -> None:
    """Above, the kernels are those of infinite width, which the record and its kind say."""
    for layers, kind in ((1, "upper"), (2, "upper"), (3, "upper estimate")):
        network = DeepReLU(inputs=data(), hidden_layers=layers)
        assert network.deviation(50).kind == kind
        assert network.deviation(50, confidence=0.9).kind == kind
        assert any("infinite width" in line for line in network.assumptions) == (layers > 2)


def test_spectra_say_the_same_as_inputs() -> None:
    x = data()
    spectra = [kernels.spectrum(c) for c in kernels.preactivation_covariances(x, 2)]
    ours, theirs = (DeepReLU(hidden_layers=2, **k) for k in ({"inputs": x}, {"spectra": spectra}))
    assert float(ours.deviation(100)) == float(theirs.deviation(100))
    assert float(ours.deviation([100, 100])) == float(ours.deviation(100))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "inputs"),
        ({"inputs": [[1.0]], "spectra": [[1.0]]}, "inputs"),
        ({"inputs": [[np.nan]]}, "inputs"),
        ({"spectra": [[1.0]], "hidden_layers": 2}, "spectra"),
        ({"inputs": [[1.0]], "hidden_layers": 0}, "hidden_layers"),
        ({"inputs": [[1.0]], "weight_std": -1.0}, "weight_std"),
        ({"inputs": [[1.0]], "activation": "gelu"}, "activation"),
        ({"inputs": [[1.0]], "matching": "activation"}, "matching"),
    ],
)
def test_bad_arguments_are_named(arguments, name) -> None:
    with pytest.raises(ValueError, match=f"`{name}`"):
        DeepReLU(**{"hidden_layers": 1} | arguments)


def test_widths_must_fit_the_layers() -> None:
    network = DeepReLU(inputs=data(), hidden_layers=2)
    for widths in ([10], [10, 0], -3):
        with pytest.raises(ValueError, match="`widths`"):
            network.layers(widths)


def test_relu_contracts_in_mean_square() -> None:
    rng = np.random.default_rng(3)
    u, v = rng.multivariate_normal([0, 0], [[1.0, 0.3], [0.3, 2.0]], 200_000).T
    squares = (np.maximum(u, 0) - np.maximum(v, 0)) ** 2
    limit = CONTRACTION["relu"] ** 2 * (1.0 + 2.0 - 2 * 0.3)
    assert squares.mean() <= limit + 5 * squares.std() / math.sqrt(len(u))
