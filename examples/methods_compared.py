r"""
Matching methods on one pair of networks
========================================

The straight line between two trained networks, after the units of one were permuted
in five different ways.
"""

from otlmc import connectivity, data, plotting
from otlmc.matching import match
from otlmc.networks import Architecture, TrainConfig, train

digits = data.load("digits")
shape = Architecture(widths=(64, 128, 128, 10))
config = TrainConfig(lr=0.05, batch_size=50, epochs=20)
a, b = train(shape, digits, config, seeds=[0, 1]).stack

# %%
# ``weight`` permutes all layers in turns until nothing moves; the others pass once
# from the input to the output and differ in what they compare.

reports = {}
for method in (
    "none",
    "weight_incoming",
    "weight",
    "covariance",
    "activation_centred",
):
    found = match(a, b, digits.train_inputs, method=method)
    reports[method] = connectivity.path(
        a,
        found.permutation.apply(b),
        digits.test_inputs,
        digits.test_labels,
        points=21,
    )
    print(f"{method:18} loss barrier {reports[method].loss_barrier:6.3f}")

# %%

with plotting.style():
    figure, (ax,) = plotting.panels(1, 1)
    plotting.plot_path({name: [report] for name, report in reports.items()}, ax=ax)
    ax.set_ylabel("test cross-entropy (nats)")
    ax.set_title("Between two networks trained on the digits")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
