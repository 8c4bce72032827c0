"""The other experiments on pairs of networks: what they measure, and their committed tables."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import validation
from otlmc import networks
from otlmc.connectivity import PathsReport
from otlmc.networks import Architecture
from validation.pairwise import (
    clusters,
    families,
    initialisation,
    initialisation_claims,
    optimisers,
    protocol,
    redundancy,
    redundancy_claims,
    reference,
    swa,
)
from validation.pairwise.protocol import Options, Zoo

RESULTS = Path(validation.__file__).parent / "results" / "pairwise"


def committed(experiment: str, dataset: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / experiment / dataset / "table.csv")


def test_merging_keeps_the_function_and_the_published_algorithm_half_the_units() -> None:
    config = Zoo("moons", 32, 4, 40, 0)
    table = pd.DataFrame(list(redundancy.measured(config, data_dir=None, device="cpu")))
    values = table[table["matching"].isna()].set_index(["networks", "quantity"])
    unchanged = values.loc["full"].loc[["width_left", "same predictions"], "measured"]
    assert unchanged.tolist() == [32, 1]
    assert values.loc[("reduced", "same predictions"), "measured"] > 0.98
    assert values.loc[("published", "width_left"), "q05"] >= 16
    left = values["measured"].xs("width_left", level="quantity")
    assert left["reduced"] <= left["published"] < 32


def test_reduced_moons_networks() -> None:
    table = committed("redundancy", "moons")
    full, reduced = (
        redundancy_claims.by_width(table, name, "test_loss").loc[16:]
        for name in ("full", "reduced")
    )
    same = redundancy_claims.by_width(table, "reduced", "same predictions")
    assert (reduced - full).max() < 0.002 and same.loc[16:].min() >= 0.99
    before, after = (
        redundancy_claims.by_width(table, name, "epsilon_loss", "none", "q50").loc[128:]
        for name in ("full", "reduced")
    )
    assert (after > before).all() and list(after.index) == [128, 256, 512]
    assert [c.verdict for c in redundancy.claims(table)][1:] == ["reproduced"] * 2
    swapped = table.replace({"networks": {"full": "reduced", "reduced": "full"}})
    assert redundancy.claims(swapped)[2].verdict == "not reproduced"


def test_frames_of_reference() -> None:
    config = Zoo("moons", 8, 5, 20, 0)
    table = pd.DataFrame(list(reference.measured(config, data_dir=None, device="cpu")))
    wide = reference.medians(table.assign(width=8))
    assert list(wide) == list(reference.LABELS)
    assert table["count"].eq(10).all()
    assert reference.draw(table.assign(width=8)).axes[0].get_legend() is not None
    assert [z.models for z in reference.configurations(Options(preset="full"))] == [20] * 9


def test_references_on_moons() -> None:
    table = committed("reference", "moons")
    assert [claim.verdict for claim in reference.claims(table)] == ["reproduced", "not comparable"]
    swapped = table.replace({"frame": {"none": "reference 0", "reference 0": "none"}})
    assert reference.claims(swapped)[0].verdict == "not reproduced"


def test_families_of_pairs() -> None:
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    loss = np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
    t = np.array([0.0, 0.5, 1.0])
    report = PathsReport(pairs=pairs, t=t, loss=loss, error=loss, on="test", samples=1)
    rows = pd.DataFrame(list(families.family_rows(report, ["b", "a", "b"], frame="none")))
    epsilon = rows[rows["quantity"] == "epsilon_loss"].set_index(["first", "second"])
    assert epsilon["measured"].to_dict() == {("a", "b"): 2.5, ("b", "b"): 2.0}
    assert epsilon["count"].to_dict() == {("a", "b"): 2, ("b", "b"): 1}


def test_best_network_of_all() -> None:
    def result(errors: list[float], losses: list[float]) -> SimpleNamespace:
        return SimpleNamespace(test_error=np.array(errors), test_loss=np.array(losses))

    results = [result([0.1, 0.0], [0.1, 0.5]), result([0.0, 0.2], [0.4, 0.1])]
    assert families.best(results) == 2  # type: ignore[arg-type]


def test_initialisations_and_optimisers() -> None:
    config = initialisation.Families("moons", 16, 3, 20, 0)
    table = pd.DataFrame(list(initialisation.measured(config, data_dir=None, device="cpu")))
    table = table.assign(width=16)
    rows = table[table["quantity"] == "epsilon_loss"]
    assert rows.groupby(["frame", "by"]).size().unstack().to_dict("list") == {
        "family": [10] * 7,
        "optimiser": [3] * 7,
    }
    assert rows.groupby(["frame", "by"])["count"].sum().eq(66).all()
    losses, *_ = initialisation.claims(table)
    assert (losses.verdict, losses.reason) == ("not comparable", "width 16 instead of 512")
    draws = initialisation_claims.by_draw(table)
    assert draws.shape == (initialisation.DRAWS, 2) and draws.nunique().eq(len(draws)).all()
    first = table[table["quantity"] == "test_loss"].groupby("optimiser")["measured"].mean()
    np.testing.assert_allclose(draws.loc[0, first.index], first, rtol=1e-12)
    assert len(initialisation.draw(table).axes) == 1
    assert list(initialisation.summarise(table)) == ["frame", *initialisation.KINDS.values()]


def test_weights_of_an_initialisation_stand_beside_biases_of_pytorch() -> None:
    shape = Architecture(widths=(2, 400, 1))
    stack = initialisation.drawn(shape, "kaiming_uniform", weights=range(4), biases=range(4, 8))
    expected = networks.draw(shape, range(4), initialisation="kaiming_uniform")
    for name in ("layers.0.weight", "layers.1.weight"):
        assert torch.equal(stack.tensors[name], expected.tensors[name])
    biases, outgoing = stack.tensors["layers.0.bias"], stack.tensors["layers.1.weight"][:, 0]
    assert float(biases.abs().max()) == pytest.approx(2**-0.5, rel=0.01)
    for bias, weight in zip(biases, outgoing, strict=True):
        assert abs(np.corrcoef(bias, weight)[0, 1]) < 4 / 400**0.5


def test_committed_initialisations() -> None:
    table = committed("initialisation", "moons")
    means = initialisation_claims.epsilon(table, "optimiser")
    assert (means.drop(columns="none").lt(means["none"], axis=0)).all(axis=None)
    assert initialisation.claims(table)[0].verdict != "not comparable"
    assert initialisation.claims(table)[3].verdict == "reproduced"
    assert initialisation.claims(table)[1].verdict == "not reproduced"
    equal = table.assign(
        measured=table["measured"].where(table["quantity"] != "test_loss of a draw", 1)
    )
    assert initialisation.claims(equal)[1].verdict == "reproduced"


def test_samples_of_one_run() -> None:
    config = swa.Run("digits", 8, 3, 8, 0, samples=4)
    table = pd.DataFrame(list(swa.measured(config, data_dir=None, device="cpu")))
    epsilon = table[table["quantity"] == "epsilon_loss"].set_index("between")
    # All pairs of 3 networks; all pairs of 4 samples of each of the 3.
    assert epsilon["count"].to_dict() == {
        **dict.fromkeys(swa.INDEPENDENT.values(), 3),
        swa.SAMPLES: 18,
    }
    assert epsilon.loc[swa.SAMPLES, "measured"] < 0.2 * epsilon["measured"].max()
    losses = table[table["quantity"] == "test_loss"]["networks"].tolist()
    assert losses == ["before", "samples", "average of samples"]
    assert len(swa.draw(table.assign(width=8, dataset="digits")).axes) == 2
    mnist = swa.configurations(Options(dataset="mnist", preset="full"))
    assert [(run.width, run.epochs, run.samples) for run in mnist[::3]] == [
        (512, 60, 20),
        (8, 60, 20),
    ]


def test_samples_on_digits_need_no_permutation() -> None:
    table = committed("swa", "digits")
    moved, samples, others = (
        swa.by_width(table, quantity, of)
        for quantity, of in (
            ("moved units", swa.SAMPLES),
            ("epsilon_loss", swa.SAMPLES),
            ("epsilon_loss", swa.INDEPENDENT["none"]),
        )
    )
    assert list(moved.index) == [8, 16, 64] and (moved == 0).all()
    assert (samples < 0.05 * others).all()
    assert [claim.verdict for claim in swa.claims(table)] == ["reproduced"] * 3
    swap = {swa.SAMPLES: swa.INDEPENDENT["none"], swa.INDEPENDENT["none"]: swa.SAMPLES}
    epsilon = table["quantity"] == "epsilon_loss"
    names = table["between"].where(~epsilon, table["between"].replace(swap))
    assert swa.claims(table.assign(between=names))[0].verdict == "not reproduced"


def test_samples_on_mnist_are_connected() -> None:
    table = committed("swa", "mnist")
    samples, others = (
        swa.by_width(table, "epsilon_loss", of) for of in (swa.SAMPLES, swa.INDEPENDENT["none"])
    )
    assert (samples < 0.05 * others).all() and list(samples.index) == [8, 16, 64]


def test_families_of_optimisers() -> None:
    config = optimisers.Families("digits", 8, 3, 6, 300, 1e-3, 0)
    table = pd.DataFrame(list(optimisers.measured(config, data_dir=None, device="cpu")))
    table = table.assign(models=3, dataset="digits", width=8)
    means = optimisers.means(table)
    assert means.shape == (10, 3)
    counts = table[table["quantity"] == "epsilon_loss"].groupby("frame")["count"].sum()
    assert counts.to_dict() == {"none": 66, "best": 66, "pairwise": 66}
    of_pairs = table[table["quantity"] == "epsilon of a pair"]
    assert of_pairs.groupby("frame").size().tolist() == [66] * 3
    matrix = protocol.square(of_pairs[of_pairs["frame"] == "none"])
    # Networks 0..2 are AdamW's.
    expected = means.loc[("adamw", "adamw"), "none"]
    assert matrix[np.triu_indices(3, 1)].mean() == pytest.approx(expected)
    assert len(optimisers.draw(table).axes) == 8
    assert optimisers.claims(table)[0].verdict in ("reproduced", "not reproduced")
    (full,) = optimisers.configurations(Options(preset="full", dataset="cifar10"))
    assert (full.width, full.models, full.epochs, full.rmsprop_rate) == (512, 10, 60, 1e-5)


@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
def test_alignment_connects_every_pair_of_optimisers(dataset: str) -> None:
    table = committed("optimisers", dataset)
    means = optimisers.means(table)
    assert (means["best"] < means["none"]).all() and len(means) == 10
    worse = table.replace({"frame": {"none": "best", "best": "none"}})
    assert optimisers.claims(worse)[0].verdict == "not reproduced"


def test_clusters_of_a_planted_matrix() -> None:
    labels = np.repeat([0, 1, 2, 3], [4, 3, 2, 1])
    matrix = (labels[:, None] != labels).astype(float)
    assert clusters.sizes(matrix) == [4, 3, 2, 1]
    i, j = np.triu_indices(10, 1)
    rows = pd.DataFrame({"i": i, "j": j, "measured": matrix[i, j]})
    np.testing.assert_array_equal(protocol.square(rows.sample(frac=1, random_state=0)), matrix)


def test_the_reference_stands_out_on_mnist() -> None:
    table = committed("clusters", "mnist")
    means = clusters.beside_reference(table)
    assert means["frame"].tolist() == ["reference 0", "reference 1"]
    for (_, frame, matrix), k in zip(list(clusters.matrices(table))[1:], (0, 1), strict=True):
        row = means[means["frame"] == frame].iloc[0]
        ends = np.stack(np.triu_indices(len(matrix), 1), axis=1)
        values = matrix[tuple(ends.T)]
        mine = (ends == k).any(axis=1)
        assert row["reference"] == pytest.approx(values[mine].mean())
        assert row["others"] == pytest.approx(values[~mine].mean())
    assert clusters.claims(table)[0].verdict == "reproduced"
    # Under exchanged names each frame is read at the wrong network.
    swap = {"reference 0": "reference 1", "reference 1": "reference 0"}
    wrong = clusters.beside_reference(table.replace({"frame": swap}))
    assert not (wrong["reference"] < 0.5 * wrong["others"]).any()


def test_matrices_of_clusters() -> None:
    table = pd.DataFrame(
        [
            {"width": 8, **row}
            for row in clusters.measured(Zoo("moons", 8, 4, 20, 0), data_dir=None, device="cpu")
        ]
    ).assign(dataset="moons")
    found = {frame: matrix for _, frame, matrix in clusters.matrices(table)}
    assert list(found) == list(clusters.FRAMES)
    assert all(matrix.shape == (4, 4) for matrix in found.values())
    assert len(clusters.draw(table).axes) == 4
    assert clusters.claims(table)[0].verdict == "not comparable"
    shown = clusters.configurations(Options(preset="full"))
    assert [(zoo.width, zoo.models) for zoo in shown] == [(512, 30), (64, 30), (4, 30)]
    assert [zoo.width for zoo in clusters.configurations(Options(widest=32))] == [4]
    narrow = clusters.configurations(Options(dataset="mnist", widest=8))
    assert [zoo.width for zoo in narrow] == [8]
