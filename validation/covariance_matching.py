"""Ask whether matching in the metric of the data connects networks better, and why.

Ferbach et al. (2024), Figure 2: pairs of networks over a ladder of learning rates, hidden units
matched by their incoming weights ("naive"), by the same in the metric of the second moment of what
the layer reads ("covariance"), and by their activations; the test loss half-way between the pair,
and the approximate dimension of what was matched. Beside the paper: no matching at all, Git
Re-Basin, the covariance with biases and with outgoing weights, all three measures of the path for
loss and error, and the same ladder under Adam.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from otlmc import cli, data, plotting
from otlmc.matching import Covariance, match
from otlmc.networks.config import OptimiserName
from otlmc.pairs import Pairs, ladder, measure, train_pairs
from validation.claims import published
from validation.covariance_claims import claims

__all__ = ["claims", "configurations", "draw", "main", "summarise", "trained"]

MATCHINGS = {
    "none": "none",
    "weight_incoming": "weight_incoming",
    "weight": "weight",
    "covariance": "covariance",
    "covariance_bias": Covariance(bias=True),
    "covariance_bias_outgoing": Covariance(bias=True, outgoing=True),
    "activation_centred": "activation_centred",
}
PAPER = ("none", "weight_incoming", "covariance", "activation_centred")
"""The methods of the paper, and the path without any."""
ENDS = "networks A and B"


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the experiment."""

    dataset: Literal["digits", "mnist", "cifar10"] = "digits"
    """Data on which the networks are trained; mnist and cifar10 are read from --data-dir."""
    optimisers: tuple[Literal["sgd", "adamw"], ...] = ("sgd", "adamw")
    """SGD as in the paper, AdamW without weight decay beside it."""
    repetitions: int | None = None
    """Pairs for every learning rate [default: 4, but 1 on images at the quick preset]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.at_least("repetitions", self.repetitions, 1)
        if not self.optimisers:
            raise ValueError("--optimisers must name at least one")


@dataclass(frozen=True)
class Rung(Pairs):
    """Pairs of networks at one learning rate of one optimiser."""

    optimiser: OptimiserName


def trained(config: Rung, *, data_dir: Path | None, device: str) -> Iterator[dict[str, Any]]:
    """Train the pairs of one learning rate; match each in every way and measure the paths."""
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    pairs = train_pairs(config, dataset, optimiser=config.optimiser, device=device)
    for repetition, (a, b) in enumerate(pairs):
        for name, method in MATCHINGS.items():
            aligned = match(a, b, dataset.train_inputs, method=method).permutation.apply(b)
            for row in measure(a, aligned, dataset, matching=name):
                yield {"repetition": repetition, **row}


def configurations(options: Options) -> list[Rung]:
    """Return the tasks of a preset: the paper's ladder, and three decades of rates for AdamW."""
    full = options.preset == "full"
    rungs = []
    for pairs in ladder(options.dataset, full=full, seed=options.seed):
        default = 4 if options.dataset == "digits" else pairs.repetitions
        rungs.append(dataclasses.replace(pairs, repetitions=options.repetitions or default))
    rates = {
        "sgd": [pairs.learning_rate for pairs in rungs],
        "adamw": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    }
    return [
        Rung(**{**dataclasses.asdict(rungs[0]), "learning_rate": rate}, optimiser=optimiser)
        for optimiser in options.optimisers
        for rate in rates[optimiser]
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw midpoint, barrier and dimension under SGD, and the midpoint under Adam."""
    with plotting.style():
        both = table["optimiser"].nunique() > 1
        figure, axes = plotting.panels(2, 2) if both else plotting.panels(1, 3)
        _draw(table, axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    paper = published("ferbach2024_figure2")
    sgd, adam = (table[table["optimiser"] == name] for name in ("sgd", "adamw"))
    loss = "test cross-entropy (nats)"
    halfway = paper[paper["quantity"] == "midpoint_loss"]
    if "cifar10" in set(table["dataset"]):  # its losses are of another size than the published
        shown = [(sgd, None, "SGD", axes[0])]
    else:
        shown = [(sgd, halfway, "SGD (published: MNIST, 3 x 512)", axes[0])]
    shown += [] if adam.empty else [(adam, None, "Adam", axes[3])]
    for rows, beside, title, ax in shown:
        midpoint = _midpoint(rows)
        lines = midpoint[midpoint["matching"].isin((*PAPER, ENDS))]
        plotting.plot_against_rate(lines, "matching", ylabel=loss, published=beside, ax=ax)
        ax.set_title(f"Loss half-way, {title}")
    barrier = sgd[sgd["quantity"] == "loss_barrier"]
    plotting.plot_against_rate(barrier, "matching", ylabel="barrier of the test loss", ax=axes[1])
    axes[1].set_title("Barrier under every matching, SGD")
    quantity, layer = "approximate dimension", 2
    plotting.plot_against_rate(
        sgd[(sgd["quantity"] == quantity) & (sgd["layer"] == layer)],
        "matching",
        ylabel=r"(tr S)$^2$ / tr S$^2$ of layer 2",
        published=paper[(paper["quantity"] == quantity) & (paper["layer"] == layer)],
        ax=axes[2],
    )
    axes[2].set_title("Approximate dimension of the matched units, SGD")


def _midpoint(table: pd.DataFrame) -> pd.DataFrame:
    """Return the midpoint losses, with the mean loss of the ends as a further matching."""
    chosen = table[table["quantity"].isin(["midpoint_loss", "mean loss of the ends"])]
    names = chosen["matching"].where(chosen["quantity"] == "midpoint_loss", ENDS)
    return chosen.assign(matching=names)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return midpoint losses by optimiser, learning rate and the paper's methods."""
    wide = _midpoint(table).pivot_table(
        index=["optimiser", "learning_rate"], columns="matching", values="measured"
    )
    shown = wide.reindex(columns=[ENDS, *PAPER]).rename(columns={ENDS: "ends"}).reset_index()
    shown = shown.rename(columns={"learning_rate": "rate"})
    return shown.sort_values(["optimiser", "rate"], ascending=[False, True])


def main(options: Options) -> None:
    """Weight, covariance and activation matching against the learning rate."""
    configs = configurations(options)
    cli.perform_on_data(options, trained, configs, draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, Options)
