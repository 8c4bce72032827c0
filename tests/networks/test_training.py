import numpy as np
import pytest
import torch
from torch.nn import functional as F

from otlmc import data
from otlmc.networks import MLP, Architecture, Schedule, TrainConfig, draw, train
from otlmc.networks.initialisation import generators

WARM_COSINE = Schedule(shape="cosine", warmup_steps=4, warmup_start=1e-3)
SGD = TrainConfig(lr=0.1, weight_decay=0.01, batch_size=50, epochs=2, schedule=WARM_COSINE)
ADAMW = TrainConfig(optimiser="adamw", lr=0.01, weight_decay=0.1, batch_size=50, epochs=2)
DIGITS = Architecture(widths=(64, 12, 10))


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def by_hand(architecture, dataset, config, seed, lr):
    """Train one plain module with torch.optim, batch by batch."""
    network = draw(architecture, [seed], initialisation=config.initialisation)[0]
    kinds = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}
    extra = {"momentum": config.momentum} if config.optimiser == "sgd" else {}
    optimiser = kinds[config.optimiser](
        network.parameters(), lr=lr, weight_decay=config.weight_decay, fused=False, **extra
    )
    steps = config.steps_per_epoch(len(dataset.train_labels))
    rates = iter(config.schedule.rates(lr, epochs=config.epochs, steps_per_epoch=steps))
    order = generators(seed)[1]
    for _ in range(config.epochs):
        for batch in torch.randperm(len(dataset.train_labels), generator=order).split(
            config.batch_size
        ):
            optimiser.param_groups[0]["lr"] = next(rates)
            optimiser.zero_grad()
            logits = network(dataset.train_inputs[batch])
            F.cross_entropy(logits, dataset.train_labels[batch]).backward()
            optimiser.step()
    assert next(rates, None) is None
    return network


def assert_same(network: MLP, other: MLP):
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=lambda config: config.optimiser)
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_stacked_network_is_the_one_that_torch_optim_trains_alone(digits, config, layer_norm):
    architecture = Architecture(widths=(64, 12, 12, 10), layer_norm=layer_norm)
    stack = train(architecture, digits, config, [4, 5, 6], device="cpu").stack
    assert_same(stack[1], by_hand(architecture, digits, config, 5, config.lr))


def test_one_learning_rate_per_network(digits):
    rates = (0.1, 0.1, 0.02, 0.1)
    config = TrainConfig(lr=rates, batch_size=50, epochs=1, schedule=WARM_COSINE)
    stack = train(DIGITS, digits, config, [0, 1, 1, 2], device="cpu").stack
    for network, seed, lr in zip(stack, [0, 1, 1, 2], rates, strict=True):
        assert_same(network, by_hand(DIGITS, digits, config, seed, lr))


def test_chunks_do_not_show(digits):
    whole = train(DIGITS, digits, SGD, range(5), device="cpu", checkpoints=[0, 7])
    pieces = train(DIGITS, digits, SGD, range(5), device="cpu", checkpoints=[0, 7], memory=1)
    for step in (0, 7):
        for network, other in zip(whole.checkpoints[step], pieces.checkpoints[step], strict=True):
            assert_same(network, other)
    np.testing.assert_allclose(whole.test_loss, pieces.test_loss, rtol=1e-3)


def test_checkpoints_are_the_networks_after_that_many_steps(digits):
    initial = draw(DIGITS, [3])
    config = TrainConfig(lr=0.05, batch_size=50, epochs=1)
    assert config.steps_per_epoch(len(digits.train_labels)) == 26  # the last batch has 47
    longer = TrainConfig(lr=0.05, batch_size=50, epochs=2)
    short = train(DIGITS, digits, config, [3], device="cpu", checkpoints=[26])
    long = train(DIGITS, digits, longer, [3], device="cpu", checkpoints=[52, 0, 26])
    assert list(long.checkpoints) == [0, 26, 52]
    for name, tensor in long.checkpoints[0].tensors.items():
        assert torch.equal(tensor, initial.tensors[name])
        assert torch.equal(long.checkpoints[26].tensors[name], short.stack.tensors[name])
        assert torch.equal(long.checkpoints[52].tensors[name], long.stack.tensors[name])
        assert not torch.equal(long.stack.tensors[name], short.stack.tensors[name])


def test_training_learns_and_repeats(digits):
    config = TrainConfig(lr=0.05, batch_size=50, epochs=10, schedule=WARM_COSINE)
    result = train(DIGITS, digits, config, [0, 1], device="cpu")
    assert (result.test_error < 0.1).all() and (result.train_error < 0.05).all()
    again = train(DIGITS, digits, config, [0, 1], device="cpu")
    np.testing.assert_array_equal(result.test_loss, again.test_loss)
    assert not result.stack.tensors["layers.0.weight"].requires_grad


def test_a_diverging_network_leaves_its_neighbours_alone(digits):
    config = TrainConfig(lr=(0.05, 1e6, 0.05), batch_size=50, epochs=1)
    mixed = train(DIGITS, digits, config, [0, 1, 2], device="cpu")
    assert not mixed.test_loss[1] < 100
    alone = train(DIGITS, digits, TrainConfig(lr=0.05, batch_size=50, epochs=1), [0], device="cpu")
    assert_same(mixed.stack[0], alone.stack[0])


def test_schedules_end_where_they_should():
    cosine = Schedule(shape="cosine", warmup_steps=10, warmup_start=1e-6)
    rates = cosine.rates(0.1, epochs=6, steps_per_epoch=10)
    np.testing.assert_allclose(rates[:2], [1e-6, 1e-6 + (0.1 - 1e-6) / 10])
    assert rates[10] == 0.1
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50)
    for rate in rates[10:]:
        np.testing.assert_allclose(rate, optimiser.param_groups[0]["lr"], rtol=1e-10)
        optimiser.step()
        theirs.step()
    stairs = Schedule(shape="cosine_epoch").rates(0.1, epochs=4, steps_per_epoch=2)
    np.testing.assert_allclose(stairs[::2], stairs[1::2])
    np.testing.assert_allclose(stairs[::2], 0.05 * (1 + np.cos(np.pi * np.arange(4) / 4)))
    constant = Schedule(warmup_steps=2).rates(0.1, epochs=2, steps_per_epoch=2)
    np.testing.assert_allclose(constant, [0, 0.05, 0.1, 0.1])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("optimiser", "lion", "`optimiser` must be one of"),
        ("lr", 0.0, "`lr` must be finite and > 0"),
        ("lr", (0.1, float("nan")), "`lr` must be finite"),
        ("momentum", 1.0, "`momentum` must be"),
        ("weight_decay", -1.0, "`weight_decay` must be"),
        ("batch_size", 0, "`batch_size` must be a positive"),
        ("epochs", 0, "`epochs` must be a positive"),
        ("initialisation", "ones", "`initialisation` must be one of"),
    ],
)
def test_config_is_checked(field, value, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{field: value})


def test_bad_arguments_are_named(digits):
    config = TrainConfig(lr=(0.1, 0.2), batch_size=50, epochs=1)
    with pytest.raises(ValueError, match="`lr` has 2 entries for 3 `seeds`"):
        train(DIGITS, digits, config, [0, 1, 2])
    with pytest.raises(ValueError, match="`seeds` is empty"):
        train(DIGITS, digits, SGD, [])
    with pytest.raises(ValueError, match=r"`checkpoints` must lie in 0..52 steps, got \[53\]"):
        train(DIGITS, digits, SGD, [0], checkpoints=[1, 53])
    with pytest.raises(ValueError, match="maps 64 inputs to 2 outputs; digits needs 64 and 10"):
        train(Architecture(widths=(64, 2)), digits, SGD, [0])
    with pytest.raises(ValueError, match="`memory` must be a positive"):
        train(DIGITS, digits, SGD, [0], memory=0)
    with pytest.raises(ValueError, match="`warmup_steps` must be below the 52 steps"):
        late = TrainConfig(batch_size=50, epochs=2, schedule=Schedule(warmup_steps=52))
        train(DIGITS, digits, late, [0])
    with pytest.raises(ValueError, match="`shape` must be one of"):
        Schedule(shape="sawtooth")
    with pytest.raises(ValueError, match="`warmup_start` must be"):
        Schedule(warmup_start=-1.0)
