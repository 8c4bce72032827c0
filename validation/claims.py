"""What a paper claims, beside what was measured here: the lines of the report."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

Verdict = Literal["reproduced", "not reproduced", "not comparable"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a paper and its verdict.

    Every program of this package has a function ``claims(table) -> list[Claim]`` that reads them
    off its own table, so that the report and the pages of the documentation are built from the
    committed tables alone.
    """

    paper: str
    """Key of otlmc/references.bib."""
    where: str
    """Figure, table or section of the paper."""
    statement: str
    """The claim, in one sentence of ours."""
    published: str
    """The published value, or "no number"."""
    measured: str
    """Our value with its uncertainty, formatted from the table."""
    verdict: Verdict
    reason: str = ""
    """Why the verdict is not simply "reproduced"."""

    def __post_init__(self) -> None:
        if self.verdict not in get_args(Verdict):
            raise ValueError(f"`verdict` must be one of {get_args(Verdict)}, got {self.verdict!r}")


def verdict(holds: bool) -> Verdict:
    """Return the verdict on a claim that can be compared.

    Examples
    --------
    >>> verdict(2 < 1)
    'not reproduced'
    """
    return "reproduced" if holds else "not reproduced"


def to_frame(claims: Iterable[Claim]) -> pd.DataFrame:
    """Return the claims as a table, one row each."""
    return pd.DataFrame([asdict(claim) for claim in claims])


def spread(values: Iterable[float]) -> str:
    """Format the mean of repetitions with its standard error.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0]), spread([0.25])
    ('2 ± 0.58 (n = 3)', '0.25 (n = 1)')
    """
    series = pd.Series(list(values), dtype=float)
    error = f" ± {series.sem():.2g}" if len(series) > 1 else ""
    return f"{series.mean():.3g}{error} (n = {len(series)})"


def published(name: str) -> pd.DataFrame:
    """Read the published values ``validation/published/<name>.csv``.

    Examples
    --------
    >>> published("ferbach2024_figure2")["learning_rate"].nunique()
    6
    """
    return pd.read_csv(Path(__file__).parent / "published" / f"{name}.csv")
