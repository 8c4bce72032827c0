"""Strong connectivity: routes of permutations, the paper's orderings, claims and outputs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import validation
from otlmc import cli
from otlmc.connectivity import path
from otlmc.matching import Permutation, infer_spec
from otlmc.networks import MLP, Architecture
from validation import strong as job
from validation import strong_claims as claims
from validation.claims import published
from validation.sets import Sets
from validation.strong_routes import NETWORKS, ROUTES, carried, measure

RESULTS = Path(validation.__file__).parent / "results" / "strong"
QUICK = pd.read_csv(RESULTS / "digits" / "table.csv").query("setup == 'main'")
MATCHINGS = ("weight", "activation")


def small_sets(samples: int = 60) -> Sets:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(samples, 5, generator=generator)
    labels = torch.randint(3, (samples,), generator=generator)
    return Sets({"train": inputs, "test": inputs[:20]}, {"train": labels, "test": labels[:20]})


def small_network(seed: int) -> MLP:
    torch.manual_seed(seed)
    return MLP(Architecture(widths=(5, 6, 6, 3)))


def test_every_route_stands_once() -> None:
    counts = {name: len(routes) for name, routes in ROUTES.items()}
    assert counts == {
        "pair": 6,
        "via one": 12,
        "via two": 12,
        "cycle of three": 12,
        "cycle of four": 12,
    }
    for routes in ROUTES.values():
        assert len({min(route, route[::-1]) for route in routes}) == len(routes)


def test_joining_through_a_third_network_is_carrying_along_the_route() -> None:
    networks = [small_network(seed) for seed in range(NETWORKS)]
    spec = infer_spec(networks[0])
    found = {pair: Permutation.random(spec, rng=k) for k, pair in enumerate(ROUTES["pair"])}
    sets = small_sets()
    x, y = sets.inputs["train"], sets.labels["train"]
    # Both to C = network 2, as the paper does it; then B carried along A, C, B.
    a, b = found[0, 2].inverse().apply(networks[0]), found[1, 2].inverse().apply(networks[1])
    through = path(a, b, x, y)
    route = path(networks[0], carried(found, (0, 2, 1)).apply(networks[1]), x, y)
    np.testing.assert_allclose(through.loss, route.loss, rtol=1e-5)
    assert carried(found, (0, 1, 0)) == Permutation.identity(spec)


def test_planted_copies_are_strongly_connected() -> None:
    network = small_network(0)
    spec = infer_spec(network)
    copies = [Permutation.random(spec, rng=k).apply(network) for k in range(NETWORKS)]
    rows = pd.DataFrame(list(measure(copies, small_sets(), points=5, with_plane=False)))
    matched = rows[rows["matching"].isin(MATCHINGS) & rows["quantity"].str.endswith("barrier")]
    assert np.abs(matched["measured"]).max() < 1e-6
    assert set(matched["arrangement"]) == {
        *ROUTES,
        "universe",
        "mean of three",
        "mean of three, universe",
    }
    agreement = rows[rows["quantity"] == "agreement"]
    assert (agreement["measured"] == 1).all() and len(agreement) == 4
    still = rows[(rows["matching"] == "none") & (rows["quantity"] == "loss_barrier")]
    assert (still["measured"].abs() > 1e-3).all()


@pytest.mark.parametrize("matching", MATCHINGS)
@pytest.mark.parametrize("quantity", ["error_barrier", "loss_barrier"])
def test_orderings_of_the_quick_preset(matching: str, quantity: str) -> None:
    pair, via = (claims.barriers(QUICK, name, matching, quantity) for name in ("pair", "via one"))
    none = claims.barriers(QUICK, "pair", "none", quantity)
    assert (via >= pair).all()
    assert (via < none).all()
    assert via.iloc[-1] < 0.5 * via.iloc[0]
    assert list(via.index) == [16, 32, 64, 128]


def test_committed_claims() -> None:
    found = claims.claims(QUICK)
    assert len(found) == 8
    comparable = [c for c in found if c.verdict != "not comparable"]
    assert {c.verdict for c in comparable} == {"reproduced"}


def as_table(architecture: str) -> pd.DataFrame:
    """Return the paper's own values in the form of a table of the program."""
    width = published("sharma2024_width").query("architecture == @architecture")
    width = width[width["matching"] != "none"]
    lengths = published("sharma2024_composition").query("architecture == @architecture")
    longer = lengths[~lengths["arrangement"].isin(["pair", "via one", "there and back"])]
    values = sorted(width["width"].unique())
    # Paths and cycles are published at one width: there they lie above every pair and detour.
    longer = pd.concat([longer.assign(width=w, matching="weight", on="train") for w in values])
    longer["value"] += 1
    none = width.query("arrangement == 'pair' and matching == 'weight'")
    none = none.assign(matching="none", value=0.9)
    table = pd.concat([width, longer, none], ignore_index=True).assign(setup="main")
    return table.rename(columns={"value": "measured"})


@pytest.mark.parametrize("architecture", ["VGG-16", "ResNet-20"])
def test_claims_hold_of_the_paper_itself(architecture: str) -> None:
    verdicts = [claim.verdict for claim in claims.claims(as_table(architecture))]
    # The threshold and the better method are reported, not compared.
    expected = ["reproduced"] * 4 + ["not comparable"] * 2 + ["reproduced"] * 2
    assert verdicts == expected


def test_claims_fail_where_detours_are_exchanged_with_pairs() -> None:
    barrier = QUICK["quantity"].str.endswith("barrier")
    names = QUICK["arrangement"].replace({"pair": "via one", "via one": "pair"})
    swapped = QUICK.assign(arrangement=QUICK["arrangement"].where(~barrier, names))
    found = [claim.verdict for claim in claims.claims(swapped)]
    assert found[2] == found[6] == "not reproduced"


def test_program_writes_and_resumes_the_same_table(tmp_path, monkeypatch, capsys) -> None:
    small = [
        job.Group("main", "digits", 1, width, 0.1, 100, 4, 3, 0, 0, width == 8) for width in (8, 4)
    ]
    monkeypatch.setattr(job, "configurations", lambda options: small)
    monkeypatch.setattr("validation.sets.MOST", 100)
    tables = []
    for arguments in ([], ["--resume"]):
        cli.run(job.main, job.Options, args=["--out", str(tmp_path), *arguments])
        tables.append((tmp_path / "table.csv").read_bytes())
    assert tables[0] == tables[1]
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert "via one" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "table.csv")
    assert len(claims.claims(table)) == 8
    report = job.plane_of(table, "weight")
    assert report.loss.shape == (21, 21) and np.isfinite(report.loss).all()
    np.testing.assert_allclose(report.corners[0], [0, 0], atol=1e-12)


def test_presets() -> None:
    quick = job.configurations(job.Options())
    assert [g.width for g in quick if g.repetition == 0] == [128, 64, 32, 16]
    assert sum(g.plane for g in quick) == 1
    full = job.configurations(job.Options(preset="full", repetitions=1))
    assert {g.setup for g in full} == {"main", "deeper"} and full[0].width == 512
    mnist = job.configurations(job.Options(dataset="mnist", widest=32))
    assert [(g.width, g.hidden_layers) for g in mnist] == [(32, 3), (16, 3)]


@pytest.mark.parametrize("arguments", [["--repetitions", "0"], ["--widest", "8"]])
def test_bad_options_end_with_a_message(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(job.main, job.Options, args=arguments)
    assert end.value.code == 2
    assert arguments[0].removeprefix("--") in capsys.readouterr().err
