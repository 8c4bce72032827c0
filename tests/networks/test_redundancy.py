import pytest
import torch

from otlmc import data
from otlmc.networks import MLP, Architecture, Schedule, Stack, TrainConfig, draw, evaluate, train
from otlmc.networks.redundancy import pad, reduce_redundancy


def with_copies(scales):
    """Two features in general position, and scaled copies of the first."""
    network = draw(Architecture(widths=(3, 2 + len(scales), 2)), [0])[0]
    with torch.no_grad():
        for place, scale in enumerate(scales, 2):
            network.layers[0].weight[place] = scale * network.layers[0].weight[0]
            network.layers[0].bias[place] = scale * network.layers[0].bias[0]
    return network


@pytest.mark.parametrize("scales", [(2.0,), (0.25, 3.0, 1.0, 7.0)])
def test_copies_merge_without_changing_the_function(scales):
    network = with_copies(scales)
    reduced = reduce_redundancy(network)
    assert reduced.architecture.widths == (3, 2, 2)
    inputs = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(reduced(inputs), network(inputs), rtol=1e-4, atol=1e-5)


def test_the_published_weights_change_the_function_and_half_of_the_units_stay():
    network = with_copies((2.0,))
    published = reduce_redundancy(network, as_published=True)
    inputs = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    assert published.architecture.widths == (3, 2, 2)
    assert (published(inputs) - network(inputs)).abs().max() > 0.01
    # The formula to the letter: the copy, twice as long, comes in with weight 1/2 instead of 2.
    out = network.layers[1].weight
    torch.testing.assert_close(published.layers[1].weight[:, 0], out[:, 0] + out[:, 2] / 2)


def test_the_published_loop_ends_early():
    """Five pairs of copies: three merges show 6 units with 7 left, the fourth 8 with 6 left."""
    network = draw(Architecture(widths=(20, 10, 1)), [0])[0]
    with torch.no_grad():
        network.layers[0].weight[5:] = network.layers[0].weight[:5]
        network.layers[0].bias[5:] = network.layers[0].bias[:5]
    assert reduce_redundancy(network).architecture.widths[1] == 5
    assert reduce_redundancy(network, as_published=True).architecture.widths[1] == 6


def test_opposite_and_dead_units_stay_apart():
    network = with_copies((-1.0,))
    assert reduce_redundancy(network).architecture.widths[1] == 3
    dead = with_copies((0.0, 0.0))
    assert reduce_redundancy(dead).architecture.widths[1] == 4


def test_padding_does_not_change_the_function():
    network = with_copies((2.0,))
    wider = pad(network, 9)
    inputs = torch.randn(20, 3)
    assert wider.architecture.widths == (3, 9, 2)
    torch.testing.assert_close(wider(inputs), network(inputs))
    with pytest.raises(ValueError, match="`width` must be at least 3"):
        pad(network, 2)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(widths=(3, 4, 4, 1)),
        Architecture(widths=(3, 4, 1), activation="tanh"),
        Architecture(widths=(3, 4, 1), layer_norm=True),
    ],
)
def test_other_networks_are_refused(architecture):
    with pytest.raises(ValueError, match="`network` must have one hidden ReLU layer"):
        reduce_redundancy(MLP(architecture))


PUBLISHED_TRAIN_LOSS = {  # mean and standard deviation over 50 networks
    2: (0.264, 0.088),
    4: (0.186, 0.087),
    8: (0.105, 0.095),
    16: (0.019, 0.038),
    32: (0.005, 0.001),
    64: (0.003, 0.001),
    128: (0.002, 0.0),
    256: (0.002, 0.0),
    512: (0.001, 0.0),
}


@pytest.mark.parametrize("width", PUBLISHED_TRAIN_LOSS)
def test_the_moons_zoo_and_its_reduction(width):
    moons = data.load("moons")
    config = TrainConfig(
        optimiser="adamw",
        lr=0.1,
        weight_decay=0.01,
        batch_size=256,
        epochs=100,
        schedule=Schedule(shape="cosine_epoch"),
    )
    result = train(Architecture(widths=(2, width, 1)), moons, config, range(12), device="cpu")
    mean, deviation = PUBLISHED_TRAIN_LOSS[width]
    # Both published numbers are rounded to .001, so either may be .0005 more.
    assert abs(result.train_loss.mean() - mean) <= 0.0005 + 2 * (deviation + 0.0005)
    if width < 16:
        return
    reduced = [reduce_redundancy(network) for network in result.stack]
    padded = Stack.of([pad(network, width) for network in reduced])
    after = evaluate(padded, moons.test_inputs, moons.test_labels)
    assert (abs(after.loss - result.test_loss).mean()) <= 0.002
    same = (padded(moons.test_inputs) > 0) == (result.stack(moons.test_inputs) > 0)
    assert same.float().mean() >= 0.99
