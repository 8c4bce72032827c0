"""The main job at its quick size: the orderings of the paper, the bounds, and its outputs."""

import json

import numpy as np
import pandas as pd
import pytest

from otlmc import cli
from simulations import support_dimension as job


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    """The two lower learning rates of the quick preset, whole."""
    configs = job.configurations(job.Options())[1][:2]
    rows = []
    for config in configs:
        measured = job.trained(config, data_dir=None, device="cpu")
        rows += [{"learning_rate": config.learning_rate, **row} for row in measured]
    return pd.DataFrame(rows)


def test_midpoint_losses_are_ordered_as_published(pairs: pd.DataFrame) -> None:
    losses = pairs[pairs["quantity"] == "midpoint_loss"]
    means = losses.groupby(["learning_rate", "matching"])["measured"].mean().unstack()
    assert (means["activation_centred"] <= means["covariance"]).all()
    assert (means["covariance"] < means["weight_incoming"]).all()
    assert (means["weight_incoming"] < means["none"]).all()


def test_naive_dimension_is_that_of_a_random_matrix(pairs: pd.DataFrame) -> None:
    dimensions = pairs[(pairs["quantity"] == "approximate dimension")]
    lowest = dimensions[dimensions["learning_rate"] == dimensions["learning_rate"].min()]
    means = lowest.groupby(["matching", "layer"])["measured"].mean()
    for layer, fan_in in ((1, 64), (2, 128), (3, 128)):
        assert means["weight_incoming", layer] == pytest.approx(
            fan_in * 128 / (fan_in + 128), rel=0.05
        )
        for matching in ("covariance", "activation_centred"):
            assert means["weight_incoming", layer] > 10 * means[matching, layer]


def test_every_measured_cost_has_a_prediction_labelled_as_one(pairs: pd.DataFrame) -> None:
    costs = pairs[pairs["quantity"] == "matching cost"]
    assert len(costs) == 2 * 2 * 3 * 3  # rates, repetitions, spaces, layers
    assert (costs["kind"] == "prediction").all()
    assert (costs["lower"] < costs["upper"]).all()
    assert (costs["upper"] <= costs["random"] * (1 + 1e-12)).all()


def test_synthetic_neurons_respect_both_theorems() -> None:
    for k in (1, 3):
        rows = list(job.synthetic(job.Ladder(k=k, widths=(8, 16, 32), repetitions=40, seed=3)))
        theorems = [row for row in rows if row["kind"] == "two-sided"]
        assert len(theorems) == 3
        for row in theorems:
            slack = 5 * row["stderr"]
            assert row["lower"] - slack <= row["measured"] <= row["upper"] + slack


def test_program_writes_and_resumes_the_same_table(tmp_path, monkeypatch, capsys) -> None:
    small = (
        [job.Ladder(2, (4, 8), 4, 0)],
        [job.Pairs("digits", rate, 8, 500, 4, 1, 0) for rate in (0.01, 0.1)],
    )
    monkeypatch.setattr(job, "configurations", lambda options: small)
    tables = []
    for arguments in ([], ["--resume"]):
        cli.run(job.main, job.Options, args=["--out", str(tmp_path), *arguments])
        tables.append((tmp_path / "table.csv").read_bytes())
    assert tables[0] == tables[1]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["config"]["preset"] == "quick" and "scikit-learn" in manifest["data"]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    assert "activation_centred" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "table.csv")
    wanted = {"dataset", "learning_rate", "repetition", "matching", "layer", "quantity"}
    assert wanted | {"measured", "stderr", "lower", "upper", "kind"} <= set(table.columns)
    assert np.isfinite(table["measured"]).all()


def test_bad_options_end_with_a_message(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(job.main, job.Options, args=["--dataset", "moons"])
    assert end.value.code == 2
    assert "moons" in capsys.readouterr().err
