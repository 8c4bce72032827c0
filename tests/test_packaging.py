"""What is shipped: the wheel's contents, the pinned versions, and what an import drags in."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import otlmc

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_library_and_nothing_else(wheel: set[str]) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "otlmc").rglob("*.py")}
    information = f"otlmc-{otlmc.__version__}.dist-info/"
    shipped = {name for name in wheel if not name.startswith(information)}
    assert shipped == sources | {"otlmc/py.typed"}
    assert {f"{information}METADATA", f"{information}licenses/LICENSE"} <= wheel


def test_the_version_is_said_once() -> None:
    assert PROJECT["version"] == otlmc.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {otlmc.__version__}\n" in citation
    assert f"\n## [{otlmc.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match.group()).lower()


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.!]+", pin)] == []
    declared = {name_of(requirement) for requirement in requires("otlmc") or ()}
    assert declared - {name_of(pin) for pin in pins} == set()


def test_the_import_is_light() -> None:
    program = (
        "import sys, otlmc; print(*{'matplotlib', 'sklearn', 'pandas', 'sympy'} & {*sys.modules})"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
