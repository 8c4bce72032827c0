"""Read the claims of the papers off a folder of result tables, into one report.

Every table stands in ``<program>/<run>/table.csv``, as in ``validation/results``, or in
``<program>/table.csv``, as ``validation.all`` writes them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from otlmc import cli
from otlmc._files import replacing
from otlmc.data import DataError
from validation import covariance_matching, strong, width_prediction
from validation.claims import Claim, to_frame
from validation.pairwise import EXPERIMENTS as PAIRWISE
from validation.simultaneous import EXPERIMENTS as SIMULTANEOUS

CLAIMS: dict[str, Callable[[pd.DataFrame], list[Claim]]] = {
    "covariance_matching": covariance_matching.claims,
    "strong": strong.claims,
    **{f"pairwise/{name}": experiment.claims for name, experiment in PAIRWISE.items()},
    **{f"simultaneous/{name}": experiment.claims for name, experiment in SIMULTANEOUS.items()},
    "width_prediction": width_prediction.claims,
}
"""What reads the claims off the tables of a program, or of one of its experiments."""
COMMITTED = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the report."""

    results: Path = COMMITTED
    """Folder of the tables."""
    out: Path = Path("report.md")
    """The report, in Markdown."""


def collect(results: Path) -> pd.DataFrame:
    """Return the claims of all tables below a folder, one row each.

    Raises
    ------
    FileNotFoundError
        If there is no table of a known program.
    DataError
        If a table is damaged or another program's.
    """
    frames = []
    for program, claims in CLAIMS.items():
        folder = results / program
        for path in sorted([*folder.glob("table.csv"), *folder.glob("*/table.csv")]):
            if path.parent.name == "tasks":  # the same table, as the sweep wrote it
                continue
            try:
                frame = to_frame(claims(pd.read_csv(path)))
            except (ValueError, KeyError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise DataError(f"{path} is no table of {program} ({reason})") from error
            frame.insert(0, "table", str(path.relative_to(results)))
            frames.append(frame)
    if not frames:
        wanted = ", ".join(f"{program}/*/table.csv" for program in CLAIMS)
        raise FileNotFoundError(f"`results`: no table in {results}; expected one of {wanted}")
    return pd.concat(frames, ignore_index=True)


def markdown(found: pd.DataFrame, figures: str) -> str:
    """Return the report: how many claims were reproduced, then every claim, table by table.

    ``figures`` is the way from the report to the folder of the tables.
    """
    counts = ", ".join(f"{n} {verdict}" for verdict, n in found["verdict"].value_counts().items())
    parts = [f"# The claims of the papers\n\n{len(found)} lines: {counts}.\n"]
    for table, rows in found.groupby("table", sort=False):
        run = Path(str(table)).parent
        parts.append(f"## [{run}]({figures}/{table})\n\n![]({figures}/{run}/figure.png)\n")
        parts.append("| claim | published | here | verdict |\n|---|---|---|---|")
        for row in rows.itertuples():
            verdict = f"{row.verdict}: {row.reason}" if row.reason else row.verdict
            cells = (f"{row.statement} ({row.where})", row.published, row.measured, verdict)
            parts.append("| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def main(options: Options) -> None:
    """Write one report of all claims, with the figures of the tables."""
    found = collect(options.results)
    figures = os.path.relpath(options.results, options.out.parent)
    with replacing(options.out) as path:
        path.write_text(markdown(found, figures), encoding="utf-8")
    print(found["verdict"].value_counts().to_string())
    print(f"written to {options.out}")


if __name__ == "__main__":
    cli.run(main, Options)
