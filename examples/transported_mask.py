r"""
A pruning mask carried to another network
=========================================

Iterative magnitude pruning finds a sparse mask for network A. Does it suit network
B? Not as it is: its rows and columns are units of A. Carried over by the
permutation that matches B to A, it does better.
"""

import pandas as pd
import torch

from otlmc import data, plotting
from otlmc.matching import match
from otlmc.networks import Architecture, Stack, TrainConfig, train
from otlmc.networks.pruning import iterative_magnitude_pruning, transport_masks

digits = data.load("digits")
shape = Architecture(widths=(64, 96, 96, 10))
config = TrainConfig(lr=0.05, batch_size=50, epochs=12)
rewind = 52  # steps, two epochs
first, second = [0, 1, 2], [3, 4, 5]  # the networks A, and the networks B

levels = iterative_magnitude_pruning(
    shape,
    digits,
    config,
    first + second,
    levels=6,
    rewind_step=rewind,
    fraction=0.5,
)

# %%
# B is trained from its own rewinding point with four masks: its own, that of A
# carried over, that of A as it is, and that of A shuffled within each layer.

dense, start = levels[0].result.stack, levels[0].rewound
start = Stack.of([start[b] for b in second])
permutations = [
    match(dense[a], dense[b], digits.train_inputs, method="covariance").permutation
    for a, b in zip(first, second, strict=True)
]
rng = torch.Generator().manual_seed(0)


def shuffle(mask):
    return mask.flatten()[torch.randperm(mask.numel(), generator=rng)].view_as(mask)


rows = []
for level in levels[1:]:
    of = [
        {name: mask[k] for name, mask in level.masks.items()}
        for k in first + second
    ]
    of_a, of_b = of[:3], of[3:]
    candidates = {
        "B's own": of_b,
        "A's, carried over": map(transport_masks, of_a, permutations),
        "A's, as it is": of_a,
        "A's, shuffled": [{n: shuffle(m) for n, m in one.items()} for one in of_a],
    }
    for name, chosen in candidates.items():
        one, two, three = chosen
        masks = {n: torch.stack([one[n], two[n], three[n]]) for n in one}
        trained = train(
            *(shape, digits, config, second),
            initial=start,
            first_step=rewind,
            masks=masks,
        )
        for error in 100 * trained.test_error:
            rows.append({"left": 100 * level.left, "mask": name, "error": error})

# %%

table = pd.DataFrame(rows)
with plotting.style():
    figure, (ax,) = plotting.panels(1, 1)
    for name, look in plotting.looks(table["mask"].unique()).items():
        errors = table[table["mask"] == name].groupby("left")["error"]
        bars = 2 * errors.sem()
        ax.errorbar(
            bars.index, errors.mean(), yerr=bars, label=name, capsize=2, **look
        )
    unpruned = 100 * levels[0].result.test_error[3:].mean()
    ax.axhline(unpruned, color="0.4", lw=0.8, label="B, dense")
    ax.set_xscale("log", base=2)
    ax.set_xticks(table["left"].unique())
    ax.xaxis.set_major_formatter("{x:.2g}")
    ax.set(xlabel="weights left (%)", ylabel="test error of B (%)")
    ax.set_title("Digits: whose mask suits network B?")
    ax.legend(title="mean of 3 pairs, with 2 standard errors")
