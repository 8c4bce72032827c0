"""Trained mean-field networks: matching helps, wider is nearer, and the certificate holds."""

import numpy as np
import pandas as pd
import pytest

from otlmc import cli
from otlmc.networks.mean_field import TANH, Teacher, train_mean_field
from simulations import mean_field as job

SMALL = [
    job.Ladder(training, 3, (8, 16, 64), 4, 0.2, 10.0, 1) for training in ("noiseless", "noisy")
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.DataFrame(
        [{"training": c.training, **row} for c in SMALL for row in job.trained_pairs(c)]
    )


def means(table: pd.DataFrame) -> pd.DataFrame:
    rungs = table.dropna(subset="width")
    return rungs.pivot_table(index=["training", "width"], columns="quantity", values="measured")


def test_deviation_stays_below_the_certificate(table: pd.DataFrame) -> None:
    proved = table[table["kind"] == "upper"]
    assert len(proved) == 6 and set(proved["quantity"]) == {"deviation"}
    assert (proved["measured"] < proved["upper"]).all()  # exact: no standard errors needed
    constant = 4 / (3 * np.sqrt(3)) / 8
    np.testing.assert_allclose(proved["upper"], constant * means(table)["W_2^2"], rtol=1e-10)


def test_training_learns_and_matching_connects(table: pd.DataFrame) -> None:
    wide = means(table)
    assert (wide["loss of the ends"] < wide["loss of the start"] / 3).all()
    assert (wide["deviation"] < wide["deviation, not matched"] / 2).all()


def test_deviation_and_distance_fall_with_the_width(table: pd.DataFrame) -> None:
    fits = table[table["width"].isna()]
    trained = fits[fits["quantity"].isin(["exponent of deviation", "exponent of W_2^2"])]
    assert len(trained) == 4 and (trained["high"] < 0).all()
    assert set(fits["kind"]) == {"prediction", "measurement"}


def test_noiseless_networks_of_one_start_differ_by_their_examples_alone() -> None:
    """With a step that shrinks, the examples matter less: neurons follow the mean-field flow."""
    rng = np.random.default_rng(2)
    teacher = Teacher.draw(3, rng=rng)
    start = np.repeat(rng.standard_normal((1, 32, 3)), 8, axis=0)
    spread = []
    for step in (0.4, 0.1, 0.025):
        end = train_mean_field(start, teacher, neuron=TANH, step=step, time=10.0, rng=3)
        spread.append(end.var(axis=0, ddof=1).mean())
    # variance of order `step`: a factor of 4 each time
    ratios = np.array(spread[:-1]) / spread[1:]
    assert ((ratios > 2) & (ratios < 8)).all()


def test_program_writes_its_outputs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(job, "configurations", lambda options: SMALL)
    cli.run(job.main, cli.Options, args=["--out", str(tmp_path)])
    assert {"table.csv", "manifest.json", "figure.png", "figure.pdf"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert "exponent of deviation" in capsys.readouterr().out
