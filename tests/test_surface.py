"""What `import otlmc` offers, and what it drags in."""

import subprocess
import sys
import types

import pytest

import otlmc

HEAVY = ("matplotlib", "ot", "pandas", "scipy", "sklearn", "sympy", "torch")
HEAVY += ("scipy.optimize", "scipy.stats")


def loaded_by(program: str) -> set[str]:
    """Return which of the heavy packages a fresh interpreter has loaded after the program."""
    program = f"import sys\n{program}\nprint(*{{*{HEAVY}}} & {{*sys.modules}})"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_the_import_is_light() -> None:
    assert loaded_by("import otlmc; dir(otlmc)") == set()


def test_theory_needs_no_torch_and_networks_no_plots() -> None:
    names = [name for name in otlmc.__all__ if name not in ("plotting", "sweep", "wasserstein")]
    program = "import otlmc\n" + "\n".join(f"otlmc.{name}" for name in names)
    assert loaded_by(program) == {"scipy", "torch"}
    assert loaded_by("import otlmc; otlmc.min_width, otlmc.laws, otlmc.kernels") == {"scipy"}


def test_the_surface_is_small_and_complete() -> None:
    assert len(otlmc.__all__) <= 16
    assert list(otlmc.__all__) == sorted(otlmc.__all__)
    assert set(otlmc.__all__) <= set(dir(otlmc))
    for name in otlmc.__all__:
        value = getattr(otlmc, name)
        assert isinstance(value, types.ModuleType) or callable(value)
        assert value.__name__.rpartition(".")[2] == name
        assert value.__doc__


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'otlmc' has no attribute 'mtach'"):
        getattr(otlmc, "mtach")  # noqa: B009
    with pytest.raises(ImportError, match="mtach"):
        exec("from otlmc import mtach")
