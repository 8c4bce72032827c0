"""Ask how well two trained networks of one width tell how networks of other widths connect.

None of the papers did this. Pairs of networks are trained at several widths, depths and learning
rates. From every single pair :func:`otlmc.prediction.predict_widths` predicts the matching cost,
the deviation of the midpoint and the loss barrier at all other widths, where they are measured too.
Beside the measurements stand the certificates of the trained pairs, which are theorems about those
pairs alone, and at initialisation the theorem on networks of random weights. Other ways to predict
are written to the table, so that the choice can be judged.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import Tensor

from otlmc import bounds, cli, data, plotting
from otlmc.certificate import certify
from otlmc.connectivity import path
from otlmc.matching import match
from otlmc.networks import MLP, Architecture, Schedule, TrainConfig, train
from otlmc.prediction import ScalingLaw, predict_widths
from otlmc.results import Comparison
from validation.width_claims import claims
from validation.width_routes import floor_exponent, gaussian_exponent
from validation.width_scores import QUANTITIES, forecasts, scores

__all__ = ["claims", "configurations", "draw", "main", "measured", "summarise"]

MATCHED, TESTED, KERNEL = 2000, 2000, 300
"""Training samples to match on, test samples, and those of them on which kernels are computed."""
SUBNETWORKS = 8
PREACTIVATIONS = "deviation, pre-activations matched"
"""At initialisation: what the theorem bounds."""
CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True)
class Options(cli.NetworkOptions):
    """Options of the experiment."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Data on which the networks are trained; mnist is read from --data-dir."""
    repetitions: int | None = None
    """Pairs of every kind [default: 2, but 4 at the full preset]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        cli.at_least("repetitions", self.repetitions, 1)


@dataclass(frozen=True)
class Networks:
    """Pairs of networks of one depth and width, trained at one rate."""

    dataset: str
    hidden_layers: int
    width: int
    learning_rate: float
    batch_size: int
    epochs: int
    repetitions: int
    initial: bool
    """Whether the networks are measured before training too."""
    seed: int


def measured(config: Networks, *, data_dir: Path | None, device: str) -> Iterator[dict[str, Any]]:
    """Train the pairs of one kind; measure each, and predict from each."""
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    hidden = [config.width] * config.hidden_layers
    training = TrainConfig(
        lr=config.learning_rate,
        batch_size=config.batch_size,
        epochs=config.epochs,
        schedule=Schedule(shape="cosine", warmup_steps=10, warmup_start=1e-6),
        initialisation="kaiming_normal",
    )
    # With equal seeds, the units of a narrow network would be the first of a wide one.
    first = 2**8 * (2**16 * config.seed + config.width)
    result = train(
        Architecture(widths=(dataset.input_dim, *hidden, dataset.output_dim)),
        dataset,
        training,
        [first + i for i in range(2 * config.repetitions)],
        checkpoints=(0,),
        device=device,
    )
    stages = {"trained": (result.stack, trained_pair)}
    if config.initial:
        stages["initial"] = result.checkpoints[0], initial_pair
    for stage, (stack, measure) in stages.items():
        for repetition in range(config.repetitions):
            a, b = stack[2 * repetition], stack[2 * repetition + 1]
            for row in measure(a, b, dataset):
                yield {"stage": stage, "repetition": repetition, **row}


def trained_pair(a: MLP, b: MLP, dataset: data.Dataset) -> Iterator[dict[str, Any]]:
    """Measure a trained pair beside its certificate, and fit its laws."""
    inputs, labels = dataset.test_inputs[:TESTED], dataset.test_labels[:TESTED]
    match_on = dataset.train_inputs[:MATCHED]
    matching = match(a, b, match_on, method="activation_centred")
    certificate = certify(a, b, inputs, permutation=matching)
    barrier = certificate.loss_barrier(labels)
    upper = {"deviation": certificate.deviation.upper, "loss barrier": barrier.upper}
    height = path(a, b, inputs, labels, permutation=matching).loss_barrier
    yield from _laws(a, b, inputs, labels, match_on, upper)
    if height <= 0:
        yield _row("loss barrier", 0.0, barrier.upper)


def initial_pair(a: MLP, b: MLP, dataset: data.Dataset) -> Iterator[dict[str, Any]]:
    """Measure a pair of random weights beside the theorem on it, and fit its laws."""
    inputs = dataset.test_inputs[:KERNEL]
    yield from _laws(a, b, inputs, None, dataset.train_inputs[:MATCHED], {})
    widths = a.architecture.widths
    theorem = bounds.DeepReLU(
        inputs=inputs.flatten(1).double().cpu().numpy(),
        hidden_layers=len(widths) - 2,
        weight_std=math.sqrt(2),
        output_std=math.sqrt(2),
        matching="preactivation",
    )
    upper = math.sqrt(widths[-1]) * float(theorem.deviation(widths[1]))
    matching = match(a, b, inputs, method="preactivation")
    report = path(a, b, inputs, dataset.test_labels[:KERNEL], permutation=matching, points=3)
    # Above two layers the kernels are those of infinite width.
    kind = "upper" if len(widths) <= 4 else "prediction"
    yield _row(PREACTIVATIONS, float(report.deviation[1]), upper, kind=kind)


def _laws(
    a: MLP,
    b: MLP,
    inputs: Tensor,
    labels: Tensor | None,
    match_on: Tensor,
    upper: dict[str, float | None],
) -> Iterator[dict[str, Any]]:
    """Yield a row for every law, with the exponents of other ways to predict it."""
    found = predict_widths(
        a,
        b,
        inputs,
        labels,
        match_on=match_on,
        repetitions=SUBNETWORKS,
        confidence=CONFIDENCE,
    )
    layers = len(found.matching)
    gaussian = gaussian_exponent(a, b, match_on)
    floor = [floor_exponent(fit.sizes, fit.means) for fit in found.ladders]
    for layer, law in enumerate(found.matching):
        yield _row(
            "matching cost",
            law.measured,
            None,
            law,
            layer=layer + 1,
            gaussian=gaussian[layer],
            floor=floor[layer],
        )
    # The deviation goes with the square root of the cost, the barrier with its square.
    for quantity, law, power in (
        ("deviation", found.deviation, 0.5),
        ("loss barrier", found.loss_barrier, 1.0),
    ):
        if law is not None:
            yield _row(
                quantity,
                law.measured,
                upper.get(quantity),
                law,
                gaussian=power * float(np.mean(gaussian)),
                floor=power * float(np.mean(floor[:layers])),
            )


def _row(
    quantity: str,
    value: float,
    upper: float | None,
    law: ScalingLaw | None = None,
    *,
    kind: Literal["upper", "prediction"] = "upper",
    layer: int | None = None,
    gaussian: float | None = None,
    floor: float | None = None,
) -> dict[str, Any]:
    """Return a measurement with what is proved of it and, as a source, its law."""
    row = Comparison(
        quantity=quantity,
        measured=value,
        upper=upper,
        kind="measurement" if upper is None else kind,
        reference="" if upper is None else "docs/derivations",
    )
    first, second = (None, None) if law is None else (e for _, e in law.routes)
    fields = {
        "route_1": first,
        "route_2": second,
        "wider": None if law is None else law.wider,
        "narrower": None if law is None else law.narrower,
        "exponent_stderr": None if law is None else law.stderr,
        "noise": None if law is None else law.noise,
    }
    return {
        "layer": layer,
        **row.to_record(),
        **fields,
        "gaussian": gaussian,
        "floor": floor,
    }


def configurations(options: Options) -> list[Networks]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    repetitions = options.repetitions or (4 if full else 2)
    batch, epochs = (50, 40) if options.dataset == "digits" else (500, 20 if full else 8)
    rates = (0.003, 0.01, 0.03, 0.1) if full else (0.003, 0.03)
    widths = {1: (32, 64, 128, 256), 3: (32, 64, 128, 256)}
    if full:
        widths = {1: (32, 64, 128, 256, 512, 1024), 3: (32, 64, 128, 256, 512)}
    shared = {"batch_size": batch, "epochs": epochs, "repetitions": repetitions}
    return [
        Networks(
            options.dataset,
            layers,
            width,
            rate,
            **shared,
            initial=rate == rates[0],
            seed=options.seed,
        )
        for layers, ladder in widths.items()
        for rate in rates
        for width in ladder
    ]


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the deviation before and after training, and predictions beside measurements."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        _draw(table, axes)
    return figure


def _draw(table: pd.DataFrame, axes: Sequence[plotting.Axes]) -> None:
    found = forecasts(table)
    deviation = table[table["quantity"] == "deviation"]
    trained = deviation[deviation["stage"] == "trained"]
    ends = trained["learning_rate"].agg(["min", "max"])  # all rates would hide each other
    trained = trained[trained["learning_rate"].isin(ends)]
    source = sorted(deviation["width"].unique())[1]
    one = found[(found["quantity"] == "deviation") & (found["repetition"] == 0)]
    one = one[one["width"] == source]
    for ax, layers in zip(axes, sorted(table["hidden_layers"].unique()), strict=False):
        rows = trained[trained["hidden_layers"] == layers]
        own = one[(one["stage"] == "trained") & (one["hidden_layers"] == layers)]
        own = own[own["learning_rate"].isin(ends)]
        plotting.plot_forecast(rows, own, series="learning_rate", ax=ax)
        ax.set_title(
            "Trained, 1 hidden layer" if layers == 1 else f"Trained, {layers} hidden layers"
        )
    initial = table[table["stage"] == "initial"]
    plotting.plot_forecast(
        initial[initial["quantity"] == "deviation"],
        one[one["stage"] == "initial"],
        series="hidden_layers",
        theorem=initial[initial["quantity"] == PREACTIVATIONS],
        ax=axes[2],
    )
    axes[2].set_title("At initialisation")
    for ax in axes[:3]:
        ax.set_ylabel("deviation of the midpoint (logits, RMS)")
    plotting.plot_predicted_against_measured(
        found[(found["stage"] == "trained")], names=QUANTITIES, ax=axes[3]
    )
    axes[3].set_title("All predictions for trained networks")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return how good the predictions are."""
    return scores(forecasts(table))


def main(options: Options) -> None:
    """Predict across widths from single pairs, and compare with networks of those widths."""
    configs = configurations(options)
    cli.perform_on_data(options, measured, configs, draw=draw, summarise=summarise)


if __name__ == "__main__":
    cli.run(main, Options)
