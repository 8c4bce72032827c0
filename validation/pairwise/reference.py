"""Ask how much the choice of the network that all others are matched to decides.

Protocol 2.F: the epsilon-loss between all networks in the frame of one of them, for several
choices of that one, and with every pair matched on its own. Beside the paper: the common frame
that all networks agree on (universe matching). One frame for all is a test of strong connectivity,
a permutation for every pair one of weak connectivity.
"""

import dataclasses
from pathlib import Path

import pandas as pd

from otlmc import plotting
from otlmc.networks import Stack
from validation.claims import Claim, verdict
from validation.pairwise import protocol
from validation.pairwise.protocol import Name, Options, Rows, Zoo

DATASETS: tuple[Name, ...] = ("moons", "mnist")
REFERENCES = 4
"""Networks that are tried as the reference."""
MOST = 20
"""Networks of a width, unless told otherwise."""
LABELS = {
    "none": "as they are",
    "pairwise": "every pair on its own",
    "universe": "common frame",
} | {f"reference {k}": f"network {k + 1} as reference" for k in range(REFERENCES)}


def configurations(options: Options) -> list[Zoo]:
    """Return one task for every width; every pair is matched, so of fewer networks."""
    return [
        dataclasses.replace(zoo, models=options.models or min(zoo.models, MOST))
        for zoo in protocol.zoos(options)
    ]


def measured(config: Zoo, *, data_dir: Path | None, device: str) -> Rows:
    """Train the networks of a width and measure their paths in every frame."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    stack = protocol.train_zoo(config, dataset, device=device).stack
    frames: dict[str, Stack] = {"none": stack}
    for k in range(min(REFERENCES, len(stack))):
        frames[f"reference {k}"] = protocol.aligned(stack, reference=k)
    frames["universe"] = protocol.aligned(stack, reference="universe")
    for name, frame in frames.items():
        yield from protocol.path_rows(protocol.common_paths(frame, dataset), frame=name)
    yield from protocol.path_rows(protocol.direct_paths(stack, dataset), frame="pairwise")


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw epsilon against width, for several references, and for other frames."""
    shown = table[table["quantity"] == "epsilon_loss"]
    shown = shown.assign(frame=shown["frame"].map(LABELS))
    one = LABELS["reference 0"]
    others = [LABELS["none"], one, LABELS["universe"], LABELS["pairwise"]]
    references = [label for name, label in LABELS.items() if name.startswith("reference")]
    titles = {
        "Every network in the frame of one of them": [LABELS["none"], *references],
        "One frame for all, or each pair on its own": others,
    }
    with plotting.style():
        figure, axes = plotting.panels(1, 2)
        for (title, names), ax in zip(titles.items(), axes, strict=True):
            rows = pd.concat([shown[shown["frame"] == name] for name in names])
            ylabel = "epsilon of the test loss"
            plotting.plot_spread(rows, "width", "frame", ylabel=ylabel, whiskers=False, ax=ax)
            ax.set_yscale("symlog", linthresh=0.01)
            ax.set(ylim=(-0.002, None), title=title)
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median epsilon by width and frame."""
    return medians(table).reset_index().rename_axis(columns=None)


def medians(table: pd.DataFrame, value: str = "q50") -> pd.DataFrame:
    """Return a statistic of epsilon, one row for every width and one column for every frame."""
    rows = table[table["quantity"] == "epsilon_loss"]
    wide = rows.pivot(index="width", columns="frame", values=value)
    return wide[[name for name in LABELS if name in wide]]


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of the choice of the reference, beside what the table says."""
    return [_alike(table), _pairwise(table)]


def _alike(table: pd.DataFrame) -> Claim:
    wide = medians(table).loc[4:]
    references = wide.filter(like="reference")
    below = references.lt(wide["none"], axis=0).all(axis=1)
    middle = references.index[len(references) // 2]
    return Claim(
        paper="kalaivanan",
        where="robustness to the choice of the reference",
        statement="The choice of the reference changes the values, but not the picture (here: "
        "under every reference the median epsilon is below that of naive networks, at widths "
        "from 4).",
        published="no number",
        measured=f"at {below.sum()} of {len(below)} widths; at width {middle} "
        f"{references.loc[middle].min():.2g} to {references.loc[middle].max():.2g} by reference, "
        f"{wide.loc[middle, 'none']:.2g} as they are",
        verdict=verdict(bool(below.all())),
    )


def _pairwise(table: pd.DataFrame) -> Claim:
    means = medians(table, "measured")
    errors = medians(table, "stderr")
    shown = means.index[[1, len(means) // 2, -1]]
    texts = [
        f"{means.loc[w, 'reference 0']:.2g} ± {errors.loc[w, 'reference 0']:.1g} / "
        f"{means.loc[w, 'pairwise']:.2g} ± {errors.loc[w, 'pairwise']:.1g} (width {w})"
        for w in shown
    ]
    return Claim(
        paper="kalaivanan",
        where="robustness to the choice of the reference",
        statement="Matching every pair on its own gives the same picture as one reference for all.",
        published="no number",
        measured="mean epsilon with one reference / pairwise: " + ", ".join(texts),
        verdict="not comparable",
        reason="the paper shows figures only, of networks under other optimisers",
    )
