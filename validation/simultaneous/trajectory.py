"""Ask whether one permutation joins two networks at every epoch of their training.

Sharma et al. (2024): a permutation P_s is found by matching the checkpoints of epoch s, and applied
at every other epoch; the last one serves the whole trajectory. Beside it, one permutation for
several checkpoints at once, which maximises the sum of their scores.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from otlmc import data, plotting
from otlmc.matching import Permutation, infer_spec, match, match_sequence
from otlmc.networks import MLP, Stack, evaluate, train
from validation.claims import published
from validation.sets import Sets
from validation.simultaneous.protocol import (
    MATCHINGS,
    Options,
    Pair,
    Rows,
    barriers,
    pairs,
    select,
)
from validation.simultaneous.trajectory_claims import LAST_THREE, SUITES, claims

__all__ = ["claims", "configurations", "draw", "measured", "summarise"]

EPOCHS = {
    "digits": (0, 1, 2, 3, 5, 10, 20, 40, 60),
    "mnist": (0, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10),
}
"""When networks are kept; an epoch is 26 steps on the digits, 469 on MNIST, 391 in the paper."""

Found = dict[str, tuple[float | None, Permutation]]
"""Permutations by name, each with the epoch at which it was found, if it was a single one."""


def configurations(options: Options) -> list[Pair]:
    """Return the pairs of a preset."""
    wide = options.preset == "full" and options.dataset == "mnist"
    return pairs(options, hidden_layers=3, width=512 if wide else 128)


def measured(config: Pair, *, data_dir: Path | None, device: str) -> Rows:
    """Train the pair, match it at every kept epoch and at several together, and measure all.

    Yields
    ------
    dict
        ``permutation`` is ``"none"``, ``"one"`` (``found_at``) or a suite of several;
        ``epoch`` is that of the networks to which it was applied.
    """
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    sets = Sets.of(dataset)
    kept = trained(config, dataset, device=device)
    for epoch, stack in kept.items():
        yield from _networks(epoch, stack, sets)
    a, b = ({epoch: stack[side] for epoch, stack in kept.items()} for side in (0, 1))
    identity = Permutation.identity(infer_spec(a[0]))
    yield from _applied({"none": (None, identity)}, "none", a, b, sets, config.points)
    for matching in MATCHINGS:
        found = permutations(a, b, sets, matching=matching)
        yield from _applied(found, matching, a, b, sets, config.points)
        last = found[f"epoch {max(a):g}"][1]
        for name, (found_at, permutation) in found.items():
            agreement = np.mean(list(permutation.agreement(last).values()))
            fields = {"found_at": found_at, "epoch": None, "on": None, "quantity": "agreement"}
            yield {**_named(name, matching), **fields, "measured": float(agreement)}


def trained(config: Pair, dataset: data.Dataset, *, device: str) -> dict[float, Stack]:
    """Train both networks as one stack and return it at every kept epoch."""
    training = config.training()
    length = training.steps_per_epoch(len(dataset.train_labels))
    steps = {epoch: round(epoch * length) for epoch in EPOCHS[config.dataset]}
    result = train(
        config.architecture(dataset),
        dataset,
        training,
        config.seeds,
        checkpoints=list(steps.values()),
        device=device,
    )
    return {epoch: result.checkpoints[step] for epoch, step in steps.items()}


def permutations(a: dict[float, MLP], b: dict[float, MLP], sets: Sets, *, matching: str) -> Found:
    """Match the networks at every epoch, and at the several epochs of every suite together."""
    inputs = sets.inputs["train"]
    found: Found = {
        f"epoch {epoch:g}": (epoch, match(a[epoch], b[epoch], inputs, method=matching).permutation)
        for epoch in a
    }
    moving = [epoch for epoch in a if epoch > 0]
    for name, chosen in SUITES.items():
        several = match_sequence(
            [a[epoch] for epoch in moving[chosen]],
            [b[epoch] for epoch in moving[chosen]],
            inputs,
            method=matching,
        )
        found[name] = (None, several.permutation)
    return found


def _applied(
    found: Found,
    matching: str,
    a: dict[float, MLP],
    b: dict[float, MLP],
    sets: Sets,
    points: int,
) -> Rows:
    """Measure the barrier at every epoch after B was permuted by each of the permutations.

    At the start all barriers are close to 0, whatever the permutation, and are left out.
    """
    for name, (found_at, permutation) in found.items():
        ends = {epoch: (a[epoch], permutation.apply(b[epoch])) for epoch in a if epoch > 0}
        for epoch, fields in barriers(ends, sets, points=points):
            yield {**_named(name, matching), "found_at": found_at, "epoch": epoch, **fields}


def _named(name: str, matching: str) -> dict[str, Any]:
    single = name.startswith("epoch ")
    return {"matching": matching, "permutation": "one" if single else name}


def _networks(epoch: float, stack: Stack, sets: Sets) -> Iterator[dict[str, Any]]:
    """Measure the two networks themselves, and take the mean."""
    for on, inputs in sets.inputs.items():
        found = evaluate(stack, inputs, sets.labels[on])
        for quantity, values in (("loss", found.loss), ("error", found.error)):
            yield {
                **_named("networks", "none"),
                "found_at": None,
                "epoch": epoch,
                "on": on,
                "quantity": quantity,
                "measured": float(values.mean()),
            }


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the matrix of P_s against the epoch, its chief rows, its last column, the agreement."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table, axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    paper = published("sharma2024_trajectory")
    errors = select(table, on="train", quantity="error_barrier")
    last = table["epoch"].max()
    matrix = select(errors, matching="weight", permutation="one").pivot_table(
        index="found_at", columns="epoch", values="measured"
    )
    plotting.plot_matrix(
        matrix,
        xlabel="epoch to which it is applied",
        ylabel="epoch at which the permutation is found",
        label="barrier of the training error",
        ax=axes[0],
    )
    axes[0].set_title("Weight matching at one epoch, applied at another")

    rows = errors[errors["matching"] != "activation"]
    first = rows.loc[rows["found_at"] > 0, "found_at"].min()
    lines = {
        "none": rows["permutation"] == "none",
        f"of epoch {first:g}": rows["found_at"] == first,
        "of the last epoch": rows["found_at"] == last,
        "of the last three": rows["permutation"] == LAST_THREE,
    }
    shown = pd.concat([rows[chosen].assign(line=name) for name, chosen in lines.items()])
    beside = select(paper, figure="matrix", on="train")
    beside = pd.concat([beside, select(paper, figure="text", on="train")])
    theirs = {
        "none": beside["permutation"] == "none",
        "of the last epoch": beside["found_at"] == 150,
        "of the last three": beside["permutation"] == "last several",
    }
    plotting.plot_series(
        shown,
        x="epoch",
        series="line",
        published=pd.concat([beside[chosen].assign(line=n) for n, chosen in theirs.items()]),
        ax=axes[1],
    )
    axes[1].set(xlabel="epoch to which it is applied", ylabel="barrier of the training error")
    axes[1].set_title("One permutation at every epoch, weight matching")

    end = select(errors, permutation="one", epoch=last)
    plotting.plot_series(
        end,
        x="found_at",
        series="matching",
        published=select(paper, figure="end", permutation="one", on="train"),
        ax=axes[2],
    )
    axes[2].set(ylabel="barrier of the training error, last epoch")
    agreement = select(table, quantity="agreement", permutation="one")
    plotting.plot_series(
        agreement,
        x="found_at",
        series="matching",
        published=select(paper, figure="agreement"),
        ax=axes[3],
    )
    axes[3].set(ylabel="fraction of units")
    axes[2].set_title("Permutation of one epoch, at the end of training")
    axes[3].set_title("Agreement with the permutation of the last epoch")
    for ax in axes[2:]:
        ax.set_xlabel("epoch at which the permutation is found")
    step = min(epoch for epoch in table["epoch"].dropna() if epoch > 0)
    for ax in axes[1:]:
        ax.set_xscale("symlog", linthresh=step)
    for ax in axes[1:3]:
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set_ylim(0.0, 1.0)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training error by permutation and epoch, weight matching."""
    errors = select(table, on="train", quantity="error_barrier")
    errors = errors[errors["matching"] != "activation"]
    single = errors["permutation"] == "one"
    names = errors["permutation"].where(~single, "epoch " + errors["found_at"].map("{:g}".format))
    wide = errors.assign(permutation=names).pivot_table(
        index="permutation", columns="epoch", values="measured", sort=False
    )
    wide.columns = [f"{epoch:g}" for epoch in wide.columns]
    return wide.round(3).reset_index()
