"""Every step of every derivation holds."""

import importlib
import pkgutil

import pytest

from otlmc import derivations
from otlmc.derivations import Step

MODULES = [
    importlib.import_module(f"otlmc.derivations.{module.name}")
    for module in pkgutil.iter_modules(derivations.__path__)
    if module.name != "step"
]
STEPS = [
    pytest.param(step, id=f"{module.__name__.rpartition('.')[2]}-{place}")
    for module in MODULES
    for place, step in enumerate(module.STEPS, 1)
]


@pytest.mark.parametrize("step", STEPS)
def test_step_holds(step: Step) -> None:
    assert step.holds() is not False


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_derivation_is_complete(module: derivations.Derivation) -> None:
    assert module.TITLE
    assert module.STATEMENT
    assert any(step.check is not None for step in module.STEPS)
