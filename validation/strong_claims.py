"""What Sharma et al. (2024) claim of strong connectivity, read off a table of ``strong``."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from validation.claims import Claim, published, spread, verdict

Array = NDArray[np.float64]

CONNECTED = 0.02
"""The paper's threshold of the training error below which two networks count as connected."""


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claims on width and composition, each beside what the table says."""
    main = table[table["setup"] == "main"]
    return [
        _falls(main, "pair"),
        _falls(main, "via one"),
        _above(main),
        _below_none(main),
        _threshold(main),
        _methods(main),
        _longer(main),
        _agreement(main),
    ]


def barriers(
    table: pd.DataFrame,
    arrangement: str,
    matching: str = "weight",
    quantity: str = "error_barrier",
    on: str = "train",
) -> "pd.Series[float]":
    """Return a barrier by width, averaged over the repetitions."""
    rows = select(table, arrangement, matching, quantity, on)
    return rows.groupby("width")["measured"].mean()


def select(
    table: pd.DataFrame, arrangement: str, matching: str, quantity: str, on: str
) -> pd.DataFrame:
    """Return the rows of one quantity."""
    fields = {"arrangement": arrangement, "matching": matching, "quantity": quantity, "on": on}
    chosen = np.logical_and.reduce([table[name] == value for name, value in fields.items()])
    return table[chosen]


def _claim(where: str, statement: str, **fields: Any) -> Claim:
    return Claim(paper="sharma2024", where=where, statement=statement, **fields)


def _paper(arrangement: str, matching: str = "weight") -> dict[str, Array]:
    """Return the published barriers of the training error by width, for every architecture."""
    values = select(published("sharma2024_width"), arrangement, matching, "error_barrier", "train")
    return {
        str(name): rows.sort_values("width")["value"].to_numpy()
        for name, rows in values.groupby("architecture")
    }


def _ends(values: ArrayLike) -> str:
    values = np.asarray(values)
    return f"{values[0]:.3g} -> {values[-1]:.3g}"


def _falls(main: pd.DataFrame, arrangement: str) -> Claim:
    names = {"pair": "B matched to A", "via one": "A and B both matched to C"}
    ours = {m: barriers(main, arrangement, m) for m in ("weight", "activation")}
    at = ours["weight"].index
    return _claim(
        "strong connectivity against width",
        f"The barrier with {names[arrangement]} falls with width (the last less than half of the "
        "first, for weight and for activation matching).",
        published=", ".join(
            f"{architecture} {matching} {_ends(values)}"
            for matching in ours
            for architecture, values in _paper(arrangement, matching).items()
        ),
        measured=", ".join(f"{m} {_ends(values.to_numpy())}" for m, values in ours.items())
        + f" (width {at[0]} -> {at[-1]})",
        verdict=verdict(all(v.iloc[-1] < 0.5 * v.iloc[0] for v in ours.values())),
    )


def _above(main: pd.DataFrame) -> Claim:
    texts, holds = [], True
    for matching in ("weight", "activation"):
        above = barriers(main, "via one", matching) >= barriers(main, "pair", matching)
        holds &= bool(above.all())
        texts.append(f"{matching} at {above.sum()} of {len(above)} widths")
    theirs = [
        f"{matching} at {(_paper('via one', matching)[name] >= pair).sum()} of {len(pair)} ({name})"
        for matching in ("weight", "activation")
        for name, pair in _paper("pair", matching).items()
    ]
    return _claim(
        "strong connectivity against width",
        "Through a third network the barrier is higher than directly.",
        published=", ".join(theirs),
        measured=", ".join(texts),
        verdict=verdict(holds),
    )


def _below_none(main: pd.DataFrame) -> Claim:
    ratio = barriers(main, "via one") / barriers(main, "pair", "none")
    printed = select(published("sharma2024_width"), "pair", "none", "error_barrier", "train").iloc[
        0
    ]
    size = printed["width"]
    via = select(published("sharma2024_width"), "via one", "weight", "error_barrier", "train")
    via = via[(via["architecture"] == printed["architecture"]) & (via["width"] == size)]
    theirs = via["value"].iloc[0] / printed["value"]
    return _claim(
        "strong connectivity against width",
        "Through a third network the barrier is still lower than with no permutation.",
        published=f"{theirs:.2g} times ({printed['architecture']} of base width {size})",
        measured=f"{ratio.min():.2g} to {ratio.max():.2g} times that of no permutation",
        verdict=verdict(bool((ratio < 1).all())),
    )


def _threshold(main: pd.DataFrame) -> Claim:
    widest = main["width"].max()
    rows = select(main, "via one", "weight", "error_barrier", "train")
    values = rows[rows["width"] == widest]["measured"]
    holds = bool(values.mean() <= CONNECTED)
    return _claim(
        "strong connectivity against width",
        f"Wide networks are strongly connected: the barrier is at most {CONNECTED:g} at the "
        "largest width (ResNet-20), or not yet (VGG-16).",
        published=", ".join(f"{name} {v[-1]:.3g}" for name, v in _paper("via one").items()),
        measured=f"{spread(values)} at width {widest}: {'connected' if holds else 'not yet'}",
        verdict="not comparable",
        reason="the threshold is a choice, and our networks and data are others",
    )


def _methods(main: pd.DataFrame) -> Claim:
    difference = barriers(main, "via one", "activation") - barriers(main, "via one", "weight")
    texts = [
        f"{name} {np.sum(_paper('via one', 'activation')[name] > v)} of {len(v)}"
        for name, v in _paper("via one").items()
    ]
    return _claim(
        "strong connectivity against width",
        "Through a third network weight matching is the better one at every width of ResNet-20; "
        "of VGG-16 when wide.",
        published="weight better at " + ", ".join(texts) + " widths",
        measured=f"weight better at {(difference > 0).sum()} of {len(difference)} widths",
        verdict="not comparable",
        reason="which one is better depends on the architecture in the paper too",
    )


def _longer(main: pd.DataFrame) -> Claim:
    routes = ("pair", "via one", "via two")
    lengths = {name: barriers(main, name) for name in routes}
    cycles = [barriers(main, name) for name in ("cycle of three", "cycle of four")]
    grows = lengths["pair"] < lengths["via one"]
    grows &= lengths["via one"] < lengths["via two"]
    grows &= cycles[0] < cycles[1]
    paper = published("sharma2024_composition")
    texts = []
    for name, rows in paper.groupby("architecture"):
        values = rows.set_index("arrangement")["value"]
        texts.append(f"{name} " + ", ".join(f"{values[route]:.3g}" for route in routes))
    width = int(np.abs(np.log(lengths["pair"].index / 64)).argmin())
    ours = ", ".join(f"{values.iloc[width]:.3g}" for values in lengths.values())
    return _claim(
        "composition of permutations",
        "The barrier grows with the number of composed permutations, along paths and around "
        "cycles.",
        published="; ".join(texts) + " (width 64, 1, 2, 3 composed)",
        measured=f"{ours} at width {lengths['pair'].index[width]}; grows at {grows.sum()} of "
        f"{len(grows)} widths",
        verdict=verdict(bool(grows.all())),
    )


def _agreement(main: pd.DataFrame) -> Claim:
    rows = main[(main["quantity"] == "agreement") & (main["arrangement"] == "via one")]
    ours = rows.groupby(["matching", "width"])["measured"].mean()
    values = published("sharma2024_width").query("quantity == 'agreement'")["value"]
    widest = main["width"].max()
    high = max(float(ours[m, widest]) for m in ("weight", "activation"))
    return _claim(
        "agreement of composed and direct permutations",
        "A composed permutation agrees with the direct one in few units, though it leaves a small "
        "barrier (here: in less than half of them, at the largest width).",
        published=f"{values.min():.2g} to {values.max():.2g} of the units",
        measured=", ".join(f"{m} {float(ours[m, widest]):.2g}" for m in ("weight", "activation"))
        + f" at width {widest}, barriers "
        + ", ".join(
            f"{barriers(main, 'via one', m).iloc[-1]:.2g}" for m in ("weight", "activation")
        ),
        verdict=verdict(high < 0.5),
    )
