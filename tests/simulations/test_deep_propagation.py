"""Random deep networks: the measurements are those of real networks, and respect the bounds."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from otlmc import cli
from otlmc.matching import Covariance, match
from simulations import deep_propagation as job

SMALL = [
    job.Networks("digits", width, matching, 3, 80, 6, 1)
    for width in (16, 64)
    for matching in ("covariance", "preactivation")
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"width": c.width, "matching": c.matching, **row}
            for c in SMALL
            for row in job.measured_pairs(c, data_dir=None)
        ]
    )


def test_inputs_have_unit_mean_square() -> None:
    inputs = job.examples(SMALL[0], data_dir=None)
    assert inputs.shape == (80, 64)
    assert np.mean(inputs**2) == pytest.approx(1.0, rel=1e-10)


def test_no_bound_is_undercut(table: pd.DataFrame) -> None:
    bounded = table.dropna(subset="upper")
    assert set(bounded["quantity"]) == {*job.QUANTITIES, "output deviation"}
    assert set(bounded.loc[bounded["layer"] <= 2, "kind"]) == {"upper"}
    assert set(bounded.loc[bounded["layer"] == 3, "kind"]) == {"prediction"}
    assert (bounded["measured"] <= bounded["upper"] + 5 * bounded["stderr"] + 1e-7).all()


def test_prediction_at_depth_three_is_within_a_factor_of_four(table: pd.DataFrame) -> None:
    deep = table[(table["quantity"] == "output deviation") & (table["layer"] == 3)]
    ratio = deep["upper"] / deep["measured"]
    assert len(ratio) == 4 and ((ratio > 1) & (ratio <= 4)).all()


def test_first_gram_matrices_are_equal_and_outputs_keep_their_size(table: pd.DataFrame) -> None:
    first = table[(table["quantity"] == "Gram matrices") & (table["layer"] == 1)]
    assert (first["measured"] < 1e-6).all()  # the root of a rounding error
    output = table[table["quantity"] == "output"]  # He: half of the mean square 2 survives relu
    assert (np.abs(output["measured"] - 1) <= 5 * output["stderr"]).all()


def test_procrustes_finds_a_rotation_of_the_columns() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((5, 9))
    rotation = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    assert job._procrustes(a, a @ rotation) == pytest.approx(0, abs=1e-12)
    assert job._procrustes(a, 3 * a) == pytest.approx(4 * np.sum(a**2) / 5, rel=1e-10)


def test_library_matches_the_first_layer_alike() -> None:
    """The squared distance of the matched rows is that after ``match`` on modules."""
    inputs = job.examples(SMALL[0], data_dir=None)
    found = job.propagate(inputs, 12, 1, "covariance", rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((2, 12, 64)) * math.sqrt(2 / 64)
    nets = []
    for weight in weights:
        net = nn.Sequential(nn.Linear(64, 12, bias=False), nn.ReLU(), nn.Linear(12, 2)).double()
        net[0].weight.data = torch.as_tensor(weight)
        nets.append(net)
    aligned = match(*nets, inputs, method=Covariance()).permutation.apply(nets[1])
    apart = (nets[0][0].weight - aligned[0].weight).detach().numpy()
    assert np.mean((inputs @ apart.T) ** 2) == pytest.approx(found["weights"][0], rel=1e-10)


def test_program_writes_its_outputs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(job, "configurations", lambda options: SMALL)
    cli.run(job.main, job.Options, args=["--out", str(tmp_path)])
    assert {"table.csv", "manifest.json", "figure.png", "figure.pdf"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert "preactivation" in capsys.readouterr().out
