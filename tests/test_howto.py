"""The program in docs/howto/experiment does what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "experiment.md"


def test_the_program_runs_as_it_stands(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    folder = tmp_path / "simulations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "sphere.py").write_text(program)
    command = [sys.executable, "-m", "simulations.sphere", "--out", "found"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "written to found: figure.pdf, figure.png, manifest.json, table.csv" in done.stdout
    table = pd.read_csv(tmp_path / "found" / "table.csv")
    assert table.groupby("dim").size().to_dict() == {2: 3, 5: 3, 10: 3}
