"""Random two-layer networks: every row within its theorem, and the outputs of the program."""

import numpy as np
import pandas as pd
import pytest

from otlmc import cli
from otlmc.networks.mean_field import RELU, TANH
from simulations import width_scaling as job

SMALL = [job.Ladder(*kind, 2, (8, 16, 32, 64), 6, 1) for kind in job.TITLES]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"neuron": c.neuron, "inputs": c.inputs, **row}
            for c in SMALL
            for row in job.random_pairs(c)
        ]
    )


def test_every_row_respects_its_theorem(table: pd.DataFrame) -> None:
    theorems = table[table["kind"].isin(["upper", "two-sided"])]
    assert {"deviation", "certificate", "width of the deviation"} <= set(theorems["quantity"])
    slack = 5 * theorems["stderr"]
    assert (theorems["measured"] <= theorems["upper"] + slack).all()
    two_sided = theorems.dropna(subset="lower")
    assert set(two_sided["quantity"]) == {"certificate", "width of the certificate"}
    assert (two_sided["measured"] >= two_sided["lower"] - 5 * two_sided["stderr"]).all()


def test_no_pair_beats_its_own_certificate(table: pd.DataFrame) -> None:
    ratios = table[table["quantity"] == "largest deviation / certificate of a pair"]
    assert len(ratios) == 16
    assert ratios["measured"].between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize("neuron", [RELU, TANH], ids=["relu", "tanh"])
def test_largest_deviation_finds_what_a_dense_grid_finds(neuron) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 2))
    found = job.largest_deviation(neuron, a, b, rng=rng)
    angle, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 720), np.linspace(0.1, 1, 10))
    ball = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).reshape(-1, 2)
    grid = np.abs(neuron.deviation(a, b, ball, t=np.linspace(0, 1, 101))).max()
    assert found == pytest.approx(grid, rel=0.01)


def test_width_reached_inverts_a_power_law() -> None:
    widths = (8, 16, 32)
    values = np.array([[2.0 / m, 2.0 / m] for m in widths])
    assert job.width_reached(widths, values, 0.1) == pytest.approx((20.0, 0.0))
    assert job.width_reached(widths, values, 0.01) is None  # wider than the ladder
    assert job.width_reached(widths, values, 0.3) is None  # narrower


def test_program_writes_its_outputs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(job, "configurations", lambda options: SMALL)
    cli.run(job.main, cli.Options, args=["--out", str(tmp_path)])
    assert {"table.csv", "manifest.json", "figure.png", "figure.pdf"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert "min_width" in capsys.readouterr().out
