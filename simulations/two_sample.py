"""Hold both bounds on the cost of matching two samples against simulation.

Part one is a campaign over random cases: a law, its dimension and spectrum, a width and an order p,
all drawn at random; each measured cost has to lie between its bounds up to 5 standard errors.
Part two says how tight the bounds are: upper and lower over measured for isotropic Gaussians of
dimension 1 to 100, power-law spectra and the kernel of an infinitely wide ReLU network on a
data set.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from otlmc import bounds, cli, data, kernels, plotting, sweep, wasserstein
from otlmc.laws import Gaussian, Laplace, Law, TruncatedGaussian, Uniform
from otlmc.marginals import Marginal, from_quantile
from otlmc.results import Comparison

Array = NDArray[np.float64]

STANDARD_ERRORS = 5.0
"""A case counts as a violation beyond this many standard errors."""

DIMENSIONS = (1, 2, 3, 5, 10, 20, 50, 100)
DECAYS = (1.0, 1.5, 2.0)
KERNEL_LAYER = 2
"""The highest layer whose kernel is the covariance of its pre-activations at every width."""
KERNEL_EXAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Options(cli.DataOptions):
    """Options of the two-sample simulation."""

    dataset: Literal["digits", "mnist"] = "digits"
    """Data of the kernel; mnist is read from --data-dir."""


@dataclass(frozen=True)
class Batch:
    """Random cases, numbered from ``first``."""

    first: int
    cases: int
    repetitions: int
    seed: int


@dataclass(frozen=True)
class Bracket:
    """One law at one width."""

    law: str
    dim: int
    decay: float | None
    width: int
    repetitions: int
    seed: int


def quantile_marginals() -> list[Marginal]:
    """Return marginals given by nothing but their quantile functions, three of them skewed."""
    quantiles: dict[str, Callable[[Array], Array]] = {
        "exponential": lambda u: -np.log1p(-u),
        "Gumbel": lambda u: -np.log(-np.log(u)),
        "square": lambda u: u**2,
        "logistic": special.logit,
    }
    return [from_quantile(name, quantile)[0] for name, quantile in quantiles.items()]


def random_law(
    family: str, spectrum: Array, pool: list[Marginal], rng: np.random.Generator
) -> tuple[Law, Array | None]:
    """Draw a law of the family with the spectrum, and the metric in which costs are measured."""
    size = len(spectrum)
    match family:
        case "Gaussian":
            turn = np.linalg.qr(rng.standard_normal((size, size)))[0]
            return Gaussian(covariance=(turn * spectrum) @ turn.T), None
        case "Gaussian in a metric":
            factor = rng.standard_normal((size, size))
            return Gaussian(spectrum=spectrum), factor @ factor.T / size
        case "uniform":
            return Uniform(spectrum=spectrum), None
        case "Laplace":
            return Laplace(spectrum=spectrum), None
        case "truncated Gaussian":
            bound = float(rng.choice([0.5, 1.0, 2.0, 3.0]))
            return TruncatedGaussian(spectrum=spectrum, bound=bound), None
        case _:
            return Law([pool[i] for i in rng.integers(len(pool), size=size)], spectrum), None


FAMILIES = (
    "Gaussian",
    "Gaussian in a metric",
    "uniform",
    "Laplace",
    "truncated Gaussian",
    "product of quantile laws",
)


def compare(
    law: Law, width: int, p: int, repetitions: int, rng: np.random.Generator, metric: Array | None
) -> Comparison:
    """Measure the cost of matching and put it between its bounds."""
    costs = wasserstein.two_sample_costs(
        law, width, repetitions=repetitions, rng=rng, p=p, metric=metric
    )
    if metric is not None:
        law = law.in_metric(metric)
    upper, lower = bounds.upper(law, width, p=p), bounds.lower(law, width, p=p)
    return Comparison(
        quantity=f"E W_{p}^{p}",
        measured=float(costs.mean()),
        stderr=float(costs.std(ddof=1) / np.sqrt(repetitions)),
        lower=float(lower),
        upper=float(upper),
        kind="two-sided",
        reference=f"upper: {upper.method}; lower: {lower.method}",
    )


def campaign(config: Batch) -> Iterator[dict[str, Any]]:
    """Measure random cases; numbers are kept to six digits."""
    pool = quantile_marginals()
    for case in range(config.first, config.first + config.cases):
        rng = np.random.default_rng([config.seed, case])
        family = FAMILIES[int(rng.integers(len(FAMILIES)))]
        dim, width = (round(100 ** rng.uniform()), round(64 ** rng.uniform()))
        decay, p = round(rng.uniform(0, 3), 3), int(rng.integers(1, 3))
        spectrum = np.arange(1.0, dim + 1) ** -decay
        law, metric = random_law(family, spectrum, pool, rng)
        row = compare(law, width, p, config.repetitions, rng, metric).to_record()
        numbers = {k: float(f"{v:.6g}") for k, v in row.items() if isinstance(v, float)}
        described = {"case": case, "law": family, "dim": dim, "decay": decay}
        yield described | {"width": width, "p": p} | row | numbers


def bracket(config: Bracket, *, dataset: str, data_dir: Path | None) -> Iterator[dict[str, Any]]:
    """Measure how far the bounds lie from the cost, for a law of total variance 1."""
    if config.decay is not None:
        law = Gaussian(spectrum=np.arange(1.0, config.dim + 1) ** -config.decay)
    else:
        inputs = data.load(dataset, data_dir=data_dir).test_inputs[: config.dim].double().numpy()
        layers = kernels.preactivation_covariances(inputs, KERNEL_LAYER)
        law = Gaussian(spectrum=kernels.spectrum(layers[-1]))
    law = law.scaled(float(law.variances.sum()) ** -0.5)
    rng = np.random.default_rng([config.seed, config.width, config.dim])
    yield {"random": 2.0} | compare(law, config.width, 2, config.repetitions, rng, None).to_record()


def configurations(options: Options) -> tuple[list[Batch], list[Bracket]]:
    """Return the tasks of a preset."""
    full = options.preset == "full"
    cases, repetitions = (10_200, 64) if full else (400, 32)
    size = cases // 50 if full else cases // 4
    batches = [Batch(i, size, repetitions, options.seed) for i in range(0, cases, size)]
    laws = [(f"d = {dim}", dim, 0.0) for dim in DIMENSIONS]
    laws += [(f"i^-{decay:g}", 100, decay) for decay in DECAYS]
    laws += [(f"{options.dataset} kernel", KERNEL_EXAMPLES, None)]
    ladder = {64: 400, 1024: 24, 4096: 5} if full else {64: 100, 256: 20}
    brackets = [
        # on a line the cost varies most from draw to draw, and is the cheapest to measure
        Bracket(name, dim, decay, width, 2000 if dim == 1 else repetitions, options.seed)
        for width, repetitions in ladder.items()
        for name, dim, decay in laws
    ]
    return batches, brackets


def excess(table: pd.DataFrame) -> Array:
    """Return by how many standard errors a measurement lies outside of its bounds."""
    measured, stderr = table["measured"].to_numpy(), table["stderr"].to_numpy()
    above, below = measured - table["upper"].to_numpy(), table["lower"].to_numpy() - measured
    return np.maximum(above, below) / stderr


def verdict(table: pd.DataFrame) -> dict[str, Any]:
    """Return what the campaign found, beside what chance alone could give.

    ``by_chance`` is the expected number of violations if every cost were equal to one of its
    bounds: cases times Student's tail probability.
    """
    outside, degrees = excess(table), int(table["repetitions"].iloc[0]) - 1
    return {
        "cases": len(table),
        "violations": int((outside > STANDARD_ERRORS).sum()),
        "beyond_3_standard_errors": int((outside > 3).sum()),
        "largest_excess": round(float(outside.max()), 2),
        "by_chance": float(f"{len(table) * stats.t.sf(STANDARD_ERRORS, degrees):.2g}"),
    }


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return medians over the campaign by law, and every law and width of the bracket."""
    ratios = table.assign(
        tight_above=table["upper"] / table["measured"],
        tight_below=table["measured"] / table["lower"],
        outside=excess(table),
        size=table["width"].where(table["part"] == "bracket", -1).astype(int),
    )
    rows = ratios.groupby(["law", "size"], sort=False).agg(
        cases=("outside", "size"),
        upper=("tight_above", "median"),
        lower=("tight_below", "median"),
        outside=("outside", "max"),
    )
    names = {"size": "width", "upper": "upper / measured"}
    names |= {"lower": "measured / lower", "outside": "excess (s.e.)"}
    frame = rows.reset_index().rename(columns=names)
    return frame.assign(width=frame["width"].astype(str).replace("-1", "1 to 64"))


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the campaign and the bracket."""
    with plotting.style():
        figure, axes = plotting.panels(1, 2)
        cases = table[table["part"] == "campaign"]
        plotting.plot_campaign(cases, limit=STANDARD_ERRORS, ax=axes[0])
        axes[0].set_title("Random cases: is a bound violated?")
        plotting.plot_bracket(table[table["part"] == "bracket"], ax=axes[1])
        axes[1].set_title("Gaussian neurons: measured cost between the bounds")
    return figure


def main(options: Options) -> None:
    """Two-sample bounds against simulation: a campaign of random cases, and how tight they are."""
    start = time.perf_counter()
    provenance = data.load(options.dataset, data_dir=options.data_dir).provenance
    batches, brackets = configurations(options)
    run = partial(sweep.run, jobs=options.jobs, scheduler=options.scheduler, resume=options.resume)
    task = partial(bracket, dataset=options.dataset, data_dir=options.data_dir)
    parts = {
        "bracket": run(task, brackets, folder=options.out / options.dataset),
        "campaign": run(campaign, batches, folder=options.out / "campaign"),
    }
    table = pd.concat(parts, names=["part"]).reset_index("part").reset_index(drop=True)
    table = table.drop(columns=["first", "cases"])  # of the batches, which are of no interest
    found = verdict(table[table["part"] == "campaign"])
    seconds = time.perf_counter() - start
    manifest = cli.manifest(options, seconds=seconds, campaign=found, data=provenance)
    cli.write_outputs(options.out, table, manifest, draw(table), summary=summarise(table))


if __name__ == "__main__":
    cli.run(main, Options)
