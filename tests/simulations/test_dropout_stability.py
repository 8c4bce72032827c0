"""Dropout beside the midpoint: what is known exactly, the difference of exponents, the outputs."""

import numpy as np
import pandas as pd
import pytest

from otlmc import cli
from otlmc.networks.mean_field import RELU, Teacher
from simulations import dropout_stability as job

SMALL = [
    job.Ladder("independent", "relu", 2, (8, 16, 32), 6, 1),
    job.Ladder("independent", "tanh", 2, (8, 16, 32), 6, 1),
    job.Ladder("trained", "tanh", 2, (8, 16, 32), 6, 1),
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame([{"neurons": c.neurons, **row} for c in SMALL for row in job.pairs(c)])


def test_errors_stay_below_what_the_distances_allow(table: pd.DataFrame) -> None:
    proved = table[table["kind"] == "upper"]
    assert len(proved) == 3 * 3 * 2
    assert (proved["measured"] < proved["upper"]).all()  # exact, pair by pair


def test_mean_square_of_the_dropout_error_is_the_variance_of_a_neuron_over_the_width() -> None:
    rng = np.random.default_rng(0)
    inputs, _ = Teacher.draw(3, rng=rng)(50, rng=rng)
    variance = 1 / 2 - 1 / (2 * np.pi)  # of relu at a standard Gaussian
    for width in (8, 32):
        errors = [
            job.measure(RELU, *rng.standard_normal((2, width, 3)), inputs)["dropout error"]
            for _ in range(400)
        ]
        squares = np.square(errors)
        stderr = squares.std(ddof=1) / np.sqrt(len(squares))
        assert abs(squares.mean() - variance / width) < 4 * stderr


def test_difference_of_exponents_is_exact_for_power_laws_and_zero_for_equal_ladders() -> None:
    widths = (8, 16, 32)
    noise = np.random.default_rng(1).uniform(0.5, 1.5, size=(3, 12))
    powers = np.array(widths)[:, None] ** np.array([-0.5])
    value, half = job.difference(widths, powers * noise, powers**2 * noise)
    assert value == pytest.approx(0.5) and half == pytest.approx(0, abs=1e-12)
    value, half = job.difference(widths, powers * noise, powers * noise[:, ::-1])
    assert half > 0 and abs(value) < 2 * half


def test_distances_of_independent_neurons_fall_at_one_rate(table: pd.DataFrame) -> None:
    rows = table[(table["neurons"] == "independent")]
    rows = rows[rows["quantity"] == "difference of the distances"]
    assert len(rows) == 2
    assert (rows["measured"].abs() < 5 * rows["stderr"]).all()


def test_program_writes_its_outputs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(job, "configurations", lambda options: SMALL)
    cli.run(job.main, cli.Options, args=["--out", str(tmp_path)])
    assert {"table.csv", "manifest.json", "figure.png", "figure.pdf"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert "written to" in capsys.readouterr().out
