"""What the pages of results share; the kernels that run them find it by conf.py."""

import json
from pathlib import Path

import pandas as pd
from IPython.display import HTML

ROOT = Path(__file__).parents[1]


def load(folder: str) -> pd.DataFrame:
    """Read the table of a run, given from the root of the repository, and say what made it."""
    manifest = json.loads((ROOT / folder / "manifest.json").read_text())
    config = manifest["config"]
    print(
        f"preset {config['preset']}, seed {config['seed']}, {manifest['device']}, "
        f"{manifest['wall_seconds']:.0f} s"
    )
    return pd.read_csv(ROOT / folder / "table.csv")


def show(frame: pd.DataFrame, title: str = "", *, digits: int = 3) -> HTML:
    """Show a table with a line above it."""
    number = f"{{:.{digits}g}}".format
    table = frame.to_html(index=False, float_format=number, na_rep="", border=0)
    return HTML((f"<p>{title}</p>" if title else "") + table)
