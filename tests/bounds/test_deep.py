"""Deep networks: every quantity of the recursion, measured on random networks."""

import math

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from otlmc import bounds, kernels
from otlmc.bounds.deep import CONTRACTION, DeepReLU

SIGMA = {"relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}


def data(examples: int = 60, dim: int = 8) -> np.ndarray:
    values = np.random.default_rng(7).standard_normal((examples, dim))
    return values / np.linalg.norm(values, axis=1, keepdims=True) * math.sqrt(dim)


def measure(x, widths, *, bias_std, activation, rng, s=2**0.5, outputs=50):
    """Squared omega, e, distance to A and to B at t = 1/2 by layer, and the squared deviation."""
    sigma, a, b, mid, rows = SIGMA[activation], x, x, x, []
    for width in widths:
        fan_in = a.shape[1]
        scale = np.append(np.full(fan_in, s / math.sqrt(fan_in)), bias_std)
        wa, wb = rng.standard_normal((2, width, fan_in + 1)) * scale

        def affine(w, phi):
            return phi @ w[:, :-1].T + w[:, -1]

        # wb reads the aligned activations of B: its columns are exchangeable, so it may be drawn so
        extended = np.column_stack([a, np.ones(len(a))])
        moment = extended.T @ extended / len(a)
        wb = wb[linear_sum_assignment(wa @ moment @ wb.T, maximize=True)[1]]
        omega = np.mean((extended @ (wa - wb).T) ** 2)
        a, b, mid = sigma(affine(wa, a)), sigma(affine(wb, b)), sigma(affine((wa + wb) / 2, mid))
        distances = [np.mean((p - q) ** 2) for p, q in ((a, b), (mid, a), (mid, b))]
        rows.append([omega, *distances])
    va, vb = rng.standard_normal((2, widths[-1], outputs)) / math.sqrt(widths[-1])
    deviation = np.mean((mid @ (va + vb) / 2 - a @ va / 2 - b @ vb / 2) ** 2)
    return np.array(rows), deviation


@pytest.mark.parametrize(
    ("widths", "bias_std", "activation"),
    [((64,), 0.0, "relu"), ((32, 96), 0.5, "relu"), ((48, 48, 48), 0.0, "relu"),
     ((64, 32), 0.0, "linear")],
)  # fmt: skip
def test_bounds_hold_on_random_networks(widths, bias_std, activation) -> None:
    x, rng = data(), np.random.default_rng(11)
    runs = [
        measure(x, widths, bias_std=bias_std, activation=activation, rng=rng) for _ in range(24)
    ]
    squares = np.array([rows for rows, _ in runs])
    network = DeepReLU(
        inputs=x, hidden_layers=len(widths), bias_std=bias_std, activation=activation
    )
    mean, error = squares.mean(0), squares.std(0, ddof=1) / math.sqrt(len(runs))
    for layer, m, e in zip(network.layers(widths), mean, error, strict=True):
        limits = np.array([layer.weights, layer.units, layer.from_a, layer.from_b]) ** 2
        assert (m <= limits + 5 * e).all(), (layer, m)
    deviations = np.array([deviation for _, deviation in runs])
    spread = deviations.std(ddof=1) / math.sqrt(len(runs))
    assert deviations.mean() <= float(network.deviation(widths)) ** 2 + 5 * spread
    # 8 of 10 draws of the networks are within the bound that holds with 80 %, by Markov far more
    high = float(network.deviation(widths, confidence=0.8)) ** 2
    assert np.mean(deviations <= high) >= 0.8


def test_min_width_meets_the_tolerance_and_no_narrower_one_does() -> None:
    network = DeepReLU(inputs=data(), hidden_layers=2)
    found = bounds.min_width(network, tolerance=0.6)
    assert found.upper is not None and found.lower is not None
    assert found.lower <= found.upper
    assert float(network.deviation(found.upper)) <= 0.6 < float(network.deviation(found.upper - 1))


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
