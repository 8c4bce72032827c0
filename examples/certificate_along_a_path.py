r"""
A certificate along a path
==========================

A deviation measured at a few points of a path says nothing of what lies between
them. The certificate bounds it at every t, for two given networks, from their
weights.
"""

import numpy as np

from otlmc import data, plotting
from otlmc.certificate import certify
from otlmc.matching import match
from otlmc.networks import Architecture, TrainConfig, train

digits = data.load("digits")
shape = Architecture(widths=(64, 96, 96, 10))
config = TrainConfig(lr=0.01, batch_size=50, epochs=20)
a, b = train(shape, digits, config, seeds=[0, 1]).stack
found = match(a, b, digits.train_inputs, method="covariance")

# %%
# The networks are run on a grid of the path. Between two points of it, no output
# can be further from the straight line than at its ends by more than ``excess``.

proofs = {
    f"proved for all t, {pieces} pieces": certify(
        a, b, digits.test_inputs, permutation=found, pieces=pieces
    )
    for pieces in (16, 64, 256)
}


def on_grid(proof):
    t = proof.t[:, None, None]
    line = (1 - t) * proof.outputs[0] + t * proof.outputs[-1]
    return np.linalg.norm(proof.outputs - line, axis=2)  # (points, samples)


def root_mean_square(values):
    return np.sqrt(np.mean(values**2, axis=1))


with plotting.style():
    figure, (ax,) = plotting.panels(1, 1)
    for (name, proof), look in zip(
        proofs.items(), plotting.looks(proofs).values(), strict=True
    ):
        measured = on_grid(proof)
        bound = root_mean_square(
            np.maximum(measured[:-1], measured[1:]) + proof.excess
        )
        line = {"color": look["color"], "linestyle": look["linestyle"]}
        ax.stairs(bound, proof.t, baseline=None, label=name, **line)
    finest = list(proofs.values())[-1]
    ax.plot(
        finest.t,
        root_mean_square(on_grid(finest)),
        "k:",
        label="measured on the grid",
    )
    ax.set(xlabel="t, from network A to the permuted B", ylim=(0, None))
    ax.set_ylabel("deviation of the outputs (root mean square)")
    ax.set_title("Digits, covariance matching")
    ax.legend()

# %%
# The same as a table, layer by layer, from the finest grid:

print(finest)
