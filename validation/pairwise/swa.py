"""Ask why stochastic weight averaging needs no permutation.

Protocol 2.G: trained networks go on at a constant learning rate; after every epoch a sample is
kept, and the samples are averaged. Are the samples of one run connected as they are, and does
matching move any unit between them? Independent networks stand beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from otlmc import plotting
from otlmc.connectivity import PathsReport
from otlmc.data import Dataset
from otlmc.matching import match_all
from otlmc.networks import Architecture, Schedule, Stack, TrainConfig, evaluate, train
from validation.claims import Claim, verdict
from validation.pairwise import protocol
from validation.pairwise.protocol import Name, Options, Rows, Zoo, statistics

DATASETS: tuple[Name, ...] = ("digits", "mnist")
WIDTHS = (64, 16, 8)
RATE = 0.05
"""Of the samples, constant."""
SAMPLES = "samples of one run"
INDEPENDENT = {"none": "independent networks", "weight": "independent, weight matching"}


@dataclass(frozen=True)
class Run(Zoo):
    """Networks of one width that go on after their training."""

    samples: int


def configurations(options: Options) -> list[Run]:
    """Return one task for every width, the widest first."""
    full, digits = options.preset == "full", options.dataset == "digits"
    widths = (512, *WIDTHS) if full and not digits else WIDTHS
    return [
        Run(
            dataset=options.dataset,
            width=width,
            models=options.models or (10 if full else 4),
            epochs=50 if digits else protocol.EPOCHS["mnist"] if full else 10,
            seed=options.seed,
            samples=20 if full else 10,
        )
        for width in widths
        if options.widest is None or width <= options.widest
    ]


def measured(config: Run, *, data_dir: Path | None, device: str) -> Rows:
    """Train networks, sample each, and measure the paths between samples and between networks."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    trained = _train(config, dataset, device=device)
    samples = _sample(config, trained, dataset, device=device)
    for matching, between in INDEPENDENT.items():
        frame = protocol.aligned(trained, method=matching)
        report = protocol.common_paths(frame, dataset)
        yield from protocol.path_rows(report, between=between, curves=True)
    runs = [_run(samples, e) for e in range(config.models)]
    report = _pooled([protocol.common_paths(run, dataset) for run in runs])
    yield from protocol.path_rows(report, between=SAMPLES, curves=True)
    moved = [_moved(run) for run in runs]
    yield {"between": SAMPLES, "quantity": "moved units", **statistics(moved)}
    yield from _losses(trained, samples, dataset)


def _train(config: Run, dataset: Dataset, *, device: str) -> Stack:
    """Train as the zoo on images; on digits by SGD, without LayerNorm."""
    if dataset.name != "digits":
        return protocol.train_zoo(config, dataset, device=device).stack
    training = TrainConfig(
        lr=RATE, batch_size=50, epochs=config.epochs, schedule=Schedule(shape="cosine")
    )
    shape = Architecture(widths=(dataset.input_dim, *[config.width] * 3, dataset.output_dim))
    seeds = protocol.seeds_of(config.seed, config.models)
    return train(shape, dataset, training, seeds, device=device).stack


def _sample(config: Run, trained: Stack, dataset: Dataset, *, device: str) -> list[Stack]:
    """Go on at a constant rate and return all networks after every epoch."""
    digits = dataset.name == "digits"
    training = TrainConfig(
        optimiser="sgd" if digits else "adamw",
        lr=RATE,
        weight_decay=0.0 if digits else 0.01,
        batch_size=50 if digits else 256,
        epochs=config.samples,
    )
    steps = training.steps_per_epoch(len(dataset.train_labels))
    ends = [steps * (epoch + 1) for epoch in range(config.samples)]
    # Seeds that have not trained a network, so that the batches are new.
    seeds = protocol.seeds_of(config.seed, config.models, first=config.models)
    result = train(
        trained.architecture,
        dataset,
        training,
        seeds,
        initial=trained,
        checkpoints=ends,
        device=device,
    )
    return [result.checkpoints[step] for step in ends]


def _run(samples: Sequence[Stack], network: int) -> Stack:
    """Return the samples of one network as a stack."""
    return Stack.concatenate([stack[network : network + 1] for stack in samples])


def _pooled(reports: Sequence[PathsReport]) -> PathsReport:
    """Return the paths within all runs, each under the number of its run."""
    runs = np.repeat(np.arange(len(reports)), [len(report.pairs) for report in reports])
    return protocol.joined(reports, np.stack([runs, runs], axis=1))


def _moved(run: Stack) -> float:
    """Return the fraction of units that weight matching with the first sample moves."""
    found = match_all(list(run), reference=0, method="weight").permutations[1:]
    places = [units != np.arange(len(units)) for p in found for units in p.values()]
    return float(np.mean(np.concatenate(places)))


def _losses(trained: Stack, samples: Sequence[Stack], dataset: Dataset) -> Rows:
    """Evaluate the networks before, their samples (mean over the run) and the averages."""
    inputs, labels = dataset.test_inputs, dataset.test_labels
    sampled = [evaluate(stack, inputs, labels) for stack in samples]
    before, average = (evaluate(s, inputs, labels) for s in (trained, Stack.average(samples)))
    for quantity, name in (("test_loss", "loss"), ("test_error", "error")):
        of_samples = np.mean([getattr(found, name) for found in sampled], axis=0)
        values = {
            "before": getattr(before, name),
            "samples": of_samples,
            "average of samples": getattr(average, name),
        }
        for networks, value in values.items():
            yield {"networks": networks, "quantity": quantity, **statistics(value)}


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the loss along the paths, and the losses of samples and averages."""
    widest = table["width"].max()
    curves = table[(table["quantity"] == "loss") & (table["width"] == widest)]
    losses = table[table["quantity"] == "test_loss"].sort_values("width", kind="stable")
    losses = losses.assign(width="width " + losses["width"].astype(str))
    with plotting.style():
        figure, axes = plotting.panels(1, 2)
        ylabel = "test loss (nats)"
        plotting.plot_spread(curves, "t", "between", ylabel=ylabel, whiskers=False, ax=axes[0])
        axes[0].set_yscale("log")
        axes[0].set_title(f"{table['dataset'].iloc[0]}: paths between networks of width {widest}")
        plotting.plot_groups(losses, "width", "networks", ylabel=ylabel, ax=axes[1])
        axes[1].set_title("Networks before and after, and the average of the samples")
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return epsilon by width, and the losses of samples and averages."""
    epsilon = table[table["quantity"] == "epsilon_loss"]
    losses = table[table["quantity"] == "test_loss"]
    wide = [
        epsilon.pivot(index="width", columns="between", values="measured"),
        losses.pivot(index="width", columns="networks", values="measured").add_prefix("loss "),
    ]
    return pd.concat(wide, axis=1).reset_index()


def by_width(table: pd.DataFrame, quantity: str, of: str, value: str = "measured") -> pd.Series:
    """Return a statistic of a quantity by width, of pairs or of networks."""
    rows = table[(table["quantity"] == quantity) & table["t"].isna()]
    rows = rows[(rows["between"] == of) | (rows["networks"] == of)]
    return rows.set_index("width")[value].sort_index()


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of averaging, beside what the table says."""
    return [_connected(table), _aligned(table), _average(table)]


def _connected(table: pd.DataFrame) -> Claim:
    samples, others = (by_width(table, "epsilon_loss", of) for of in (SAMPLES, INDEPENDENT["none"]))
    return Claim(
        paper="kalaivanan",
        where="analysing SWA",
        statement="The samples of one run are connected as they are (here: their mean epsilon is "
        "below a twentieth of that of independent networks).",
        published="no number",
        measured=", ".join(
            f"{samples[w]:.2g} against {others[w]:.2g} (width {w})" for w in samples.index
        ),
        verdict=verdict(bool((samples < 0.05 * others).all())),
    )


def _aligned(table: pd.DataFrame) -> Claim:
    moved = by_width(table, "moved units", SAMPLES)
    holds = bool((moved == 0).all())
    return Claim(
        paper="kalaivanan",
        where="analysing SWA",
        statement="The samples of one run are aligned already (here: weight matching moves no "
        "unit of any sample).",
        published="no number",
        measured=", ".join(f"{moved[w]:.1%} moved (width {w})" for w in moved.index),
        verdict=verdict(holds),
        reason="" if holds else "a few units move, though there is nothing left to gain",
    )


def _average(table: pd.DataFrame) -> Claim:
    samples, average = (
        by_width(table, "test_loss", of) for of in ("samples", "average of samples")
    )
    error = by_width(table, "test_loss", "average of samples", "stderr")
    return Claim(
        paper="kalaivanan",
        where="analysing SWA",
        statement="So their average works (here: its test loss is below the mean of the samples).",
        published="no number",
        measured=", ".join(
            f"{samples[w]:.3g} -> {average[w]:.3g} ± {error[w]:.1g} (width {w})"
            for w in samples.index
        ),
        verdict=verdict(bool((average < samples).all())),
    )
