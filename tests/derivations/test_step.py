"""The machinery of otlmc.derivations.step."""

from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp

from otlmc.derivations import Step, render, run

TRUE = Step("Two", "1 + 1 = 2", "symbolic", lambda: True, note="By counting.")
FALSE = Step("Three", "1 + 1 = 3", "numeric", lambda: False)
CITED = Step("Birkhoff", r"W_p^p = \min_\pi", "cited", note="Birkhoff (1946).")


@dataclass
class Page:
    STEPS: tuple[Step, ...]
    TITLE: str = "A sum"
    STATEMENT: str = "For all $n$, $n + n = 2n$."


def test_outcomes_say_what_held() -> None:
    outcomes = run((TRUE, FALSE, CITED))
    assert [row.held for row in outcomes.rows] == [True, False, None]
    assert [row.step for row in outcomes.rows] == [TRUE, FALSE, CITED]
    assert outcomes.failed == (FALSE,)
    lines = str(outcomes).splitlines()
    assert len(lines) == 3
    assert len({line.index(" s", 30) for line in lines}) == 1
    assert "FAILS" in lines[1]


def test_each_check_runs_once() -> None:
    calls = []
    step = Step("Once", "1", "numeric", lambda: not calls.append(None))
    render(Page((step,)))
    assert len(calls) == 1


def test_numpy_truth_values_count() -> None:
    less = Step("NumPy", "1 < 2", "numeric", lambda: np.float64(1) < 2)  # type: ignore[arg-type]
    assert less.holds() is True


@pytest.mark.parametrize("verdict", [sp.Symbol("x") > 0, 1, None, "yes"])
def test_an_undecided_check_is_refused(verdict: object) -> None:
    step = Step("Open", "x > 0", "symbolic", lambda: verdict)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'Open' must return a bool"):
        step.holds()


def test_an_error_in_a_check_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run((Step("Wrong", "1/0", "numeric", lambda: bool(1 / 0)),))


def test_render_prints_statement_and_steps() -> None:
    text = render(Page((TRUE, CITED)))
    head = ":::{prf:proposition} A sum\n:label: a-sum\n\nFor all $n$, $n + n = 2n$.\n:::\n\n"
    assert text.startswith(head)
    assert "**Step 1. Two** {bdg-success}`symbolic`\n\n$$\n1 + 1 = 2\n$$\n\nBy counting." in text
    assert "**Step 2. Birkhoff** {bdg-secondary}`cited`" in text


def test_render_refuses_a_step_that_fails() -> None:
    with pytest.raises(RuntimeError, match=r"A sum: the check fails of 'Three'"):
        render(Page((TRUE, FALSE)))


def test_bad_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`kind` must be one of"):
        Step("Guess", "1 = 2", "guessed", lambda: True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must have a `check`"):
        Step("Two", "1 + 1 = 2", "symbolic")
    with pytest.raises(ValueError, match=r"must have no `check`"):
        Step("Two", "1 + 1 = 2", "cited", lambda: True, note="Euclid")
    with pytest.raises(ValueError, match=r"must name its source"):
        Step("Two", "1 + 1 = 2", "cited")
