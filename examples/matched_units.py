r"""
What a permutation does
=======================

Do two networks trained apart have the same units? Correlate the hidden units of
both on data. As trained, unit i of B has nothing to do with unit i of A; the
matching finds a partner for every unit here, though seldom a twin.
"""

import numpy as np

from otlmc import data, plotting
from otlmc.matching import match
from otlmc.networks import Architecture, TrainConfig, train

digits = data.load("digits")
shape = Architecture(widths=(64, 256, 40, 10), activation="tanh")
config = TrainConfig(lr=0.05, batch_size=50, epochs=20)
a, b = train(shape, digits, config, seeds=[0, 1], device="cpu").stack
found = match(a, b, digits.train_inputs, method="activation_correlation")
aligned = found.permutation.apply(b)

# %%
# The second layer, its units sorted by how well they found a partner.


def correlations(first, second):
    units = (
        net.activations(digits.train_inputs)[2].detach().numpy().T
        for net in (first, second)
    )
    return np.corrcoef(*units)[:40, 40:]


before, after = correlations(a, b), correlations(a, aligned)
order = np.argsort(-np.diag(after))

with plotting.style():
    figure, (left, right) = plotting.panels(1, 2)
    plotting.plot_matching(after[order], order, ax=left)
    left.set_title("Correlation of the units, B permuted onto A")
    for name, look in plotting.looks(("as trained", "matched")).items():
        values = np.diag(before if name == "as trained" else after)
        right.hist(
            values,
            bins=20,
            range=(-1, 1),
            label=name,
            color=look["color"],
            alpha=0.6,
        )
    right.set(xlabel="correlation of unit i of A with unit i of B", ylabel="units")
    right.set_title("Pairs of units")
    right.legend()
