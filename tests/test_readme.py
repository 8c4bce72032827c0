"""The README says what the program printed, and its example prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import pandas as pd

from simulations.support_dimension import summarise

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_table_is_the_committed_one() -> None:
    table = pd.read_csv(ROOT / "simulations/results/support_dimension/digits/table.csv")
    for row in summarise(table).itertuples(index=False):
        assert "| " + " | ".join(f"{value:.4g}" for value in row) + " |" in README


def test_example_prints_what_is_shown() -> None:
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown
