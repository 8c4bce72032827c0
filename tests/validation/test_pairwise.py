"""All pairs of many networks: the protocol, the program and the zoo."""

from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest

import validation
from otlmc import cli
from otlmc.connectivity import path
from otlmc.matching import match
from otlmc.networks import Architecture, TrainResult
from validation.pairwise import EXPERIMENTS, protocol, zoo, zoo_claims
from validation.pairwise import __main__ as program
from validation.pairwise.protocol import Options, Zoo

RESULTS = Path(validation.__file__).parent / "results" / "pairwise"
SMALL = Zoo("moons", 16, 4, 20, 0)


@pytest.fixture(scope="module")
def trained() -> TrainResult:
    dataset = protocol.load("moons", data_dir=None, device="cpu")
    return protocol.train_zoo(SMALL, dataset, device="cpu")


def test_every_experiment_can_be_named() -> None:
    names = get_args(get_type_hints(Options)["experiment"])
    assert names == ("all", *EXPERIMENTS)
    for experiment in EXPERIMENTS.values():
        assert set(experiment.DATASETS) <= set(get_args(protocol.Name))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_data_set_has_tasks_at_the_least_width(name: str) -> None:
    for dataset in EXPERIMENTS[name].DATASETS:
        for preset in ("quick", "full"):
            options = Options(preset=preset, dataset=dataset, widest=protocol.NARROW, models=3)
            configs = EXPERIMENTS[name].configurations(options)
            assert configs and {config.models for config in configs} == {3}
            assert max(config.width for config in configs) <= protocol.NARROW


def test_networks_of_the_paper() -> None:
    moons = protocol.load("moons", data_dir=None, device="cpu")
    assert protocol.architecture(moons, 8) == Architecture(widths=(2, 8, 1))
    digits = protocol.load("digits", data_dir=None, device="cpu")
    expected = Architecture(widths=(64, 8, 8, 8, 10), layer_norm=True)
    assert protocol.architecture(digits, 8) == expected
    full = protocol.zoos(Options(preset="full", dataset="mnist"))
    assert [(z.width, z.models, z.epochs) for z in full[::8]] == [(512, 50, 60), (2, 50, 60)]
    quick = protocol.zoos(Options(dataset="mnist", widest=64))
    assert [(z.width, z.models, z.epochs) for z in quick] == [(w, 8, 10) for w in (64, 32, 16, 8)]


def test_directly_matched_paths_are_those_of_every_pair(trained: TrainResult) -> None:
    dataset = protocol.load("moons", data_dir=None, device="cpu")
    report = protocol.direct_paths(trained.stack, dataset)
    assert report.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    for (i, j), losses in zip(report.pairs, report.loss, strict=True):
        a, b = trained.stack[int(i)], trained.stack[int(j)]
        found = match(a, b, method="weight")
        alone = path(a, found.permutation.apply(b), dataset.test_inputs, dataset.test_labels)
        np.testing.assert_allclose(losses, alone.loss, rtol=1e-4, atol=1e-6)


def test_statistics_of_pairs_leave_out_networks() -> None:
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    found = protocol.statistics([1.0, 2.0, 6.0], pairs=pairs)
    # Without network 0, 1, 2 the mean is 6, 2, 1; the jackknife of these.
    means = np.array([6.0, 2.0, 1.0])
    expected = np.sqrt(2 / 3 * np.square(means - means.mean()).sum())
    assert found["stderr"] == pytest.approx(expected, rel=1e-12)
    assert (found["measured"], found["q50"], found["count"]) == (3.0, 2.0, 3)
    assert protocol.statistics([1.0], pairs=pairs[:1])["stderr"] is None


def test_jackknife_covers_the_spread_of_means_over_networks() -> None:
    rng = np.random.default_rng(0)
    i, j = np.triu_indices(20, 1)
    pairs = np.stack([i, j], axis=1)
    draws = rng.normal(size=(400, 20))
    values = draws[:, i] + draws[:, j]
    errors = [protocol.statistics(row, pairs=pairs)["stderr"] for row in values]
    # The mean over pairs is twice the mean of 20 standard normals.
    assert np.mean(np.square(errors)) == pytest.approx(4 / 20, rel=4 * (2 / 19 / 400) ** 0.5)


def test_program_writes_and_resumes_the_same_table(tmp_path, monkeypatch, capsys) -> None:
    small = [Zoo("moons", width, 4, 20, 0) for width in (16, 8, 4)]
    monkeypatch.setattr(zoo, "configurations", lambda options: small)
    tables = []
    for arguments in ([], ["--resume", "--jobs", "2"]):
        arguments += ["--experiment", "zoo", "--dataset", "digits", "--out", str(tmp_path)]
        cli.run(program.main, Options, args=arguments)
        tables.append((tmp_path / "zoo" / "table.csv").read_bytes())
    assert tables[0] == tables[1]
    assert (tmp_path / "zoo" / "figure.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    # The zoo is not made for digits.
    assert "zoo on moons" in printed and "epsilon, weight" in printed
    table = pd.read_csv(tmp_path / "zoo" / "table.csv")
    found = zoo.claims(table)
    expected = "4 networks and 20 epochs instead of 50 and 100"
    assert (found[0].verdict, found[0].reason) == ("not comparable", expected)


@pytest.mark.parametrize(
    "arguments", [["--models", "2"], ["--widest", "7"], ["--experiment", "circus"]]
)
def test_bad_options_end_with_a_message(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.run(program.main, Options, args=arguments)
    assert end.value.code == 2
    assert arguments[0].removeprefix("--") in capsys.readouterr().err


MOONS, MNIST = (pd.read_csv(RESULTS / "zoo" / name / "table.csv") for name in ("moons", "mnist"))


def test_moons_zoo_is_the_published_one() -> None:
    beside = zoo_claims.deviations(MOONS)
    assert list(beside.index) == list(protocol.WIDTHS) and beside["within"].all()
    assert set(MOONS["models"]) == {50} and set(MOONS["epochs"]) == {100}


def test_moons_orderings() -> None:
    naive, matched = (
        zoo_claims.by_width(MOONS, "epsilon_loss", name) for name in ("none", "weight")
    )
    assert naive[512] < naive[8]
    assert (matched < naive).loc[4:].all()
    assert (matched.loc[16:] < 0.01).all()
    count = zoo_claims.by_width(MOONS, "epsilon_loss", "none", "count")
    assert (count == 50 * 49 // 2).all()


def test_mnist_zoo_is_the_published_one() -> None:
    beside = zoo_claims.deviations(MNIST)
    assert list(beside.index) == list(protocol.WIDTHS[:8]) and beside["within"].all()
    assert zoo_claims.deviations(MNIST, "test_loss")["within"].all()
    assert set(MNIST["epochs"]) == {60}


def test_mnist_orderings() -> None:
    naive, matched, active = (
        zoo_claims.by_width(MNIST, "epsilon_loss", name) for name in zoo.MATCHINGS
    )
    assert list(naive.loc[8:].index) == [8, 16, 32, 64, 128, 256]
    assert naive[256] < naive[8]
    assert (matched < naive).loc[4:].all() and (active < naive).loc[4:].all()
    losses, *others = zoo_claims.claims(MNIST)
    assert (losses.verdict, len(others)) == ("not comparable", 4)


def test_claims_fail_where_the_matchings_are_exchanged() -> None:
    swapped = MOONS.replace({"matching": {"none": "weight", "weight": "none"}})
    verdicts = [claim.verdict for claim in zoo_claims.claims(swapped)]
    assert verdicts[2] == verdicts[3] == "not reproduced"
    assert zoo_claims.claims(MOONS)[0].verdict == "reproduced"
    wrong = MOONS.assign(measured=10 * MOONS["measured"])
    assert zoo_claims.claims(wrong)[0].verdict == "not reproduced"
