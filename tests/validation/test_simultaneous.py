"""The program as a whole, and the cut-off of layers."""

import dataclasses
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
import torch

import validation
from otlmc import cli
from otlmc.connectivity import path
from otlmc.networks import MLP, Architecture
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous import EXPERIMENTS, cutoff, cutoff_claims, imp, masks, trajectory
from validation.simultaneous.__main__ import main
from validation.simultaneous.protocol import Options, Pair, barriers

RESULTS = Path(validation.__file__).parent / "results" / "simultaneous" / "cutoff"
SMALL = Pair("digits", 2, 12, "lecun_truncated", 0.05, 100, 4, 3, 0, 0)
PRUNED = imp.PrunedPair(**dataclasses.asdict(SMALL), levels=4)


def networks(count: int) -> list[MLP]:
    found = []
    for seed in range(count):
        torch.manual_seed(seed)
        found.append(MLP(Architecture(widths=(5, 6, 6, 3))))
    return found


def test_barriers_are_those_of_the_path() -> None:
    generator = torch.Generator().manual_seed(0)
    x = {on: torch.randn(n, 5, generator=generator) for on, n in (("train", 40), ("test", 20))}
    y = {on: torch.randint(3, (len(v),), generator=generator) for on, v in x.items()}
    a, b, c = networks(3)
    rows = list(barriers({"ab": (a, b), "ac": (a, c)}, Sets(x, y), points=5))
    assert len(rows) == 2 * 2 * 2
    for key, fields in rows:
        report = path(a, {"ab": b, "ac": c}[key], x[fields["on"]], y[fields["on"]], points=5)
        expected = getattr(report, fields["quantity"])
        np.testing.assert_allclose(fields["measured"], expected, atol=2e-6)


def test_early_layers_of_every_design() -> None:
    found = cutoff.early_layers(5)
    assert found["all", None] == [0, 1, 2, 3, 4]
    assert found["bottom-up", 2] == [0, 1] and found["top-down", 2] == [2, 3, 4]
    assert found["put-in", 2] == [2] and found["leave-out", 2] == [0, 1, 3, 4]
    assert len(found) == 1 + 5 + 5 + 4 + 4


def test_spliced_networks_take_weights_and_biases_from_where_they_should() -> None:
    early, late = networks(2)
    mixed = cutoff.spliced(early, late, [0, 2]).state_dict()
    for key, tensor in mixed.items():
        source = late if key.startswith("layers.1.") else early
        assert torch.equal(tensor, source.state_dict()[key])
    assert all(torch.equal(t, n) for t, n in zip(late.parameters(), networks(2)[1].parameters(),
                                                 strict=True))  # fmt: skip


def test_cutoff_at_the_last_step_is_matching_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    last = 4 * 13
    monkeypatch.setitem(cutoff.EARLY, "digits", (0, last))
    table = pd.DataFrame(cutoff.measured(SMALL, data_dir=None, device="cpu"))
    at_end = table[table["step"] == last].groupby(["on", "quantity"])["measured"]
    end = table[table["design"] == "end"].set_index(["on", "quantity"])["measured"]
    assert (at_end.nunique() == 1).all()
    np.testing.assert_array_equal(at_end.first().sort_index(), end.sort_index())
    # Below the second layer and the first one alone are the same network.
    first = table[(table["step"] == 0) & (table["cut"].isin([0, 1]))]
    single = first[(first["design"] == "put-in") & (first["cut"] == 0)]["measured"]
    below = first[(first["design"] == "bottom-up") & (first["cut"] == 1)]["measured"]
    np.testing.assert_array_equal(single, below)


def cutoff_table(scale: float = 1.0) -> pd.DataFrame:
    """Return values like the paper's at the paper's own steps, in the form of a table."""
    paper = published("sharma2024_cutoff").query("architecture == 'VGG-16'")
    wide = {"bottom-up": {2: 1, 4: 2, 8: 3}, "top-down": {8: 3, 6: 1, 4: 2}}
    wide |= {"put-in": {2: 0, 4: 1, 6: 2, 8: 3}, "leave-out": {2: 0}}
    rows = [
        {"design": row.design, "cut": wide[row.design][row.cut], "step": 391 * row.epoch,
         "measured": row.value if row.epoch > 1 else scale * row.value}
        for row in paper.itertuples() if row.cut in wide[row.design]
    ]  # fmt: skip
    rows += [{"design": "none", "measured": 0.9}, {"design": "end", "measured": 0.08}]
    return pd.DataFrame(rows).assign(on="train", quantity="error_barrier", repetition=0)


def test_claims_hold_of_the_paper_itself() -> None:
    verdicts = [claim.verdict for claim in cutoff_claims.claims(cutoff_table())]
    assert verdicts == ["reproduced", "not comparable", "reproduced", "reproduced"]
    flat = [claim.verdict for claim in cutoff_claims.claims(cutoff_table(scale=0.0))]
    assert flat == ["not reproduced", "not comparable", "not reproduced", "not reproduced"]


def test_committed_cutoff() -> None:
    table = pd.read_csv(RESULTS / "digits" / "table.csv")
    assert cutoff_claims.baseline(table, "end") < 0.5 * cutoff_claims.baseline(table, "none")
    assert len(cutoff.draw(table).axes) == 4
    summary = cutoff.summarise(table)
    assert list(summary["design"])[:3] == ["none", "end", "all"]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every experiment one of four epochs, on 200 examples."""
    for name, experiment in EXPERIMENTS.items():
        config = PRUNED if name in ("imp", "masks") else SMALL
        monkeypatch.setattr(experiment, "configurations", lambda options, c=config: [c])
    monkeypatch.setattr(masks, "STRIDE", 4)
    monkeypatch.setitem(trajectory.EPOCHS, "digits", (0, 1, 2, 3, 4))
    monkeypatch.setitem(cutoff.EARLY, "digits", (0, 13))
    monkeypatch.setattr("validation.sets.MOST", 200)


@pytest.mark.usefixtures("short")
def test_program_writes_and_resumes_the_same_tables(tmp_path, capsys) -> None:
    runs = []
    for arguments in ([], ["--resume"]):
        cli.run(main, Options, args=["--out", str(tmp_path), *arguments])
        runs.append({name: (tmp_path / name / "table.csv").read_bytes() for name in EXPERIMENTS})
    assert runs[0] == runs[1]
    for name in EXPERIMENTS:
        assert (tmp_path / name / "figure.png").stat().st_size > 10_000
        assert f'"experiment": "{name}"' in (tmp_path / name / "manifest.json").read_text()
    assert "put-in" in capsys.readouterr().out


@pytest.mark.usefixtures("short")
def test_one_experiment_alone(tmp_path) -> None:
    cli.run(main, Options, args=["--experiment", "cutoff", "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["cutoff"]


def test_the_option_names_the_experiments() -> None:
    named = get_args(get_type_hints(Options)["experiment"])
    assert named == ("all", *EXPERIMENTS)


@pytest.mark.parametrize("option", ["--repetitions", "--width"])
def test_bad_options_end_with_a_message(option, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(main, Options, args=[option, "0"])
    assert end.value.code == 2
    assert option.removeprefix("--") in capsys.readouterr().err
