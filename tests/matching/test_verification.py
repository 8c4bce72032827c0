import numpy as np
import pytest
import torch
from small_networks import gaussian, mlp

from otlmc.matching import Permutation, PermutationSpec, infer_spec, match, verify


def distance(a, b):
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return sum(float((p - q).detach().square().sum()) for p, q in pairs) ** 0.5


def test_what_a_matching_changes():
    a, b, x = mlp(4, 8, 8, 3, seed=0), mlp(4, 8, 8, 3, seed=1), gaussian(30, 4)
    found = match(a, b)
    permutation = found.permutation
    checked, moved = verify(a, b, permutation, x), permutation.apply(b)
    assert verify(a, b, found, x).to_record() == checked.to_record()
    assert str(checked).startswith("B permuted computes the same function")
    assert checked.preserved and checked.output_change < 1e-13
    np.testing.assert_allclose(checked.distance_before, distance(a, b), rtol=1e-10)
    np.testing.assert_allclose(checked.distance_after, distance(a, moved), rtol=1e-10)
    assert checked.distance_after < checked.distance_before
    norm = sum(float(p.detach().square().sum()) for p in a.parameters()) ** 0.5
    np.testing.assert_allclose(checked.relative_distance, checked.distance_after / norm, rtol=1e-10)
    stays = [np.mean(p == np.arange(len(p))) for p in permutation.values()]
    np.testing.assert_allclose(checked.moved, 1 - np.mean(stays), rtol=1e-10)


def test_a_wrong_specification_is_found_out():
    """A hand-written specification that forgets the outgoing weights changes the function."""
    a, x = mlp(4, 8, 3), gaussian(30, 4)
    wrong = PermutationSpec.from_axes({"0.weight": ["h"], "0.bias": ["h"]}, a)
    checked = verify(a, a, Permutation.random(wrong, rng=0), x)
    assert not checked.preserved and checked.output_change > 0.01
    assert "NOT the same" in str(checked)


def test_refusals():
    a = mlp(4, 8, 3)
    identity = Permutation.identity(infer_spec(a))
    with pytest.raises(ValueError, match="`inputs` holds NaN"):
        verify(a, a, identity, torch.full((2, 4), torch.nan))
    with pytest.raises(ValueError, match=r"`a`: axis 0 of '0.weight'"):
        verify(mlp(4, 9, 3), a, identity, gaussian(2, 4))
