"""One permutation along training: the scores of several checkpoints, claims and orderings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import validation
from otlmc import data
from otlmc.matching import Permutation, infer_spec, match_sequence
from otlmc.networks import MLP
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous import trajectory as job
from validation.simultaneous import trajectory_claims as claims
from validation.simultaneous.protocol import Options, Pair

RESULTS = Path(validation.__file__).parent / "results" / "simultaneous" / "trajectory"
COMMITTED = sorted(path.parent.name for path in RESULTS.glob("*/table.csv"))
SMALL = Pair("digits", 2, 24, "lecun_truncated", 0.05, 50, 20, 5, 0, 0)
EPOCHS = (0, 1, 2, 5, 10, 20)

Checkpoints = tuple[list[MLP], list[MLP]]


@pytest.fixture(scope="module")
def checkpoints() -> Checkpoints:
    """Two networks of 2 x 24 units at six epochs of their training on the digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(job.EPOCHS, "digits", EPOCHS)
        kept = job.trained(SMALL, data.load("digits"), device="cpu")
    a, b = ([stack[side] for stack in kept.values()] for side in (0, 1))
    return a, b


@pytest.mark.parametrize("method", ["weight", "activation"])
def test_a_planted_permutation_is_found_from_several_trained_checkpoints(
    checkpoints: Checkpoints, method: str
) -> None:
    a, _ = checkpoints
    planted = Permutation.random(infer_spec(a[0]), rng=0)
    x = data.load("digits").train_inputs
    found = match_sequence(a[1:], [planted.apply(net) for net in a[1:]], x, method=method)
    assert found.permutation == planted.inverse()


def test_weight_scores_of_trained_checkpoints_are_summed(checkpoints: Checkpoints) -> None:
    a, b = (networks[1:] for networks in checkpoints)
    found = match_sequence(a, b, method="weight")
    total = 0.0
    for one, other in zip(a, b, strict=True):
        moved = found.permutation.apply(other).state_dict()
        moved.pop("layers.2.bias")  # of the outputs, which stay where they are
        total += sum(float((one.state_dict()[k] * v).double().sum()) for k, v in moved.items())
    np.testing.assert_allclose(found.total, total, rtol=1e-6)
    assert found.stop == "fixed" and (np.diff(found.trace) >= 0).all()


def test_no_single_checkpoint_has_a_better_permutation_for_all(checkpoints: Checkpoints) -> None:
    """The assignments on summed activations are exact, so this holds without exception."""
    a, b = (networks[1:] for networks in checkpoints)
    x = data.load("digits").train_inputs

    @torch.no_grad()
    def total(first: list[MLP], second: list[MLP]) -> float:
        return sum(
            float((p * q).double().sum()) / len(x)
            for one, two in zip(first, second, strict=True)
            for p, q in zip(one.activations(x)[1:], two.activations(x)[1:], strict=True)
        )

    found = match_sequence(a, b, x, method="activation")
    best = total(a, [found.permutation.apply(net) for net in b])
    np.testing.assert_allclose(found.total, best, rtol=1e-5)
    for one, other in zip(a, b, strict=True):
        alone = match_sequence([one], [other], x, method="activation").permutation
        assert total(a, [alone.apply(net) for net in b]) <= best * (1 + 1e-6)


def test_late_permutation_serves_a_small_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(job.EPOCHS, "digits", EPOCHS)
    table = pd.DataFrame(job.measured(SMALL, data_dir=None, device="cpu"))
    assert set(table["permutation"]) == {"networks", "none", "one", *claims.SUITES}
    single = table[table["permutation"] == "one"]
    assert set(single["found_at"]) == set(EPOCHS)
    assert set(single.loc[single["quantity"] != "agreement", "epoch"]) == set(EPOCHS[1:])
    last, none = claims.along(table, "one", found_at=20), claims.along(table, "none")
    assert (last < none).all()
    assert (last.index == list(EPOCHS[1:])).all()
    own = single[(single["quantity"] == "agreement") & (single["found_at"] == 20)]
    assert (own["measured"] == 1).all()


@pytest.mark.parametrize("name", COMMITTED)
def test_orderings_of_the_committed_results(name: str) -> None:
    """What the protocol calls robust: one late permutation serves the trajectory."""
    table = pd.read_csv(RESULTS / name / "table.csv")
    last, none = table["epoch"].max(), claims.along(table, "none")
    assert claims.along(table, "one", found_at=last).max() < 0.5 * none.min()
    end = claims.at_the_end(table)
    assert end.iloc[-1] < end.iloc[0]


def as_table() -> pd.DataFrame:
    """Return the paper's own values in the form of a table of the program."""
    paper = published("sharma2024_trajectory").query("architecture == 'VGG-16'")
    matrix = paper[(paper["figure"] == "matrix") & (paper["on"] == "train")]
    at_end = paper.query("figure == 'end' and permutation == 'one' and on == 'train'")
    agreement = paper[paper["figure"] == "agreement"]
    agreement = agreement[agreement["found_at"].isin(at_end["found_at"])]
    rows = [matrix, at_end[~at_end["found_at"].isin(matrix["found_at"])], agreement]
    rows += [agreement.assign(found_at=f, value=v) for f, v in ((1, 0.0), (3, 0.0), (150, 1.0))]
    rows += [matrix[matrix["found_at"] == 3].assign(permutation="none", matching="none", value=0.9)]
    table = pd.concat([r.drop_duplicates() for r in rows], ignore_index=True)
    names = {"last several": claims.LAST_THREE, "first several": claims.FIRST_THREE}
    table = table.replace({"permutation": names}).rename(columns={"value": "measured"})
    table = table.drop_duplicates(["permutation", "found_at", "epoch", "quantity"])
    return pd.concat([table.assign(repetition=r) for r in (0, 1)])


def test_claims_hold_of_the_paper_itself() -> None:
    assert [claim.verdict for claim in claims.claims(as_table())] == ["reproduced"] * 6


def test_claims_fail_without_an_effect() -> None:
    table = as_table()
    barrier = table["quantity"] == "error_barrier"
    table.loc[barrier, "measured"] = 0.5
    table.loc[barrier & (table["permutation"] == "none"), "measured"] = 0.9
    verdicts = [claim.verdict for claim in claims.claims(table)]
    assert verdicts[0] == verdicts[1] == verdicts[5] == "not reproduced"
    assert verdicts[4] == "not comparable"


def test_presets() -> None:
    quick = job.configurations(Options())
    assert [(p.width, p.points, p.repetition) for p in quick] == [(128, 11, r) for r in range(3)]
    assert len({seed for pair in quick for seed in pair.seeds}) == 6
    full = job.configurations(Options(preset="full", initialisation="kaiming_normal", width=64))
    assert {(p.width, p.points, p.initialisation) for p in full} == {(64, 25, "kaiming_normal")}
    assert len(full) == 5
    assert len(job.configurations(Options(dataset="mnist"))) == 1


def test_figure_and_summary_of_a_committed_table() -> None:
    table = pd.read_csv(RESULTS / "digits" / "table.csv")
    figure = job.draw(table)
    assert [len(ax.texts) for ax in figure.axes[:4]] == [72, 0, 0, 0]
    summary = job.summarise(table)
    assert list(summary["permutation"])[:2] == ["none", "epoch 0"]
    assert Sets.of(data.load("digits")).inputs["train"].shape[0] == 1297
