r"""
The matching cost of a law of yours
===================================

Draw two samples of m units from one law and pair them as well as possible: the cost
of a pair lies between two theorems. Any law will do whose coordinates are
independent; you give the quantile function of each.
"""

import numpy as np
import pandas as pd

from otlmc import bounds, laws, plotting, wasserstein

# %%
# A logistic, an exponential and a triangular coordinate, once, twice and three
# times over. Quantile functions are vectorised; the law is shifted to mean 0.


def logistic(u):
    return 0.5 * (np.log(u) - np.log1p(-u))


def exponential(u):
    return -np.log1p(-u)


def triangular(u):
    return np.where(u < 0.5, np.sqrt(2 * u), 2 - np.sqrt(2 * (1 - u)))


rows = []
for copies in (1, 2, 3):
    units = laws.Product([logistic, exponential, triangular] * copies)
    for width in (16, 32, 64, 128, 256):
        cost = wasserstein.two_sample_cost(units, width, repetitions=20, rng=width)
        limits = {
            "lower": bounds.lower(units, width).value,
            "upper": bounds.upper(units, width).value,
        }
        rows.append({"k": units.dim, "width": width} | cost.to_record() | limits)
table = pd.DataFrame(rows)

# %%
# Markers are simulations, bands reach from the lower to the upper bound.

with plotting.style():
    figure, (ax,) = plotting.panels(1, 1)
    plotting.plot_ladder(table, ax=ax)
    ax.set_ylabel("matching cost $E\\,W_2^2$")
    ax.set_title("Units with k heavy-tailed and skewed coordinates")
