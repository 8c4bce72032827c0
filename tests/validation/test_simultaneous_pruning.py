"""One permutation along pruning, and masks that are carried over: measures, claims, orderings."""

import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch

import validation
from otlmc import data
from otlmc.matching import Permutation, infer_spec
from otlmc.networks import Stack
from otlmc.networks.pruning import PruningLevel, sparsify
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous import imp, masks, masks_claims
from validation.simultaneous import imp_claims as levels_claims
from validation.simultaneous.protocol import Options

RESULTS = Path(validation.__file__).parent / "results" / "simultaneous"
SMALL = imp.PrunedPair("digits", 2, 16, "lecun_truncated", 0.05, 100, 8, 5, 0, 0, 4)
SETS = Sets.of(data.load("digits"))


def committed(experiment: str) -> list[Path]:
    return sorted((RESULTS / experiment).glob("*/table.csv"))


@pytest.fixture(scope="module")
def levels() -> list[PruningLevel]:
    """Two networks of 2 x 16 units at five levels of their pruning."""
    return imp.levels_of(SMALL, data.load("digits"), device="cpu")


def test_rewinding_is_early(levels: list[PruningLevel]) -> None:
    assert imp.rewind_step(SMALL, data.load("digits")) == round(0.05 * 8 * 13)
    assert [round(level.left, 2) for level in levels] == [1.0, 0.8, 0.64, 0.51, 0.41]


def test_dense_and_sparse_permutations_along_pruning() -> None:
    table = pd.DataFrame(imp.measured(SMALL, data_dir=None, device="cpu"))
    barriers = table[table["quantity"] == "loss_barrier"]
    counts = barriers.groupby(["permutation", "matching", "place", "on"]).size()
    assert set(counts) == {5} and len(counts) == 4 * 5
    # At the dense level the two permutations are the same, at the end of it as rewound.
    dense = barriers[barriers["level"] == 0].pivot_table(
        index=["matching", "place", "on"], columns="permutation", values="measured"
    )
    np.testing.assert_array_equal(dense["dense"].dropna(), dense["sparse"].dropna())
    agreement = table[table["quantity"] == "agreement"]
    assert (agreement.loc[agreement["level"] == 0, "measured"] == 1).all()
    assert (levels_claims.along(table, "dense") < levels_claims.along(table, "none")).all()


def test_the_mask_of_a_permuted_copy_comes_home(levels: list[PruningLevel]) -> None:
    """If B is A with its units permuted, A's mask carried over is B's own."""
    a = [level.result.stack[0] for level in levels]
    planted = Permutation.random(infer_spec(a[0]), rng=0)
    copies = []
    for level, network in zip(levels, a, strict=True):
        own = {name: planted.gather(name, mask[0]) for name, mask in level.masks.items()}
        both = {name: torch.stack([level.masks[name][0], own[name]]) for name in own}
        pair = Stack.of([network, planted.apply(network)])
        result = dataclasses.replace(level.result, stack=pair)
        copies.append(PruningLevel(level.left, both, sparsify(pair, both), result))
    found = masks.masks(copies, SETS)
    assert {arm[2] for arm in found} == {2, 4}
    for (mask, _, level), chosen in found.items():
        same = all(bool((chosen[n] == m[1]).all()) for n, m in copies[level].masks.items())
        assert same == mask.startswith("permuted")
        left = sum(int(m.sum()) for m in chosen.values())
        assert left == sum(int(m[1].sum()) for m in copies[level].masks.values())


def test_every_arm_is_trained_and_measured() -> None:
    table = pd.DataFrame(masks.measured(SMALL, data_dir=None, device="cpu"))
    arms = table.groupby(["mask", "matching"])["level"].unique().map(set)
    assert arms.pop(("own", "none")) == {0, 2, 4}
    assert set(arms.index.get_level_values("mask")) == {
        masks_claims.NAIVE,
        masks_claims.ONE_SHOT,
        masks_claims.DENSE,
        masks_claims.SPARSE,
    }
    assert len(arms) == 6 and all(levels == {2, 4} for levels in arms)
    assert table["measured"].between(0, 3).all()
    beyond = masks.beyond_own(table.assign(repetition=0))
    assert (beyond.loc[beyond["mask"] == "own", "measured"] == 0).all()


@pytest.mark.parametrize("path", committed("imp"), ids=lambda path: path.parent.name)
def test_orderings_of_the_committed_levels(path: Path) -> None:
    """What the protocol calls robust, for levels up to 12 and from 8 on."""
    table = pd.read_csv(path)
    for matching in ("weight", "activation"):
        dense, sparse = (
            levels_claims.along(table, name, matching=matching) for name in ("dense", "sparse")
        )
        assert (dense.loc[:12] < 0.4 * levels_claims.along(table, "none").loc[:12]).all()
        assert sparse.loc[8:].mean() < dense.loc[8:].mean()


@pytest.mark.parametrize("path", committed("masks"), ids=lambda path: path.parent.name)
def test_orderings_of_the_committed_masks(path: Path) -> None:
    """What the protocol calls robust: the permuted mask is better where little is left."""
    table = pd.read_csv(path)
    naive = masks_claims.losses(table, masks_claims.NAIVE).mean().mean()
    for matching in ("weight", "activation"):
        assert masks_claims.losses(table, masks_claims.DENSE, matching).mean().mean() < naive


def levels_table(dense: float, sparse: float) -> pd.DataFrame:
    """Return a table of barriers of the given height, and of the published agreements."""
    left = [0.8**level for level in range(21)]
    heights = {"none": ("none", 1.0), "dense": ("weight", dense), "sparse": ("weight", sparse)}
    rows = [
        {"permutation": name, "matching": matching, "level": level, "left": part, "measured": value}
        for name, (matching, value) in heights.items()
        for level, part in enumerate(left)
    ]
    barriers = pd.DataFrame(rows).assign(place="end", on="train", quantity="loss_barrier")
    paper = published("sharma2024_imp").rename(columns={"value": "measured"})
    return pd.concat([barriers, paper.assign(level=[1, 3, 11, 19])], ignore_index=True)


def test_claims_on_levels() -> None:
    def verdicts(table: pd.DataFrame) -> list[str]:
        return [claim.verdict for claim in levels_claims.claims(table)]

    assert verdicts(levels_table(0.3, 0.1)) == ["reproduced"] * 4
    failing = levels_table(0.5, 0.6)
    failing.loc[failing["quantity"] == "agreement", "measured"] = 0.3
    assert verdicts(failing) == ["not reproduced"] * 4


def masks_table() -> pd.DataFrame:
    """Return the paper's own test errors in the form of a table of losses, at two levels."""
    paper = published("sharma2024_masks").query("paper == 'sharma2024'")
    paper = paper[paper["task"] == "EuroSAT"].rename(columns={"value": "measured"})
    matching = np.where(paper["mask"].str.startswith("permuted"), "activation", "none")
    rows = paper.assign(matching=matching, on="test", quantity="loss")
    return pd.concat([rows.assign(level=n, repetition=r) for n in (10, 12) for r in (0, 1)])


def test_claims_on_masks_hold_of_the_paper_itself() -> None:
    table = masks_table()
    assert [claim.verdict for claim in masks_claims.claims(table)] == ["reproduced"] * 2
    exchanged = table["mask"].replace({"own": "not permuted", "not permuted": "own"})
    verdicts = [claim.verdict for claim in masks_claims.claims(table.assign(mask=exchanged))]
    assert verdicts == ["not reproduced"] * 2
    noisy = table.assign(measured=lambda t: t["measured"].where(t["repetition"] == 0, 0.1))
    assert {claim.verdict for claim in masks_claims.claims(noisy)} == {"not comparable"}


def test_presets() -> None:
    assert [(p.width, p.levels) for p in imp.configurations(Options())] == [(96, 12)] * 3
    assert [(p.width, p.levels) for p in masks.configurations(Options())] == [(64, 20)] * 4
    full = imp.configurations(Options(preset="full", width=32, repetitions=2))
    assert [(p.width, p.levels, p.repetition) for p in full] == [(32, 20, 0), (32, 20, 1)]


@pytest.mark.parametrize(
    ("experiment", "path"),
    [(imp, path) for path in committed("imp")] + [(masks, path) for path in committed("masks")],
)
def test_figures_and_summaries(experiment: ModuleType, path: Path) -> None:
    table = pd.read_csv(path)
    assert len(experiment.draw(table).axes) == 4
    assert set(experiment.summarise(table)["level"]) == set(table["level"])
