r"""
Wider networks are easier to connect
====================================

The barrier between networks trained apart, against their width: as they are, and
with the units of one permuted onto those of the other.
"""

import pandas as pd

from otlmc import connectivity, data, plotting
from otlmc.matching import match
from otlmc.networks import Architecture, TrainConfig, train

digits = data.load("digits")
config = TrainConfig(lr=0.05, batch_size=50, epochs=15)
rows = []
for width in (8, 16, 32, 64, 128, 256):
    shape = Architecture(widths=(64, width, width, 10))
    stack = train(shape, digits, config, seeds=range(8)).stack
    for k in range(0, 8, 2):
        a, b = stack[k], stack[k + 1]
        for method in ("none", "weight", "activation_centred"):
            found = match(a, b, digits.train_inputs, method=method)
            report = connectivity.path(
                a,
                found.permutation.apply(b),
                digits.test_inputs,
                digits.test_labels,
            )
            rows.append(
                {
                    "width": width,
                    "matching": method,
                    "measured": report.loss_barrier,
                }
            )

# %%

with plotting.style():
    figure, (ax,) = plotting.panels(1, 1)
    plotting.plot_barrier_against_width(
        pd.DataFrame(rows),
        "matching",
        ylabel="barrier of the test cross-entropy (nats)",
        ax=ax,
    )
    ax.set_title("Digits, two hidden layers, four pairs of each width")
