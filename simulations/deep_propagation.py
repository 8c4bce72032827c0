"""Ask how the errors of matching pass through the layers of random deep ReLU networks.

Two independent networks in He's initialisation read the same examples. B is aligned layer by layer,
by covariance-aware weight matching or by its pre-activations, and every quantity of the recursion
(docs/derivations/deep) is measured at the middle of the path beside its bound: the Gram matrices,
the pre-activations, the activations, the interpolated network and, after every layer, the output of
a network of that depth.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from otlmc import bounds, cli, data, plotting
from otlmc.bounds.deep import Matching
from otlmc.matching import assign
from otlmc.results import Comparison

Array = NDArray[np.float64]

OUTPUTS = 10
QUANTITIES = {
    "weights": "weights",
    "Gram matrices": "gram",
    "pre-activations": "preactivations",
    "activations": "units",
    "path": "path",
}
"""What is measured in every layer, and the field of the bound."""


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of this program."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Data that the networks read; mnist is read from --data-dir."""


@dataclass(frozen=True)
class Networks:
    """Pairs of networks of one width, of every depth up to ``depth``."""

    dataset: Literal["digits", "mnist"]
    width: int
    matching: Matching
    depth: int
    examples: int
    repetitions: int
    seed: int


def examples(config: Networks, *, data_dir: Path | None) -> Array:
    """Return the first test examples, with a mean square entry of one."""
    inputs = data.load(config.dataset, data_dir=data_dir).test_inputs[: config.examples]
    values = inputs.flatten(1).double().numpy()
    return values / math.sqrt(np.mean(values**2))


def propagate(
    inputs: Array, width: int, depth: int, matching: Matching, *, rng: np.random.Generator
) -> dict[str, Array]:
    """Draw and align one pair; return the mean square of every quantity, layer by layer."""
    in_a = in_b = middle = inputs
    rows = []
    for _ in range(depth):
        fan_in = in_a.shape[1]
        # B's weights are drawn for inputs that are aligned already: their columns are exchangeable
        w_a, w_b = rng.standard_normal((2, width, fan_in)) * math.sqrt(2 / fan_in)
        row = {}
        if matching == "covariance":
            w_b = w_b[assign((in_a @ w_a.T).T @ (in_a @ w_b.T))]
            row["weights"] = np.mean((in_a @ (w_a - w_b).T) ** 2)
        else:
            w_b = w_b[assign((in_a @ w_a.T).T @ (in_b @ w_b.T))]
            row["Gram matrices"] = 2 / fan_in * _procrustes(in_a, in_b)
        z_a, z_b = in_a @ w_a.T, in_b @ w_b.T
        in_a, in_b = np.maximum(z_a, 0), np.maximum(z_b, 0)
        middle = np.maximum(middle @ ((w_a + w_b) / 2).T, 0)
        v_a, v_b = rng.standard_normal((2, width, OUTPUTS)) / math.sqrt(width)
        rows.append(
            row
            | {
                "pre-activations": np.mean((z_a - z_b) ** 2),
                "activations": np.mean((in_a - in_b) ** 2),
                "path": (np.mean((middle - in_a) ** 2) + np.mean((middle - in_b) ** 2)) / 2,
                "output": np.mean((in_a @ v_a) ** 2),
                "output deviation": np.mean(
                    (middle @ (v_a + v_b) / 2 - in_a @ v_a / 2 - in_b @ v_b / 2) ** 2
                ),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _procrustes(a: Array, b: Array) -> float:
    """Return the least of ``|a - b O|^2 / n`` over orthogonal O."""
    left, right = (np.asarray(np.linalg.qr(x.T, mode="r")) for x in (a, b))
    inner = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return max(float(np.sum(a**2) + np.sum(b**2) - 2 * inner), 0.0) / len(a)


def measured_pairs(config: Networks, *, data_dir: Path | None) -> Iterator[dict[str, Any]]:
    """Measure the pairs of one width and matching beside the bounds."""
    inputs = examples(config, data_dir=data_dir)
    seeds = np.random.SeedSequence([config.seed, config.width]).spawn(config.repetitions)
    runs = [
        propagate(inputs, config.width, config.depth, config.matching, rng=np.random.default_rng(s))
        for s in seeds
    ]
    networks = [
        bounds.DeepReLU(inputs=inputs, hidden_layers=depth, matching=config.matching)
        for depth in range(1, config.depth + 1)
    ]
    layers = networks[-1].layers(config.width)
    for quantity in runs[0]:
        squares = np.array([run[quantity] for run in runs])
        for index, layer in enumerate(layers):
            if quantity == "output deviation":
                upper = float(networks[index].deviation(config.width))
            elif quantity in QUANTITIES:
                upper = getattr(layer, QUANTITIES[quantity])
            else:
                upper = None
            yield {"layer": layer.layer, **compare(quantity, squares[:, index], layer.layer, upper)}


def compare(quantity: str, squares: Array, layer: int, upper: float | None) -> dict[str, Any]:
    """Return the root mean square beside its bound, with the error of the mean square."""
    root = math.sqrt(squares.mean())
    error = float(squares.std(ddof=1)) / math.sqrt(len(squares))
    exact = layer <= 2
    comparison = Comparison(
        quantity=quantity,
        measured=root,
        stderr=error / (2 * root) if root else 0.0,
        upper=upper,
        kind="measurement" if upper is None else "upper" if exact else "prediction",
        reference="docs/derivations/deep" + ("" if exact else ", up to O(1/m) in the kernels"),
    )
    return comparison.to_record()


def configurations(options: Options) -> list[Networks]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    widths, depth = ((64, 128, 256, 512, 1024, 2048), 6) if full else ((64, 128, 256), 3)
    repetitions, count = (8, 400) if full else (6, 200)
    return [
        Networks(options.dataset, width, matching, depth, count, repetitions, options.seed)
        for width in widths
        for matching in get_args(Matching)
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the output deviation against width and depth, and two errors through the layers."""
    width = table["width"].max()
    depth = min(3, table["layer"].max())
    widest = table[table["width"] == width]
    panels = (
        (table[table["layer"] == depth], "output deviation", "width", "width m of every layer"),
        (widest, "output deviation", "layer", "hidden layers"),
        (widest, "pre-activations", "layer", "layer"),
        (widest, "path", "layer", "layer"),
    )
    titles = (
        f"Networks with {depth} hidden layers",
        f"Networks of width {width}",
        f"Pre-activations of A and of aligned B, width {width}",
        f"Middle of the path to its ends, width {width}",
    )
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        for ax, title, (rows, quantity, x, label) in zip(axes, titles, panels, strict=True):
            plotting.plot_below_bound(
                rows[rows["quantity"] == quantity], x=x, series="matching", ax=ax
            )
            ax.set(xlabel=label, ylabel=f"{quantity} (root mean square)", title=title)
        axes[0].set_xscale("log", base=2)
        for ax in axes[1:]:
            ax.set_xticks(sorted(table["layer"].unique()))
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of bound to measured output deviation, by depth and width."""
    rows = table[table["quantity"] == "output deviation"]
    ratios = rows.assign(ratio=rows["upper"] / rows["measured"])
    wide = ratios.pivot_table(index=["matching", "layer"], columns="width", values="ratio")
    return wide.reset_index().rename(columns={"layer": "hidden layers"})


def main(options: Options) -> None:
    """Pass matching errors through random deep ReLU networks, beside their bounds."""
    dataset = data.load(options.dataset, data_dir=options.data_dir)
    task = partial(measured_pairs, data_dir=options.data_dir)
    cli.perform(
        options,
        task,
        configurations(options),
        draw=draw,
        summarise=summarise,
        data=dataset.provenance,
    )


if __name__ == "__main__":
    cli.run(main, Options)
