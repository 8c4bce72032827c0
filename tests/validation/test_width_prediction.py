"""Predictions across widths: how they are scored, how good they are, and the program."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_networks import gaussian, mlp

import validation
from otlmc import cli
from validation import width_prediction as job
from validation.width_claims import claims
from validation.width_routes import floor_exponent, gaussian_exponent
from validation.width_scores import METHODS, forecasts, least_widths, methods, scores

RESULTS = Path(validation.__file__).parent / "results" / "width_prediction"
RUNS = sorted(path.parent.name for path in RESULTS.glob("*/table.csv"))
QUICK = pd.read_csv(RESULTS / "digits" / "table.csv")


def planted(noise: float = 0.0, exponent: float = -0.25) -> pd.DataFrame:
    """Return a table in which every quantity is a power of the width, and the laws know it."""
    rng = np.random.default_rng(0)
    power = {"deviation": exponent, "loss barrier": 2 * exponent}
    rows = [
        dict.fromkeys(("route_1", "route_2", "wider", "narrower", "gaussian", "floor"), e)
        | {"stage": "trained", "hidden_layers": 1, "learning_rate": rate, "layer": None}
        | {"quantity": quantity, "width": width, "repetition": repetition}
        | {"measured": factor * width**e * np.exp(noise * rng.normal())}
        | {"exponent_stderr": 0.0, "noise": noise}
        for factor, rate in ((1.0, 0.1), (3.0, 0.2))
        for quantity, e in power.items()
        for width in (32, 64, 128, 256)
        for repetition in range(20 if noise else 1)
    ]
    return pd.DataFrame(rows)


def test_an_exact_law_has_exact_scores() -> None:
    found = scores(forecasts(planted()))
    assert len(found) == 4 and (found["n"] == 12).all()
    for column in ("ratio", "spread", "rank", "rank of change"):
        assert found[column].to_numpy() == pytest.approx(1.0, rel=1e-12)
    widths = least_widths(planted())
    assert len(widths) == 2 * 2 * 6 and (abs(widths["found"] - widths["target"]) <= 1).all()


def test_the_nominal_level_is_that_of_a_planted_law() -> None:
    table = planted(noise=0.1)
    # The noise is known here, estimated in a prediction: Student's quantile is the longer one.
    normal = 1.645 / 1.895
    found = scores(forecasts(table.assign(noise=0.1 * normal)))
    assert found["coverage"].to_numpy() == pytest.approx(0.9, abs=0.05)


def test_a_wrong_law_is_seen() -> None:
    table = planted()
    wrong = table.assign(wider=-0.5, narrower=-0.5)
    found = scores(forecasts(wrong)).query("quantity == 'deviation'").set_index("to")
    assert found["ratio"]["wider"] < 0.8 < 1.25 < found["ratio"]["narrower"]
    assert (found["spread"] > 1.25).all()
    compared = methods(forecasts(wrong)).set_index("method")["trained"]["deviation"]
    assert compared["wider"].idxmin() == METHODS["route 1"]
    same = compared["wider"][[METHODS["Monte Carlo"], METHODS["predicted"]]]
    assert same.nunique() == 1


def test_barriers_of_zero_have_no_ratio_but_count_in_the_interval() -> None:
    table = planted()
    gone = (table["width"] == 256) & (table["quantity"] == "loss barrier")
    table.loc[gone, "measured"] = 0.0
    table.loc[gone, ["route_1", "route_2", "wider", "narrower"]] = np.nan
    found = forecasts(table)
    barrier = found[found["quantity"] == "loss barrier"]
    assert (barrier["width"] < 256).all()
    assert (barrier.loc[barrier["target"] == 256, "covered"] == 0).all()
    assert scores(found).query("quantity == 'loss barrier'")["n"].tolist() == [6, 6]


def test_a_floor_is_found() -> None:
    n = np.array([128.0, 90, 64, 45, 32, 23, 16])
    assert floor_exponent(n, 2 * n**-0.5) == pytest.approx(-0.5, abs=0.02)
    values = 2 * n**-0.5 + 0.3
    truth = np.log((2 * 512**-0.5 + 0.3) / values[0]) / np.log(4)
    assert floor_exponent(n, values) == pytest.approx(truth, abs=0.01)


def test_gaussian_units_come_together_more_slowly_in_more_dimensions() -> None:
    slopes = [
        gaussian_exponent(mlp(d, 64, 2), mlp(d, 64, 2, seed=1), gaussian(400, d))[0]
        for d in (2, 8, 32)
    ]
    assert slopes[0] < slopes[1] < slopes[2] < 0


@pytest.mark.parametrize("name", RUNS)
def test_certificates_hold_and_theorems_hold_on_average(name: str) -> None:
    table = pd.read_csv(RESULTS / name / "table.csv")
    trained = table[(table["stage"] == "trained") & table["upper"].notna()]
    assert set(trained["quantity"]) == {"deviation", "loss barrier"}
    assert (trained["measured"] <= trained["upper"] * (1 + 1e-6)).all()
    initial = table[(table["stage"] == "initial") & (table["quantity"] == job.PREACTIVATIONS)]
    assert set(initial["kind"]) == {"upper", "prediction"}
    means = initial.groupby(["hidden_layers", "width"])[["measured", "upper"]].mean()
    assert (means["measured"] < means["upper"]).all()


@pytest.mark.parametrize("name", RUNS)
def test_the_prediction_is_better_than_none(name: str) -> None:
    found = forecasts(pd.read_csv(RESULTS / name / "table.csv"))
    compared = methods(found).set_index("method")["trained"]
    for quantity in ("deviation", "loss barrier"):
        for to in ("wider", "narrower"):
            spread = compared[quantity][to]
            assert spread[METHODS["predicted"]] < spread[METHODS["no change"]]
    trained = found[(found["stage"] == "trained") & (found["target"] != found["width"])]
    assert 0.8 <= trained["covered"].mean() <= 1.0


@pytest.mark.parametrize("name", RUNS)
def test_wider_networks_deviate_less_and_the_opposite_is_seen(name: str) -> None:
    table = pd.read_csv(RESULTS / name / "table.csv")
    assert claims(table)[0].verdict == "reproduced"
    reversed_widths = table.assign(width=1 / table["width"])
    assert {claim.verdict for claim in claims(reversed_widths)} == {"not reproduced"}


def test_a_pair_trained_here_is_the_committed_one() -> None:
    config = dataclasses.replace(job.configurations(job.Options())[0], repetitions=1)
    rows = pd.DataFrame(job.measured(config, data_dir=None, device="cpu"))
    keys = ["hidden_layers", "width", "learning_rate", "repetition"]
    chosen = QUICK[(QUICK[keys] == [1, config.width, config.learning_rate, 0]).all(axis=1)]
    keys = ["stage", "quantity"]
    both = rows.merge(chosen, on=keys, suffixes=("", "_committed"))
    assert len(both) == len(chosen) == 6
    for column, tolerance in (("measured", 0.02), ("wider", 0.1)):
        assert both[column].to_numpy() == pytest.approx(
            both[f"{column}_committed"].to_numpy(), rel=tolerance, nan_ok=True
        )


def test_program_writes_and_resumes_the_same_table(tmp_path, monkeypatch, capsys) -> None:
    small = [
        job.Networks("digits", layers, width, 0.03, 200, 4, 1, layers == 1, 0)
        for layers in (1, 3)
        for width in (24, 32)
    ]
    monkeypatch.setattr(job, "configurations", lambda options: small)
    monkeypatch.setattr(job, "MATCHED", 300)
    monkeypatch.setattr(job, "KERNEL", 60)
    tables = []
    for arguments in ([], ["--resume"]):
        cli.run(job.main, job.Options, args=["--out", str(tmp_path), *arguments])
        tables.append((tmp_path / "table.csv").read_bytes())
    assert tables[0] == tables[1]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert "coverage" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(table) == 2 * (3 + 3) + 2 * 5


def test_presets() -> None:
    quick = job.configurations(job.Options())
    full = job.configurations(job.Options(preset="full", repetitions=1))
    for networks in (quick, full):
        assert {n.hidden_layers for n in networks} == {1, 3}
        assert all(n.initial == (n.learning_rate == 0.003) for n in networks)
        assert len(set(networks)) == len(networks)
    assert {n.repetitions for n in quick} == {2} and {n.repetitions for n in full} == {1}
    assert job.configurations(job.Options(dataset="mnist"))[0].batch_size == 500


def test_bad_options_end_with_a_message(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(job.main, job.Options, args=["--repetitions", "0"])
    assert end.value.code == 2 and "--repetitions" in capsys.readouterr().err
