import numpy as np
import pytest
import torch

from otlmc import data
from otlmc.matching.permutation import Permutation
from otlmc.matching.spec import PermutationSpec
from otlmc.networks import Architecture, Schedule, TrainConfig, draw, train
from otlmc.networks.pruning import (
    iterative_magnitude_pruning,
    magnitude_masks,
    prunable,
    sparsify,
    transport_masks,
)

SMALL = Architecture(widths=(10, 8, 6, 3))
HIDDEN = ["layers.0.weight", "layers.1.weight"]


@pytest.mark.parametrize("output", [False, True])
def test_the_largest_weights_over_all_layers_stay(output):
    stack = draw(SMALL, [0, 1, 2])
    masks = magnitude_masks(stack, 0.7, output=output)
    names = [*HIDDEN, "layers.2.weight"] if output else HIDDEN
    assert list(masks) == names == prunable(SMALL, output=output)
    for e in range(3):
        sizes = np.concatenate([stack.tensors[n][e].abs().numpy().ravel() for n in names])
        kept = np.concatenate([masks[n][e].numpy().ravel() for n in names])
        assert kept.sum() == round(0.3 * len(sizes))
        assert sizes[kept].min() > sizes[~kept].max()


def test_pruning_goes_on_from_what_is_left():
    stack = draw(SMALL, [0, 1])
    first = magnitude_masks(stack, 0.5)
    # Weights that training moved to zero are not the ones that are gone.
    zeroed = {n: torch.zeros_like(t) for n, t in stack.tensors.items()}
    second = magnitude_masks(type(stack)(SMALL, zeroed), 0.5, masks=first)
    for name in HIDDEN:
        assert (first[name] | ~second[name]).all()
    assert sum(int(m[0].sum()) for m in second.values()) == 32
    sparse = sparsify(stack, first)
    for name, tensor in sparse.tensors.items():
        expected = torch.where(first[name], stack.tensors[name], 0.0) if name in first else None
        assert torch.equal(tensor, stack.tensors[name] if expected is None else expected)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_iterative_pruning_rewinds_and_keeps_zeros(digits):
    architecture = Architecture(widths=(64, 16, 12, 10))
    config = TrainConfig(lr=0.05, batch_size=50, epochs=4, schedule=Schedule(shape="cosine"))
    levels = iterative_magnitude_pruning(
        architecture, digits, config, [0, 1], levels=3, rewind_step=26, device="cpu"
    )
    alone = train(architecture, digits, config, [0, 1], checkpoints=[26], device="cpu")
    assert [level.left for level in levels] == pytest.approx([1, 0.8, 0.64, 0.512], abs=1e-3)
    for before, level in zip([None, *levels], levels, strict=False):
        for name, start in alone.checkpoints[26].tensors.items():
            mask = level.masks.get(name, torch.ones_like(start, dtype=torch.bool))
            assert torch.equal(level.rewound.tensors[name], torch.where(mask, start, 0.0))
            trained = level.result.stack.tensors[name]
            assert not trained[~mask].any() and trained[mask].ne(0).all()
        if before is not None:
            expected = magnitude_masks(before.result.stack, 0.2, masks=before.masks)
            assert all(torch.equal(level.masks[n], expected[n]) for n in HIDDEN)
    again = train(
        architecture,
        digits,
        config,
        [0, 1],
        initial=levels[2].rewound,
        first_step=26,
        masks=levels[2].masks,
        device="cpu",
    )
    np.testing.assert_array_equal(again.test_loss, levels[2].result.test_loss)


def test_transport_is_masking_in_the_places_of_the_other_network():
    """Masks carried to B and then matched are A's masks on the matched B."""
    stack = draw(SMALL, [0, 1])
    axes = {
        "layers.0.weight": ["a"],
        "layers.0.bias": ["a"],
        "layers.1.weight": ["b", "a"],
        "layers.1.bias": ["b"],
        "layers.2.weight": [None, "b"],
    }
    permutation = Permutation.random(PermutationSpec.from_axes(axes, stack[0]), rng=0)
    of_a = {name: mask[0] for name, mask in magnitude_masks(stack, 0.5).items()}
    of_b = transport_masks(of_a, permutation)
    b = stack[1].state_dict()
    masked = {n: t * of_b[n] if n in of_b else t for n, t in b.items()}
    for name, tensor in permutation.apply(masked).items():
        expected = permutation.apply(b)[name] * of_a.get(name, 1)
        assert torch.equal(tensor, expected)
    assert any(not torch.equal(of_a[name], of_b[name]) for name in of_a)


def test_bad_arguments_are_named():
    stack = draw(SMALL, [0, 1])
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="`fraction` must be"):
            magnitude_masks(stack, fraction)
    with pytest.raises(ValueError, match="`masks` must have the names"):
        magnitude_masks(stack, 0.5, masks={})
    uneven = magnitude_masks(stack, 0.5)
    uneven["layers.0.weight"][0] = True
    with pytest.raises(ValueError, match="the same number of weights"):
        magnitude_masks(stack, 0.5, masks=uneven)
    with pytest.raises(ValueError, match="no hidden layer"):
        prunable(Architecture(widths=(4, 2)))
