"""The layers of CONTRIBUTING.md: imports go down only, wherever in a file they stand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A unit may import its own parts and the units of the layers below it.
LAYERS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"_check", "_files", "_modules", "_text", "_workers", "_cluster"},
            {"results", "marginals"},
            {"laws", "kernels", "data", "matching.spec"},
            {"wasserstein"},
            {"bounds", "networks", "matching.permutation"},
            {"matching", "derivations"},
            {"connectivity", "certificate"},
            {"plotting", "pairs", "prediction", "references", "sweep"},
            {"cli"},
        ),
    )
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}


def unit_of(module: str) -> str | None:
    """Return the unit that ``module`` belongs to: ``None`` outside otlmc, ``""`` for its root."""
    package, *path = module.split(".")
    if package != "otlmc":
        return None
    if ".".join(path[:2]) in RANK:
        return ".".join(path[:2])
    return path[0] if path else ""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


def imports(path: Path) -> set[str]:
    """Return the absolute names of all modules that the file imports, at any depth of its code."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            submodules = {name for name in names if is_module(name)}
            found |= submodules
            if len(submodules) < len(names):
                found.add(base)
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def breach(importer: str, imported: str) -> str | None:
    """Say what is wrong with the import of a module of otlmc by another, if anything is."""
    upper, lower = unit_of(importer), unit_of(imported)
    if lower is None or upper is None or upper in ("", lower):
        return None
    for unit in (upper, lower):
        if unit not in RANK:
            return f"`{unit or 'otlmc'}` stands in no layer ({importer} imports {imported})"
    # The types of specifications and permutations lie below the package that carries them.
    if lower in ("matching.spec", "matching.permutation") and upper == "matching":
        return None
    if upper == "sweep" and lower == "networks":
        return f"{importer} imports {imported}: a sweep knows nothing of networks"
    if RANK[upper] <= RANK[lower]:
        return f"{importer} imports {imported}: imports go down only"
    return None


@pytest.mark.parametrize("path", files("otlmc"), ids=module_name)
def test_imports_go_down(path: Path) -> None:
    assert [b for name in sorted(imports(path)) if (b := breach(module_name(path), name))] == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("otlmc.results", "otlmc.laws"),
        ("otlmc.laws", "otlmc.bounds.two_sample"),
        ("otlmc.networks.mlp", "otlmc.matching.weight"),
        ("otlmc.matching.permutation", "otlmc.matching.weight"),
        ("otlmc.sweep", "otlmc.networks.mlp"),
        ("otlmc.plotting", "otlmc.sweep"),
        ("otlmc.bounds", "otlmc"),
        ("otlmc.bounds", "otlmc.misplaced"),
    ],
)
def test_a_breach_is_seen(importer: str, imported: str) -> None:
    assert breach(importer, imported) is not None


def test_relative_and_local_imports_are_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    module = tmp_path / "otlmc" / "bounds" / "deep.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "from .. import laws\nfrom . import two\ndef f():\n    import matplotlib.axes\n"
    )
    (tmp_path / "otlmc" / "laws.py").touch()
    (module.parent / "two.py").touch()
    assert imports(module) == {"otlmc.laws", "otlmc.bounds.two", "matplotlib.axes"}


def test_only_plotting_imports_matplotlib() -> None:
    drawing = {
        module_name(path)
        for folder in ("otlmc", "simulations", "validation", "benchmarks")
        for path in files(folder)
        if any(name.split(".")[0] in ("matplotlib", "pylab") for name in imports(path))
    }
    assert {name for name in drawing if unit_of(name) != "plotting"} == set()


@pytest.mark.parametrize("folder", ["otlmc", "simulations", "validation", "benchmarks"])
def test_the_programs_stand_apart(folder: str) -> None:
    others = {"simulations", "validation", "benchmarks", "tests"} - {folder}
    meetings = {
        (module_name(path), name)
        for path in files(folder)
        for name in imports(path)
        if name.split(".")[0] in others
    }
    assert meetings == set()
