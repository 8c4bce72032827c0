"""Citations: every name in a docstring is in the bibliography, and every result knows its own."""

import ast
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import otlmc
from otlmc import bounds, certificate, connectivity, laws, matching, references, wasserstein
from otlmc.matching.pairwise import METHODS

ROOT = Path(otlmc.__file__).parent
PLANE = laws.Gaussian(dim=2)
TWO_LAYER = bounds.TwoLayer(PLANE, lipschitz=1.0)
DEEP = bounds.DeepReLU(spectra=[[1.0, 0.5], [0.3, 0.2]], hidden_layers=2)


def names(result: object) -> list[str]:
    return list(map(str, otlmc.cite(result).references))


def sections() -> list[tuple[str, str]]:
    """Return every text of otlmc that names sources, with where it stands."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                place = f"{path.relative_to(ROOT)}:{node.name}"
                section = re.search(r"^References\n-+\n(.*?)(?:\n\n|\Z)", text, re.DOTALL | re.M)
                found += [(place, section[1])] if section else []
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reference":
                found.append(
                    (f"{path.relative_to(ROOT)}:{node.lineno}", ast.literal_eval(node.value))
                )
    return found


SECTIONS = sections()


@pytest.mark.parametrize(("place", "text"), SECTIONS, ids=[place for place, _ in SECTIONS])
def test_every_source_in_a_docstring_is_in_the_bibliography(place: str, text: str) -> None:
    found = references._parse(text)
    papers = [reference for reference in found if reference.key != "otlmc"]
    assert len(papers) >= len(re.findall(r"\(\d{4}\)", text))
    assert found
    for proof in re.findall(r"docs/(derivations/\w+)", text):
        assert (ROOT.parent / "docs" / f"{proof}.md").exists()


def test_the_bibliography_is_read_whole() -> None:
    text = (ROOT / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{(\w+),$", text, re.MULTILINE)
    entries = references._entries()
    assert list(entries) == keys
    assert len({entry.name for entry in entries.values()}) == len(keys)
    for entry in entries.values():
        assert entry.text.count("{") == entry.text.count("}")
        assert entry.named.fullmatch(entry.name)
    assert entries["ferbach2024"].name == "Ferbach et al. (2024)"
    assert entries["zhan2025"].named.search("Zhan, Li and Wu")


def test_every_bound_has_a_proof() -> None:
    cloud = laws.Empirical(PLANE.sample(64, rng=0))
    found = [
        *(bounds.upper(law, 16) for law in (PLANE, laws.Gaussian(dim=1), laws.Uniform(dim=3))),
        *(bounds.lower(law, 16) for law in (PLANE, laws.Gaussian(dim=1), laws.Gaussian(dim=9))),
        bounds.upper(cloud, 16),
        bounds.lower(cloud, 16),
        TWO_LAYER.deviation(16),
        bounds.TwoLayer(PLANE, smoothness=1.0, kink=1.0).matching_shortfall(16),
        DEEP.deviation(16),
        DEEP.matching_shortfall(16),
        bounds.DeepReLU(spectra=[[1.0, 0.5]], hidden_layers=1, matching="preactivation").deviation(
            9
        ),
    ]
    methods = {name for bound in found for name, _ in bound.candidates}
    assert methods == set(references._BOUNDS)
    for bound in found:
        assert any("docs/derivations/" in name for name in names(bound))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_of_matching_names_its_paper(method: str) -> None:
    found = [
        part for text in references._written(METHODS[method]) for part in references._parse(text)
    ]
    assert bool(found) == (method not in ("none", "brute_force"))


def test_citations_of_results() -> None:
    torch.manual_seed(0)
    nets = [nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)) for _ in range(3)]
    a, b, _ = nets
    inputs, labels = torch.randn(20, 4), torch.zeros(20, dtype=torch.int64)
    found = matching.match(a, b, inputs, method="covariance")
    covariance = "Ferbach et al. (2024): Section 5 and Figure 2"
    assert names(found) == [covariance, "otlmc"]
    report = connectivity.path(a, b, inputs, labels, permutation=found, recalibrate="repair")
    assert {covariance, "Jordan et al. (2023): REPAIR"} < set(names(report))
    assert "docs/derivations/certificate" in names(certificate.certify(a, b, inputs))[-1]
    cited = "Crisostomi et al. (2024): C²M³, for the universe"
    assert cited in names(matching.match_all(nets, reference="universe"))
    assert names(wasserstein.distance([[0.0]], [[1.0]]))[0] == "Birkhoff (1946): permutations"
    table = names(bounds.published.compare(TWO_LAYER, 0.25))
    theorems = [f"Ferbach et al. (2024): Theorem {number}" for number in ("3.1", "5.2", "5.3")]
    assert table == [*theorems, "Entezari et al. (2022)", "Zhan et al. (2025)", "otlmc"]
    rate = wasserstein.fit_rate([8, 16, 32], [[1.0, 1.1], [0.5, 0.6], [0.2, 0.3]])
    assert names(rate) == ["otlmc"]


def test_a_citation_prints_with_bibtex() -> None:
    citation = otlmc.cite(DEEP)
    assert str(citation).startswith(
        "Ferbach et al. (2024): Lemma 4.1 and Theorem 5.2\notlmc: docs/derivations/deep\n\n@inproc"
    )
    assert re.findall(r"^@\w+\{(\w+),$", citation.bibtex, re.MULTILINE) == ["ferbach2024", "otlmc"]
    assert citation == otlmc.cite(bounds.min_width(DEEP, 0.5))


@pytest.mark.parametrize("thing", [3.0, "otlmc", None, nn.Linear(1, 1)])
def test_what_is_no_result_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="`result` must be a result of otlmc, got"):
        otlmc.cite(thing)
