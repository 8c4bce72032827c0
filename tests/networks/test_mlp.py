import math

import numpy as np
import pytest
import torch
from torch import nn

from otlmc.networks import MLP, Architecture, Stack, draw, evaluate

SMALL = Architecture(widths=(5, 7, 6, 3))
NORMED = Architecture(widths=(5, 7, 6, 3), layer_norm=True, activation="tanh")
BARE = Architecture(widths=(40, 7, 1), bias=False)


@pytest.mark.parametrize("architecture", [SMALL, NORMED, BARE])
@pytest.mark.parametrize("own", [False, True])
def test_stack_computes_what_its_networks_compute(architecture, own):
    stack = draw(architecture, [3, 1, 2])
    noisy = {n: t + 0.1 * torch.randn(t.shape) for n, t in stack.tensors.items()}
    stack = Stack(architecture, noisy)
    shape = (4, architecture.widths[0])
    inputs = torch.randn(3, *shape) if own else torch.randn(shape)
    outputs = stack(inputs)
    assert outputs.shape == (3, 4, architecture.widths[-1])
    for e, network in enumerate(stack):
        expected = network(inputs[e] if own else inputs)
        torch.testing.assert_close(outputs[e], expected, rtol=1e-5, atol=1e-6)
        hidden = stack.activations(inputs)[-1][e]
        torch.testing.assert_close(
            hidden, network.activations(inputs[e] if own else inputs)[-1], rtol=1e-5, atol=1e-6
        )


def test_mlp_is_the_sequential_network_with_norms_before_activations():
    mlp = MLP(NORMED)
    layers, norms = mlp.layers, mlp.norms
    sequential = nn.Sequential(
        layers[0], norms[0], nn.Tanh(), layers[1], norms[1], nn.Tanh(), layers[2]
    )
    inputs = torch.randn(4, 5)
    assert torch.equal(mlp(inputs), sequential(inputs))
    assert list(mlp.state_dict()) == list(NORMED.shapes)
    assert {n: tuple(t.shape) for n, t in mlp.state_dict().items()} == NORMED.shapes
    assert NORMED.parameter_count == sum(p.numel() for p in mlp.parameters())


def test_stacking_and_indexing_are_inverse():
    stack = draw(SMALL, range(4))
    again = Stack.of(list(stack))
    joined = Stack.concatenate([stack[:1], stack[1:]])
    for name, tensor in stack.tensors.items():
        assert torch.equal(tensor, again.tensors[name])
        assert torch.equal(tensor, joined.tensors[name])
    assert torch.equal(stack[-1].layers[0].weight, stack.tensors["layers.0.weight"][3])
    copy = stack.clone()
    copy.tensors["layers.0.bias"].zero_()
    assert stack.tensors["layers.0.bias"].abs().sum() > 0
    with pytest.raises(IndexError, match="network 4 of a stack of 4"):
        stack[4]


@pytest.mark.parametrize(
    "initialisation", ["torch", "lecun_truncated", "kaiming_normal", "kaiming_uniform"]
)
def test_initial_laws(initialisation):
    fan_in, count = 50, 50 * 4000
    weight = draw(
        Architecture(widths=(fan_in, 4000, 1)), [5], initialisation=initialisation
    ).tensors["layers.0.weight"]
    variance = {"torch": 1 / 3, "lecun_truncated": 1.0}.get(initialisation, 2.0) / fan_in
    largest = {
        "torch": math.sqrt(3 * variance),
        "kaiming_uniform": math.sqrt(3 * variance),
        "lecun_truncated": 2 * math.sqrt(variance) / 0.87962566103423978,
    }.get(initialisation, math.inf)
    # The variance of the sample variance is at most that of a normal sample, 2 variance^2 / n.
    assert abs(weight.var().item() - variance) < 5 * variance * math.sqrt(2 / count)
    assert abs(weight.mean().item()) < 5 * math.sqrt(variance / count)
    assert weight.abs().max() <= largest
    if largest < math.inf:
        assert weight.abs().max() > 0.99 * largest


@pytest.mark.parametrize("initialisation", ["lecun_truncated", "kaiming_normal"])
def test_biases_start_at_zero_except_in_the_default(initialisation):
    assert not draw(SMALL, [0], initialisation=initialisation).tensors["layers.1.bias"].any()
    default = draw(SMALL, range(200)).tensors["layers.1.bias"]
    assert 0.99 / math.sqrt(7) < default.abs().max() <= 1 / math.sqrt(7)


def test_a_network_depends_on_its_seed_alone():
    among, alone = draw(NORMED, [8, 9, 10]), draw(NORMED, [9])
    for name, tensor in among.tensors.items():
        assert torch.equal(tensor[1], alone.tensors[name][0])
        if "layers" in name:
            assert not torch.equal(tensor[0], tensor[1])


@pytest.mark.parametrize("outputs", [1, 3])
def test_evaluation_is_the_mean_over_the_set_whatever_the_batch(outputs):
    stack = draw(Architecture(widths=(5, 7, outputs)), range(3))
    inputs, labels = torch.randn(50, 5), torch.arange(50) % max(2, outputs)
    result = evaluate(stack, inputs, labels, batch_size=7)
    for e, network in enumerate(stack):
        logits = network(inputs).double().detach()
        both = torch.cat([torch.zeros_like(logits), logits], 1) if outputs == 1 else logits
        loss = nn.functional.cross_entropy(both, labels)
        np.testing.assert_allclose(result.loss[e], loss, rtol=1e-6)
        assert result.error[e] == (both.argmax(1) != labels).double().mean()
        alone = evaluate(network, inputs, labels)
        np.testing.assert_allclose([alone.loss, alone.error], [result.loss[e], result.error[e]])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`widths` needs inputs and outputs"):
        Architecture(widths=(3,))
    with pytest.raises(ValueError, match="`widths` must be a positive integer, got 0"):
        Architecture(widths=(3, 0, 1))
    with pytest.raises(ValueError, match="`activation` must be one of"):
        Architecture(activation="gelu")
    tensors = dict(draw(SMALL, [0, 1]).tensors)
    with pytest.raises(ValueError, match=r"`tensors` misses.*layers.0.bias"):
        Stack(SMALL, {n: t for n, t in tensors.items() if n != "layers.0.bias"})
    with pytest.raises(ValueError, match=r"`tensors\['layers.2.bias'\]` must have shape \(2, 3\)"):
        Stack(SMALL, {**tensors, "layers.2.bias": torch.zeros(2, 4)})
    with pytest.raises(ValueError, match=r"`networks\[1\]` is"):
        Stack.of([MLP(SMALL), MLP(NORMED)])
    with pytest.raises(ValueError, match="`networks` is empty"):
        Stack.of([])
    with pytest.raises(ValueError, match="`seeds` is empty"):
        draw(SMALL, [])
    for seed in (-1, 0.5):
        with pytest.raises(ValueError, match="`seeds` must be integers of at least 0, got"):
            draw(SMALL, [seed])
    with pytest.raises(ValueError, match="`initialisation` must be one of"):
        draw(SMALL, [0], initialisation="zeros")
    with pytest.raises(ValueError, match="`labels` has 2 entries for 3"):
        evaluate(MLP(SMALL), torch.zeros(3, 5), torch.zeros(2, dtype=torch.int64))
