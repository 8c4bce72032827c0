"""All programs and one report: what is run here are stand-ins that write the committed tables."""

import shutil
from pathlib import Path

import pytest

from otlmc.sweep import SweepError
from validation import all as everything
from validation import covariance_matching, report, strong


def stand_in(name: str, *, fails: bool = False):
    """Return a program that copies its committed table, or fails."""

    def program(options) -> None:
        if fails:
            raise SweepError("1 of 2 tasks failed")
        assert options.seed == 3 and options.dataset == "digits"
        options.out.mkdir(parents=True)
        shutil.copy(report.COMMITTED / name / "digits" / "table.csv", options.out)

    return program


def test_every_program_runs_and_a_failure_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"strong": strong.Options, "covariance_matching": covariance_matching.Options}
    programs = {
        "strong": (stand_in("strong", fails=True), kinds["strong"]),
        "covariance_matching": (stand_in("covariance_matching"), kinds["covariance_matching"]),
    }
    monkeypatch.setattr(everything, "PROGRAMS", programs)
    with pytest.raises(SweepError, match="strong: 1 of 2 tasks failed"):
        everything.main(everything.Options(out=tmp_path / "out", seed=3))
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## [covariance_matching](./covariance_matching/table.csv)" in text
    assert "strong" not in text


def test_every_program_with_claims_is_run() -> None:
    assert {name.split("/")[0] for name in report.CLAIMS} <= set(everything.PROGRAMS)
    for main, options in everything.PROGRAMS.values():
        assert callable(main) and options().preset == "quick"
