from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from otlmc import data
from otlmc.networks import MLP, Architecture, Schedule, Stack, TrainConfig, draw, train
from otlmc.networks.initialisation import generators

WARM_COSINE = Schedule(shape="cosine", warmup_steps=4, warmup_start=1e-3)
SGD = TrainConfig(lr=0.1, weight_decay=0.01, batch_size=50, epochs=2, schedule=WARM_COSINE)
ADAMW = TrainConfig(optimiser="adamw", lr=0.01, weight_decay=0.1, batch_size=50, epochs=2)
DIGITS = Architecture(widths=(64, 12, 10))


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def by_hand(architecture, dataset, config, seed, lr):
    """Train one plain module with torch.optim and its own schedulers, batch by batch."""
    network = draw(architecture, [seed], initialisation=config.initialisation)[0]
    kind, extra = {
        "sgd": (torch.optim.SGD, {"momentum": config.momentum}),
        "adamw": (torch.optim.AdamW, {}),
        "rmsprop": (torch.optim.RMSprop, {}),
        "adagrad": (torch.optim.Adagrad, {}),
    }[config.optimiser]
    optimiser = kind(network.parameters(), lr=lr, weight_decay=config.weight_decay, **extra)
    steps = config.steps_per_epoch(len(dataset.train_labels))
    rates = config.schedule.rates(lr, epochs=config.epochs, steps_per_epoch=steps).tolist()
    cycle = None
    if config.schedule.shape == "onecycle":
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=len(rates))
    order = generators(seed if config.order_seed is None else config.order_seed)[1]
    for _ in range(config.epochs):
        examples = torch.randperm(len(dataset.train_labels), generator=order)
        for batch in examples.split(config.batch_size):
            rate = rates.pop(0)
            if cycle is None:
                optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
            logits = network(dataset.train_inputs[batch])
            F.cross_entropy(logits, dataset.train_labels[batch]).backward()
            optimiser.step()
            if cycle is not None and rates:
                cycle.step()
    assert not rates
    return network


def assert_same(network: MLP, other: MLP):
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-3, atol=2e-5)


CONFIGS = {
    "sgd": SGD,
    "adamw": ADAMW,
    "rmsprop": replace(SGD, optimiser="rmsprop", lr=0.002),
    "adagrad": replace(SGD, optimiser="adagrad", lr=0.02),
    "sgd onecycle": replace(SGD, schedule=Schedule(shape="onecycle")),
    "adamw onecycle": replace(ADAMW, schedule=Schedule(shape="onecycle")),
    "shared order": replace(SGD, order_seed=11),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
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
    pieces = train(DIGITS, digits, SGD, range(5), device="cpu", checkpoints=[0, 7], chunk=2)
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


def test_training_takes_up_where_a_checkpoint_stands(digits):
    config = replace(SGD, momentum=0.0, weight_decay=0.0)  # nothing but the weights is state
    whole = train(DIGITS, digits, config, [0, 1], device="cpu", checkpoints=[30])
    before = whole.checkpoints[30].clone()
    rest = train(
        DIGITS,
        digits,
        config,
        [0, 1],
        initial=whole.checkpoints[30],
        first_step=30,
        device="cpu",
        checkpoints=[30, 52],
    )
    for name, tensor in whole.stack.tensors.items():
        assert torch.equal(tensor, rest.stack.tensors[name])
        assert torch.equal(before.tensors[name], rest.checkpoints[30].tensors[name])
        assert torch.equal(before.tensors[name], whole.checkpoints[30].tensors[name])


@pytest.mark.parametrize("common", [False, True])
def test_masked_weights_are_zero_from_the_beginning_to_the_end(digits, common):
    shape = (10, 12) if common else (2, 10, 12)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    result = train(
        DIGITS,
        digits,
        SGD,
        [0, 1],
        masks={"layers.1.weight": mask},
        device="cpu",
        checkpoints=[0, 1, 52],
    )
    for stack in result.checkpoints.values():
        weight = stack.tensors["layers.1.weight"]
        assert torch.equal(weight != 0, mask.expand_as(weight))
    assert (result.stack.tensors["layers.0.weight"] != 0).all()


def test_average_is_the_mean_over_checkpoints(digits):
    result = train(DIGITS, digits, SGD, [0, 1], device="cpu", checkpoints=[20, 40, 52])
    mean = Stack.average(result.checkpoints.values())
    for name, tensor in mean.tensors.items():
        expected = sum(stack.tensors[name] for stack in result.checkpoints.values()) / 3
        torch.testing.assert_close(tensor, expected)
    with pytest.raises(ValueError, match="`stacks` is empty"):
        Stack.average([])
    with pytest.raises(ValueError, match="`stacks` mixes"):
        Stack.average([mean, draw(Architecture(widths=(64, 2)), [0])])


def test_records_hold_one_row_per_network(digits):
    config = TrainConfig(lr=(0.1, 0.2), batch_size=500, epochs=1)
    result = train(DIGITS, digits, config, [7, 8], device="cpu")
    rows = result.to_records()
    assert [(row["seed"], row["lr"]) for row in rows] == [(7, 0.1), (8, 0.2)]
    assert rows[1]["test_loss"] == result.test_loss[1]


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


def test_steps_fall_at_the_milestones():
    steps = Schedule(shape="step", milestones=(2, 5), factor=0.5)
    rates = steps.rates(0.1, epochs=7, steps_per_epoch=3)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2, 5], gamma=0.5)
    for epoch in range(7):
        np.testing.assert_allclose(rates[3 * epoch : 3 * epoch + 3], theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 57])
def test_onecycle_is_the_one_of_torch(steps):
    schedule = Schedule(shape="onecycle")
    rates, momenta = schedule.rates(0.1, epochs=1, steps_per_epoch=steps), schedule.momenta(steps)
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps)
    for step in range(steps):
        group = optimiser.param_groups[0]
        np.testing.assert_allclose([rates[step], momenta[step]], [group["lr"], group["momentum"]])
        optimiser.step()
        if step + 1 < steps:
            theirs.step()


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
    with pytest.raises(ValueError, match="`lr` has 2 entries for 3 networks"):
        train(DIGITS, digits, config, [0, 1, 2])
    with pytest.raises(ValueError, match="`seeds` is empty"):
        train(DIGITS, digits, SGD, [])
    with pytest.raises(ValueError, match=r"`checkpoints` must lie in 0..52 steps, got \[53\]"):
        train(DIGITS, digits, SGD, [0], checkpoints=[1, 53])
    with pytest.raises(ValueError, match="maps 64 inputs to 2 outputs; digits needs 64 and 10"):
        train(Architecture(widths=(64, 2)), digits, SGD, [0])
    with pytest.raises(ValueError, match="`chunk` must be a positive"):
        train(DIGITS, digits, SGD, [0], chunk=0)
    with pytest.raises(ValueError, match="`warmup_steps` must be below the 52 steps"):
        late = TrainConfig(batch_size=50, epochs=2, schedule=Schedule(warmup_steps=52))
        train(DIGITS, digits, late, [0])
    with pytest.raises(ValueError, match=r"`first_step` must lie in 0..51, got 52"):
        train(DIGITS, digits, SGD, [0], first_step=52)
    with pytest.raises(ValueError, match=r"`checkpoints` must lie in 4..52 steps, got \[3\]"):
        train(DIGITS, digits, SGD, [0], first_step=4, checkpoints=[3])
    with pytest.raises(ValueError, match="`initial` must hold 1 networks"):
        train(DIGITS, digits, SGD, [0], initial=draw(DIGITS, [0, 1]))
    with pytest.raises(ValueError, match=r"`masks` names 'layers\.2\.weight'"):
        train(DIGITS, digits, SGD, [0], masks={"layers.2.weight": torch.ones(1) > 0})
    with pytest.raises(ValueError, match=r"`masks\['layers.1.weight'\]` must be bool of shape"):
        train(DIGITS, digits, SGD, [0], masks={"layers.1.weight": torch.ones(10, 12)})
    with pytest.raises(ValueError, match="`milestones` must be given with"):
        Schedule(shape="step")
    with pytest.raises(ValueError, match="`milestones` must increase"):
        Schedule(shape="step", milestones=(3, 3))
    with pytest.raises(ValueError, match="`warmup_steps` must be 0 with"):
        Schedule(shape="onecycle", warmup_steps=3)
    with pytest.raises(ValueError, match="`shape` must be one of"):
        Schedule(shape="sawtooth")
    with pytest.raises(ValueError, match="`warmup_start` must be"):
        Schedule(warmup_start=-1.0)
