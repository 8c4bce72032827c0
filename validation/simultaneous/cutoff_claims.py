"""What Sharma et al. (2024) claim of early and late layers, read off a table of ``cutoff``."""

import pandas as pd

from validation.claims import Claim, published, verdict
from validation.simultaneous.protocol import claim, select

DESIGNS = {
    "bottom-up": "layers below K are early",
    "top-down": "layers from K on are early",
    "put-in": "only layer K is early",
    "leave-out": "all layers but K are early",
}
WHERE = "layer cut-off"
SHORT = "our checkpoints are counted in steps, the paper's in epochs of 391"


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claims on layers, each beside what the table says."""
    return [_later_is_better(table), _input_is_early(table), _top_down(table), _middle(table)]


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training error at the end."""
    return select(table, on="train", quantity="error_barrier")


def by_step(table: pd.DataFrame, design: str) -> "pd.Series[float]":
    """Return the barrier by step, averaged over cuts and pairs."""
    return select(errors(table), design=design).groupby("step")["measured"].mean()


def baseline(table: pd.DataFrame, design: str) -> float:
    """Return the barrier with no early layer (``"end"``) or no permutation (``"none"``)."""
    return float(select(errors(table), design=design)["measured"].mean())


def _later_is_better(table: pd.DataFrame) -> Claim:
    ours = {design: by_step(table, design) for design in DESIGNS}
    paper = select(published("sharma2024_cutoff"), architecture="VGG-16", cut=2)
    theirs = select(paper, design="leave-out").set_index("epoch")["value"]
    return claim(
        WHERE,
        "The later the early layers are, the lower the barrier at the end (mean over the cuts, "
        "latest against earliest, for every design).",
        published=f"leave-out {theirs.iloc[0]:.2g} -> {theirs.iloc[-1]:.2g} (epochs 1 -> 10)",
        measured=", ".join(f"{d} {v.iloc[0]:.2g} -> {v.iloc[-1]:.2g}" for d, v in ours.items())
        + f" (steps {ours['put-in'].index[0]:g} -> {ours['put-in'].index[-1]:g})",
        verdict=verdict(all(bool(v.iloc[-1] < v.iloc[0]) for v in ours.values())),
    )


def _input_is_early(table: pd.DataFrame) -> Claim:
    rows = select(errors(table), design="bottom-up", cut=1)
    ours = rows.groupby("step")["measured"].mean()
    first, end, none = ours[ours.index > 0], baseline(table, "end"), baseline(table, "none")
    paper = select(published("sharma2024_cutoff"), design="bottom-up", architecture="VGG-16", cut=2)
    return claim(
        WHERE,
        "The layers next to the input can come from the first epoch without harm.",
        published=f"{paper['value'].iloc[0]:.2g} at epoch 1 (391 steps), as at the end",
        measured=f"{first.iloc[0]:.2g} at step {first.index[0]:g}, {first.iloc[-1]:.2g} at step "
        f"{first.index[-1]:g}; {end:.2g} at the end, without {none:.2g}",
        verdict="not comparable",
        reason=SHORT,
    )


def _top_down(table: pd.DataFrame) -> Claim:
    paper = select(published("sharma2024_cutoff"), architecture="VGG-16", epoch=1, cut=4)
    theirs = paper.set_index("design")["value"]
    rows = select(errors(table), cut=2)
    step = rows.loc[rows["step"] > 0, "step"].min()
    ours = select(rows, step=step).groupby("design")["measured"].mean()
    holds = bool(ours["top-down"] > ours["bottom-up"])
    return claim(
        WHERE,
        "Cut in the middle, early layers above the cut do more harm than early layers below it.",
        published=f"{theirs['top-down']:.2g} against {theirs['bottom-up']:.2g} (VGG-16, depth 4, "
        "epoch 1)",
        measured=f"{ours['top-down']:.2g} against {ours['bottom-up']:.2g} (K = 2, step {step:g})",
        verdict=verdict(holds),
        reason="" if holds else "here the first layer is the critical one",
    )


def _middle(table: pd.DataFrame) -> Claim:
    rows = select(errors(table), design="put-in")
    step = rows.loc[rows["step"] > 0, "step"].min()
    ours = select(rows, step=step).groupby("cut")["measured"].mean()
    paper = select(published("sharma2024_cutoff"), architecture="VGG-16", design="put-in", epoch=1)
    theirs = paper.set_index("cut")["value"]
    holds = ours.iloc[1:-1].max() > max(ours.iloc[0], ours.iloc[-1])
    return claim(
        WHERE,
        "A single early layer does the most harm in the middle of the network.",
        published=", ".join(f"{value:.2g} (depth {cut})" for cut, value in theirs.items())
        + " at epoch 1 of VGG-16",
        measured=", ".join(f"{value:.2g} (K = {cut:g})" for cut, value in ours.items())
        + f" at step {step:g}",
        verdict=verdict(bool(holds)),
        reason="" if holds else "here the first layer is the critical one",
    )
