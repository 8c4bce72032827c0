"""The protocol that simulations and validation share: its sizes, its seeds, what it measures."""

import pytest
import torch

from otlmc import data
from otlmc.pairs import MEASURES, Pairs, ladder, measure, train_pairs

SMALL = Pairs("digits", 0.05, 6, 500, 5, 2, 0)
DIGITS = data.load("digits")


def test_the_paper_s_sizes() -> None:
    full = ladder("mnist", full=True, seed=3)
    assert [round(pairs.learning_rate, 7) for pairs in full] == [
        *(0.0001, 0.0003981, 0.0015849, 0.0063096, 0.0251189, 0.1)
    ]
    assert {(p.hidden, p.batch_size, p.epochs, p.repetitions, p.seed) for p in full} == {
        (512, 500, 50, 4, 3)
    }


def test_unknown_data_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`dataset` must be one of .*cifar10.*'moons'"):
        ladder("moons", full=False, seed=0)


def test_all_networks_differ_and_the_optimiser_counts() -> None:
    pairs = train_pairs(SMALL, DIGITS, device="cpu")
    again = train_pairs(SMALL, DIGITS, device="cpu")
    adam = train_pairs(SMALL, DIGITS, optimiser="adamw", device="cpu")
    first = [next(net.parameters()) for pair in pairs for net in pair]
    assert len(first) == 4
    assert all(not torch.equal(first[i], first[j]) for i in range(4) for j in range(i))
    assert torch.equal(first[0], next(again[0][0].parameters()))
    assert not torch.equal(first[0], next(adam[0][0].parameters()))


@pytest.mark.parametrize(
    ("matching", "beside"),
    [("none", ["mean loss of the ends"]), ("weight", []), ("covariance", [1, 2, 3])],
)
def test_what_is_measured_beside_a_path(matching: str, beside: list) -> None:
    (a, b), _ = train_pairs(SMALL, DIGITS, device="cpu")
    rows = list(measure(a, b, DIGITS, matching=matching))
    assert [row["quantity"] for row in rows[: len(MEASURES)]] == list(MEASURES)
    rest = rows[len(MEASURES) :]
    assert [row["layer"] or row["quantity"] for row in rest] == beside
    assert {row["matching"] for row in rows} == {matching}
