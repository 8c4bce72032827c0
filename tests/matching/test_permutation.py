import numpy as np
import pytest
import torch
from architectures import build
from hypothesis import given
from hypothesis import strategies as st
from small_networks import gaussian, mlp
from torch import nn

from otlmc.matching import Permutation, PermutationSpec, infer_spec, match

SEEDS = st.integers(0, 2**32 - 1)


def test_convention():
    """Place i of A gets the unit perm[i] of B."""
    net = mlp(2, 3, 1)
    spec = infer_spec(net)
    moved = Permutation(spec, {"0": [2, 0, 1]}).apply(net)
    for place, unit in enumerate([2, 0, 1]):
        torch.testing.assert_close(moved[0].weight[place], net[0].weight[unit], rtol=0, atol=0)
        torch.testing.assert_close(moved[2].weight[:, place], net[2].weight[:, unit])


@given(
    widths=st.lists(st.integers(1, 9), min_size=3, max_size=6),
    seed=SEEDS,
)
def test_applying_keeps_the_function_and_the_original(widths, seed):
    net = mlp(*widths, seed=seed % 1000)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    perm = Permutation.random(infer_spec(net), rng=seed)
    x = gaussian(7, widths[0], seed=1)
    torch.testing.assert_close(perm.apply(net)(x), net(x), rtol=1e-10, atol=1e-12)
    for key, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[key])


@given(first=SEEDS, second=SEEDS)
def test_group_laws(first, second):
    net = mlp(3, 6, 5, 2)
    spec = infer_spec(net)
    p, q = Permutation.random(spec, rng=first), Permutation.random(spec, rng=second)
    one_by_one = p.apply(q.apply(net.state_dict()))
    at_once = p.compose(q).apply(net.state_dict())
    assert all(torch.equal(one_by_one[k], at_once[k]) for k in at_once)
    assert p.compose(p.inverse()) == Permutation.identity(spec) == p.inverse().compose(p)
    assert p.inverse().inverse() == p
    assert p.agreement(p) == {"0": 1.0, "2": 1.0}


def test_random_is_uniform():
    """All 6 permutations of 3 units within 5 standard errors of 1/6."""
    spec = infer_spec(mlp(2, 3, 1))
    rng = np.random.default_rng(3)
    draws = [tuple(Permutation.random(spec, rng=rng)["0"]) for _ in range(3000)]
    counts = np.array([draws.count(p) for p in set(draws)]) / 3000
    assert len(counts) == 6
    assert np.abs(counts - 1 / 6).max() < 5 * np.sqrt(5 / 36 / 3000)


def test_agreement_counts_places():
    spec = infer_spec(mlp(2, 4, 1))
    other = Permutation(spec, {"0": [0, 1, 3, 2]})
    assert Permutation.identity(spec).agreement(other) == {"0": 0.5}


def test_immutable():
    spec = infer_spec(mlp(2, 3, 1))
    perm = Permutation(spec, {"0": [2, 0, 1]})
    with pytest.raises(AttributeError, match="immutable"):
        perm.spec = spec
    with pytest.raises(ValueError, match="read-only"):
        perm["0"][0] = 1


def test_a_specification_prints_who_writes_and_who_reads():
    lines = str(infer_spec(build("residual, BatchNorm", 0))).splitlines()
    assert lines[0].split() == ["group", "units", "written", "by", "read", "by"]
    assert lines[1].split() == ["stem", "8", "stem,", "back", "inner,", "down,", "shortcut"]


def test_hand_written_equals_inferred():
    net = mlp(2, 3, 4, 1)
    hand = PermutationSpec.from_axes(
        {
            "0.weight": ["0"], "0.bias": ["0"],
            "2.weight": ["2", "0"], "2.bias": ["2"],
            "4.weight": [None, "2"],
        },
        net.state_dict(),
    )  # fmt: skip
    assert hand == infer_spec(net)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ({}, r"groups \['0'\], got \[\]"),
        ({"0": [0, 1, 2], "x": [0]}, r"got \['0', 'x'\]"),
        ({"0": [0, 1]}, "must be 3 integers"),
        ({"0": [0.0, 1.0, 2.0]}, "must be 3 integers, got float64"),
        ({"0": [0, 1, 1]}, "not a permutation of 0..2"),
        ({"0": [1, 2, 3]}, "not a permutation of 0..2"),
    ],
)
def test_no_permutation(indices, message):
    with pytest.raises(ValueError, match=message):
        Permutation(infer_spec(mlp(2, 3, 1)), indices)


def test_apply_refuses_other_architectures():
    perm = Permutation.identity(infer_spec(mlp(2, 3, 1)))
    with pytest.raises(ValueError, match=r"'0.weight' must hold 3 entries .* got shape \(4, 2\)"):
        perm.apply(mlp(2, 4, 1))
    with pytest.raises(ValueError, match=r"no tensor '2.weight'"):
        perm.apply({"0.weight": torch.zeros(3, 2), "0.bias": torch.zeros(3)})
    with pytest.raises(ValueError, match="different groups"):
        perm.compose(Permutation.identity(infer_spec(mlp(2, 4, 1))))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"3.weight": ["h"]}, "'3.weight', which is not in `state`"),
        ({"2.weight": [None, "h"]}, "no tensor carries the group 'h'"),
        ({"0.weight": ["h"], "2.weight": ["h"]}, r"axis 0 of '2.weight' \(shape \(1, 3\)\)"),
    ],
)
def test_hand_written_mistakes(axes, message):
    with pytest.raises(ValueError, match=message):
        PermutationSpec.from_axes(axes, mlp(2, 3, 1))


def test_a_bare_state_dict_is_not_traced():
    with pytest.raises(TypeError, match=r"from an nn.Module only, got dict"):
        infer_spec(dict(nn.Linear(2, 3).state_dict()))  # type: ignore[arg-type]


def test_ties_are_kept():
    class Tied(nn.Module):
        def __init__(self, *, tied: bool = True):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(3, 3) for _ in range(3))
            if tied:
                self.b.weight = self.a.weight

        def forward(self, x):
            return self.c(torch.relu(self.b(torch.relu(self.a(x)))))

    net, loose = Tied(), Tied(tied=False)
    axes = {"b.weight": ["h"], "b.bias": ["h"], "c.weight": [None, "h"]}
    swapped = Permutation(PermutationSpec.from_axes(axes, net), {"h": [1, 0, 2]})
    swapped.apply(loose)
    with pytest.raises(ValueError, match=r"'b.weight' and 'a.weight' in different ways"):
        swapped.apply(net)
    for pair, where in (((net, loose), "`a`"), ((loose, net), "`b`")):
        with pytest.raises(ValueError, match=rf"'b.weight' and 'a.weight' are one .* {where} only"):
            match(*pair, spec=swapped.spec)


def test_saved_and_loaded(tmp_path):
    from architectures import build

    spec = infer_spec(build("residual, GroupNorm 4"))
    perm = Permutation.random(spec, rng=0)
    perm.save(tmp_path / "perm.safetensors")
    loaded = Permutation.load(tmp_path / "perm.safetensors")
    assert loaded == perm and loaded.spec == spec


def test_other_files_hold_no_permutation(tmp_path):
    from safetensors.torch import save_file

    save_file({"h": torch.zeros(2)}, tmp_path / "weights.safetensors")
    (tmp_path / "text").write_text("no tensors here")
    for name in ("weights.safetensors", "text"):
        with pytest.raises(ValueError, match="holds no permutation"):
            Permutation.load(tmp_path / name)
