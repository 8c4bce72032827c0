"""What is shipped: the wheel's contents, its metadata and the pinned versions."""

import email
import re
import tarfile
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import otlmc

ROOT = Path(__file__).parents[1]
INFORMATION = f"otlmc-{otlmc.__version__}.dist-info"


def build_wheel(source: Path, folder: Path) -> Path:
    (path,) = WheelBuilder(str(source)).build(directory=str(folder), versions=["standard"])
    return Path(path)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "otlmc").rglob("*.py")}
    names = names_in(wheel)
    shipped = {name for name in names if not name.startswith(INFORMATION)}
    assert shipped == sources | {"otlmc/py.typed", "otlmc/references.bib"}
    assert f"{INFORMATION}/licenses/LICENSE" in names


def test_the_metadata_are_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        fields = email.message_from_bytes(archive.read(f"{INFORMATION}/METADATA"))
    assert (fields["Name"], fields["Version"]) == ("otlmc", otlmc.__version__)
    assert (fields["License-Expression"], fields["Requires-Python"]) == ("MIT", ">=3.11")
    assert fields["Description-Content-Type"] == "text/markdown"
    assert str(fields.get_payload()).strip().startswith("# otlmc")
    assert "Typing :: Typed" in fields.get_all("Classifier", [])


def test_the_source_archive_builds_the_same_wheel(tmp_path: Path, wheel: Path) -> None:
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"otlmc-{otlmc.__version__}"
    folders = sorted(path.name for path in unpacked.iterdir() if path.is_dir())
    programs = ["benchmarks", "docs", "examples", "otlmc", "simulations", "tests", "validation"]
    assert folders == programs
    assert names_in(build_wheel(unpacked, tmp_path / "again")) == names_in(wheel)


def test_the_version_is_said_once() -> None:
    assert version("otlmc") == otlmc.__version__
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
