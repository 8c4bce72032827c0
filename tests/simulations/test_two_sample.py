"""The campaign of random cases and the table of how tight the bounds are."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from otlmc import bounds, cli
from simulations import two_sample as job


def test_cases_depend_on_their_number_alone() -> None:
    whole = list(job.campaign(job.Batch(first=0, cases=6, repetitions=3, seed=4)))
    part = list(job.campaign(job.Batch(first=3, cases=3, repetitions=3, seed=4)))
    assert whole[3:] == part
    assert [row["case"] for row in whole] == list(range(6))
    assert whole != list(job.campaign(job.Batch(first=0, cases=6, repetitions=3, seed=5)))


@pytest.mark.parametrize("family", job.FAMILIES)
def test_every_family_has_the_spectrum_that_is_asked_for(family: str) -> None:
    rng = np.random.default_rng(0)
    pool = job.quantile_marginals()
    law, metric = job.random_law(family, np.array([3.0, 2.0, 0.5]), pool, rng)
    assert law.spectrum == pytest.approx([3.0, 2.0, 0.5])
    assert (metric is None) == (family != "Gaussian in a metric")
    row = job.compare(law, 9, 2, 40, rng, metric)
    assert row.kind == "two-sided"
    assert row.holds()


def test_campaign_finds_a_bound_that_is_wrong(monkeypatch) -> None:
    """An upper bound 30 % too low does not go unseen."""
    honest = pd.DataFrame(job.campaign(job.Batch(first=0, cases=60, repetitions=24, seed=0)))
    honest["repetitions"] = 24
    assert job.verdict(honest)["violations"] == 0
    wrong = honest.assign(upper=honest["upper"] * 0.7)
    assert job.verdict(wrong)["violations"] > 10
    assert (job.excess(wrong) >= job.excess(honest)).all()


def test_bracket_of_the_kernel_and_of_a_line() -> None:
    line = job.Bracket("d = 1", 1, 0.0, 32, 400, 0)
    kernel = job.Bracket("digits kernel", 60, None, 32, 20, 0)
    for config in (line, kernel):
        (row,) = job.bracket(config, dataset="digits", data_dir=None)
        slack = 5 * row["stderr"]
        assert row["lower"] - slack <= row["measured"] <= row["upper"] + slack < row["random"]
    (row,) = job.bracket(line, dataset="digits", data_dir=None)
    assert row["upper"] == pytest.approx(float(bounds.upper(job.Gaussian(1), 32)))


def test_full_preset_has_ten_thousand_cases() -> None:
    batches, brackets = job.configurations(job.Options(preset="full"))
    numbers = [i for batch in batches for i in range(batch.first, batch.first + batch.cases)]
    assert len(numbers) >= 10_000 and len(set(numbers)) == len(numbers)
    assert {config.width for config in brackets} == {64, 1024, 4096}
    assert len(set(brackets)) == len(brackets)


def test_program_writes_its_outputs(tmp_path, monkeypatch, capsys) -> None:
    small = (
        [job.Batch(first, 5, 8, 0) for first in (0, 5)],
        [job.Bracket("d = 2", 2, 0.0, width, 4, 0) for width in (8, 16)],
    )
    monkeypatch.setattr(job, "configurations", lambda options: small)
    tables = []
    for arguments in ([], ["--resume"]):
        cli.run(job.main, job.Options, args=["--out", str(tmp_path), *arguments])
        tables.append((tmp_path / "table.csv").read_bytes())
    assert tables[0] == tables[1]
    found = json.loads((tmp_path / "manifest.json").read_text())["campaign"]
    assert found["cases"] == 10 and found["violations"] == 0
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    table = pd.read_csv(tmp_path / "table.csv")
    assert (table["part"] == "campaign").sum() == 10
    assert {"law", "dim", "width", "p", "measured", "stderr", "lower", "upper"} <= set(table)
    assert "upper / measured" in " ".join(capsys.readouterr().out.split())


RESULTS = Path(__file__).parents[2] / "simulations/results/two_sample/mnist"


def test_committed_campaign_is_what_its_manifest_says_and_what_the_code_computes() -> None:
    table = pd.read_csv(RESULTS / "table.csv")
    manifest = json.loads((RESULTS / "manifest.json").read_text())
    cases = table[table["part"] == "campaign"].reset_index(drop=True)
    assert job.verdict(cases) == manifest["campaign"]
    assert len(cases) >= 10_000
    assert manifest["campaign"]["violations"] == 0
    assert (job.excess(table) <= job.STANDARD_ERRORS).all()
    fresh = pd.DataFrame(job.campaign(job.Batch(first=0, cases=20, repetitions=64, seed=0)))
    for column in ("measured", "lower", "upper"):
        assert cases[column][:20].to_numpy() == pytest.approx(fresh[column].to_numpy(), rel=1e-4)
