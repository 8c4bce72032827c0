"""The README says what the programs printed, and names what there is."""

import contextlib
import io
import re
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from otlmc.matching.pairwise import METHODS
from simulations.support_dimension import summarise

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+\.\d+")


def rows(title: str) -> list[list[str]]:
    """The cells of the table under a title, without its head."""
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_table_is_the_committed_one() -> None:
    table = pd.read_csv(ROOT / "simulations/results/support_dimension/digits/table.csv")
    for row in summarise(table).itertuples(index=False):
        assert "| " + " | ".join(f"{value:.4g}" for value in row) + " |" in README


def test_example_prints_what_is_shown() -> None:
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    *theory, trained = printed.getvalue().splitlines()
    *theory_shown, trained_shown = shown.splitlines()
    assert theory == theory_shown
    # training differs by the round-off of a machine
    assert NUMBER.sub("", trained) == NUMBER.sub("", trained_shown)
    values, expected = ([float(v) for v in NUMBER.findall(s)] for s in (trained, trained_shown))
    assert values == pytest.approx(expected, abs=0.03)


def test_every_method_has_its_row() -> None:
    assert sorted(row[0].strip("`") for row in rows("The matching methods")) == sorted(METHODS)


@pytest.mark.parametrize("title", ["The bounds", "The matching methods"])
def test_the_modules_of_the_tables_exist(title: str) -> None:
    for *_, module in rows(title):
        import_module(f"otlmc.{module.strip('`')}")
