r"""
What the average of two networks decides
========================================

Two networks separate the moons. The average of their weights does not, until the
units of one are permuted onto those of the other.
"""

from otlmc import data, plotting
from otlmc.matching import match
from otlmc.networks import Architecture, Stack, TrainConfig, evaluate, train

moons = data.load("moons")
shape = Architecture(widths=(2, 64, 64, 1))
config = TrainConfig(optimiser="adamw", lr=0.01, batch_size=128, epochs=30)
a, b = train(shape, moons, config, seeds=[0, 1]).stack
aligned = match(
    a, b, moons.train_inputs, method="activation_centred"
).permutation.apply(b)

# %%


def average(first, second):
    return Stack.average([Stack.of([first]), Stack.of([second])])[0]


networks = {
    "network A": a,
    "network B": b,
    "average of A and B": average(a, b),
    "average of A and the permuted B": average(a, aligned),
}
with plotting.style():
    figure, axes = plotting.panels(2, 2)
    for ax, (title, network) in zip(axes, networks.items(), strict=True):
        plotting.plot_decision_regions(
            network, moons.test_inputs, moons.test_labels, ax=ax
        )
        error = evaluate(
            Stack.of([network]), moons.test_inputs, moons.test_labels
        ).error[0]
        ax.set_title(f"{title}: {error:.1%} wrong")
