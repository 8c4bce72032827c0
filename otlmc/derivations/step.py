"""The steps of a proof as data: the tests run them and the documentation prints them.

A derivation is a module with three names, ``TITLE``, ``STATEMENT`` (MyST Markdown) and ``STEPS``.
Formula and check stand next to each other in every step, so that they cannot drift apart.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from otlmc import _check

Kind = Literal["symbolic", "interval", "numeric", "cited"]

SHOWN: dict[Kind, str] = {
    "symbolic": "{bdg-success}`symbolic`",
    "interval": "{bdg-success}`interval arithmetic`",
    "numeric": "{bdg-info}`numeric`",
    "cited": "{bdg-secondary}`cited`",
}


@dataclass(frozen=True)
class Step:
    r"""One step of a derivation.

    Attributes
    ----------
    title : str
        What the step does, in a few words.
    claim : str
        The formula that the step establishes, in LaTeX without dollar signs.
    kind : {"symbolic", "interval", "numeric", "cited"}
        How it is checked: as an identity or inequality in symbols; over whole ranges in interval
        arithmetic; at sample points, which supports a claim and does not prove it; or not at all,
        because it stands in the literature.
    check : callable or None
        Returns whether the claim holds; ``None`` exactly for cited steps.
    note : str
        The argument in words (MyST Markdown). A cited step names its source here.

    Raises
    ------
    ValueError
        If the kind is unknown, a cited step has a check or no source, or another step no check.

    Examples
    --------
    >>> import sympy as sp
    >>> t = sp.Symbol("t")
    >>> step = Step("Midpoint", r"\max_t t(1-t) = \tfrac14", "symbolic",
    ...             lambda: sp.maximum(t * (1 - t), t) == sp.Rational(1, 4))
    >>> step.holds()
    True
    """

    title: str
    claim: str
    kind: Kind
    check: Callable[[], bool] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _check.one_of("kind", self.kind, get_args(Kind))
        if (self.kind == "cited") != (self.check is None):
            wanted = "no `check`" if self.kind == "cited" else "a `check`"
            raise ValueError(f"the {self.kind} step {self.title!r} must have {wanted}")
        if self.kind == "cited" and not self.note:
            raise ValueError(f"the cited step {self.title!r} must name its source in `note`")

    def holds(self) -> bool | None:
        """Run the check; ``None`` for a cited step, which has none.

        Raises
        ------
        TypeError
            If the check returns anything but a truth value: an undecided SymPy relation, say.
        """
        if self.check is None:
            return None
        verdict = self.check()
        if not isinstance(verdict, bool | np.bool_):
            raise TypeError(f"the check of {self.title!r} must return a bool, got {verdict!r}")
        return bool(verdict)


class Derivation(Protocol):
    """What a module of derivations holds."""

    TITLE: str
    STATEMENT: str
    STEPS: tuple[Step, ...]


@dataclass(frozen=True)
class Outcome:
    """A step and what its check said; ``held`` is ``None`` where there was nothing to run."""

    step: Step
    held: bool | None
    seconds: float


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all steps of a derivation, in their order."""

    rows: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Step, ...]:
        """The steps whose check did not hold."""
        return tuple(row.step for row in self.rows if row.held is False)

    def __str__(self) -> str:
        """Print as a small table."""
        width = max((len(row.step.title) for row in self.rows), default=0)
        verdict = {True: "holds", False: "FAILS", None: "-"}
        return "\n".join(
            f"{place:>3}  {row.step.title:<{width}}  {row.step.kind:<8}  "
            f"{verdict[row.held]:<5}  {row.seconds:6.2f} s"
            for place, row in enumerate(self.rows, 1)
        )


def run(steps: Iterable[Step]) -> Outcomes:
    r"""Run the checks of ``steps`` and return what they said.

    Examples
    --------
    >>> steps = (Step("Sum", "1 + 1 = 2", "symbolic", lambda: 1 + 1 == 2),
    ...          Step("Birkhoff", r"W_p^p = \min_\pi", "cited", note="Birkhoff (1946)"))
    >>> print(run(steps))
      1  Sum       symbolic  holds    0... s
      2  Birkhoff  cited     -        0... s
    """
    rows = []
    for step in steps:
        start = time.perf_counter()
        held = step.holds()
        rows.append(Outcome(step, held, time.perf_counter() - start))
    return Outcomes(tuple(rows))


def render(derivation: Derivation) -> str:
    """Run a derivation and return it as MyST Markdown: the statement, then every step.

    Parameters
    ----------
    derivation : module
        A module with ``TITLE``, ``STATEMENT`` and ``STEPS``.

    Returns
    -------
    str
        Text for a page that loads sphinx-design and sphinx-proof. The label of the proposition is
        its title in lower case, with hyphens: "Mean bound" is ``{prf:ref}`mean-bound```.

    Raises
    ------
    RuntimeError
        If a check fails: a page never prints a step that does not hold.
    """
    failed = run(derivation.STEPS).failed
    if failed:
        titles = ", ".join(repr(step.title) for step in failed)
        raise RuntimeError(f"{derivation.TITLE}: the check fails of {titles}")
    label = re.sub(r"[^a-z0-9]+", "-", derivation.TITLE.lower()).strip("-")
    parts = [
        f":::{{prf:proposition}} {derivation.TITLE}\n:label: {label}\n\n"
        f"{derivation.STATEMENT.strip()}\n:::"
    ]
    for place, step in enumerate(derivation.STEPS, 1):
        parts.append(f"**Step {place}. {step.title}** {SHOWN[step.kind]}")
        parts.append(f"$$\n{step.claim.strip()}\n$$")
        if step.note:
            parts.append(step.note.strip())
    return "\n\n".join(parts) + "\n"
