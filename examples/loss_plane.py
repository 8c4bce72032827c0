r"""
A plane through three networks, before and after
================================================

Three networks trained apart span a triangle. After two of them are permuted onto
the third, one basin holds all three: pairwise connected, and connected through
their average too.
"""

from otlmc import connectivity, data, plotting
from otlmc.matching import match_all
from otlmc.networks import Architecture, TrainConfig, train

digits = data.load("digits")
shape = Architecture(widths=(64, 64, 64, 10))
config = TrainConfig(lr=0.05, batch_size=50, epochs=20)
networks = list(train(shape, digits, config, seeds=[0, 1, 2]).stack)
joint = match_all(networks, digits.train_inputs, method="activation_centred")
aligned = [
    p.apply(net) for p, net in zip(joint.permutations, networks, strict=True)
]

# %%
# Both panels share their colours; white lines join the networks.

with plotting.style():
    figure, axes = plotting.panels(1, 2)
    for ax, title, corners in zip(
        axes,
        ("As trained", "B and C permuted onto A"),
        (networks, aligned),
        strict=True,
    ):
        report = connectivity.plane(
            corners, digits.test_inputs, digits.test_labels, margin=0.25
        )
        plotting.plot_loss_plane(report, limit=1.2, ax=ax)
        ax.set_title(title)
