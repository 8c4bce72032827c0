"""The report of all claims: read off the committed tables."""

import re
from pathlib import Path

import pytest

from validation import report


def test_every_committed_table_has_its_claims() -> None:
    found = report.collect(report.COMMITTED)
    tables = {
        str(path.relative_to(report.COMMITTED)) for path in report.COMMITTED.rglob("table.csv")
    }
    assert set(found["table"]) == tables
    assert found["published"].str.len().gt(0).all()


def test_the_report_holds_every_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.main(report.Options(out=tmp_path / "report.md"))
    text = (tmp_path / "report.md").read_text()
    found = report.collect(report.COMMITTED)
    assert f"{len(found)} lines" in text
    assert text.count("\n| ") == len(found) + found["table"].nunique()
    figures = re.findall(r"!\[\]\((.+)\)", text)
    assert len(figures) == found["table"].nunique()
    assert all((tmp_path / figure).exists() for figure in figures)
    assert "reproduced" in capsys.readouterr().out


def test_an_empty_folder_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="covariance_matching"):
        report.collect(tmp_path)


def test_the_table_of_a_sweep_is_not_read_beside_that_of_its_program(tmp_path: Path) -> None:
    source = report.COMMITTED / "simultaneous" / "masks" / "digits" / "table.csv"
    for folder in ("masks", "masks/tasks"):
        (tmp_path / "simultaneous" / folder).mkdir(parents=True)
        (tmp_path / "simultaneous" / folder / "table.csv").write_bytes(source.read_bytes())
    assert set(report.collect(tmp_path)["table"]) == {"simultaneous/masks/table.csv"}
