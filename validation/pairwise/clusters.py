"""Ask whether networks fall into clusters that are connected among themselves and to no other.

Protocol 2.C: the rows of the matrix of epsilon-losses are clustered by single linkage in the
Euclidean distance. Epsilon is no metric, so this describes and proves nothing.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist

from otlmc import plotting
from validation.claims import Claim, verdict
from validation.pairwise import protocol
from validation.pairwise.protocol import Name, Options, Rows, Zoo

DATASETS: tuple[Name, ...] = ("moons", "mnist")
SHOWN = {"moons": (512, 64, 4), "mnist": (512, 64)}
"""The widths of the paper."""
FRAMES = {"none": "as they are", "reference 0": "first network", "reference 1": "second network"}
MOST = 30
"""Networks of a width, unless told otherwise: every pair is kept in the table."""
CUT = 4
"""Clusters into which the tree is cut to see their sizes."""


def configurations(options: Options) -> list[Zoo]:
    """Return one task for every width that the paper shows, or the widest there is."""
    zoos = [
        dataclasses.replace(zoo, models=options.models or min(zoo.models, MOST))
        for zoo in protocol.zoos(options)
    ]
    return [zoo for zoo in zoos if zoo.width in SHOWN[options.dataset]] or zoos[:1]


def measured(config: Zoo, *, data_dir: Path | None, device: str) -> Rows:
    """Train the networks of a width; yield the epsilon of every pair, and the loss of networks."""
    dataset = protocol.load(config.dataset, data_dir=data_dir, device=device)
    result = protocol.train_zoo(config, dataset, device=device)
    yield {"quantity": "test_loss", "measured": float(result.test_loss.mean())}
    for frame in FRAMES:
        stack = result.stack
        if frame != "none":
            stack = protocol.aligned(stack, reference=int(frame[-1]))
        report = protocol.common_paths(stack, dataset)
        pairs = zip(report.pairs.tolist(), report.epsilon_loss.tolist(), strict=True)
        for (i, j), value in pairs:
            # Three digits: the table holds thousands of pairs.
            row = {"frame": frame, "i": i, "j": j, "measured": float(f"{value:.3g}")}
            yield {"quantity": "epsilon of a pair", **row}


def matrices(table: pd.DataFrame) -> Iterator[tuple[int, str, NDArray[np.float64]]]:
    """Yield width, frame and the matrix of epsilons."""
    rows = table[table["quantity"] == "epsilon of a pair"]
    for (width, frame), own in rows.groupby(["width", "frame"], sort=False):
        yield int(str(width)), str(frame), protocol.square(own)


def linkage(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cluster the rows of a matrix: single linkage, Euclidean distance."""
    return hierarchy.linkage(pdist(matrix), method="single")


def sizes(matrix: NDArray[np.float64]) -> list[int]:
    """Return the sizes of the clusters where the tree is cut into ``CUT``, the largest first."""
    labels = hierarchy.fcluster(linkage(matrix), CUT, criterion="maxclust")
    return sorted(np.bincount(labels)[1:].tolist(), reverse=True)


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the matrices before and after alignment, in the order of their clusters."""
    shown = {(w, f): m for w, f, m in matrices(table) if f != "reference 1"}
    widths = sorted({width for width, _ in shown})[-2:]
    dataset = table["dataset"].iloc[0]
    losses = table[table["quantity"] == "test_loss"].set_index("width")["measured"]
    with plotting.style():
        figure, axes = plotting.panels(len(widths), 2)
        places = ((width, frame) for width in widths for frame in ("none", "reference 0"))
        for (width, frame), ax in zip(places, axes, strict=True):
            matrix = shown[width, frame]
            # As in the paper, the colours end at the mean test loss once networks are aligned.
            limit = None if frame == "none" else float(losses[width])
            links, label = linkage(matrix), "epsilon of the test loss"
            plotting.plot_clusters(matrix, links, label=label, limit=limit, ax=ax)
            name = "as they are" if frame == "none" else "matched to the first"
            ax.set_title(f"{dataset}, width {width}: {name}", y=1.24)
    return figure


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the sizes of the clusters by width and frame."""
    rows = [
        {"width": width, "frame": FRAMES[frame], f"{CUT} clusters": " + ".join(map(str, sizes(m)))}
        for width, frame, m in matrices(table)
    ]
    return pd.DataFrame(rows)


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return what the paper says of clusters, beside what the table says."""
    return [_reference(table) if table["dataset"].iloc[0] == "mnist" else _none(table)]


def _none(table: pd.DataFrame) -> Claim:
    found = "; ".join(
        f"width {width}, {FRAMES[frame]}: {' + '.join(map(str, sizes(matrix)))}"
        for width, frame, matrix in matrices(table)
    )
    return Claim(
        paper="kalaivanan",
        where="clusters of networks",
        statement="There are no clear clusters of connected networks.",
        published="no number",
        measured=f"networks in each of {CUT} clusters, by width and frame: {found}",
        verdict="not comparable",
        reason="epsilon is no metric; a clustering of its rows describes only",
    )


def beside_reference(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean epsilon of pairs with the reference, and of the other pairs, by frame."""
    rows = []
    for width, frame, matrix in matrices(table):
        if frame == "none":
            continue
        k, count = int(frame[-1]), len(matrix)
        with_it = matrix[k].sum() / (count - 1)
        others = np.delete(np.delete(matrix, k, 0), k, 1).sum() / ((count - 1) * (count - 2))
        rows.append({"width": width, "frame": frame, "reference": with_it, "others": others})
    return pd.DataFrame(rows)


def _reference(table: pd.DataFrame) -> Claim:
    means = beside_reference(table)
    return Claim(
        paper="kalaivanan",
        where="clusters of networks",
        statement="The reference appears to affect the result (here: it is closer to the networks "
        "that were matched to it than they are to each other).",
        published="no number",
        measured="mean epsilon with the reference / of other pairs: "
        + ", ".join(
            f"{row.reference:.2g} / {row.others:.2g} (width {row.width}, {FRAMES[str(row.frame)]})"
            for row in means.itertuples()
        ),
        verdict=verdict(bool((means["reference"] < means["others"]).all())),
    )
