"""Ask which layers must be trained for how long before they can be matched.

Sharma et al. (2024): networks are put together from the layers of an early checkpoint and those of
the end of training; the permutation that weight matching finds for two such networks is applied to
the final ones. Early and late are counted in steps here: an epoch has 26 on the digits, 391 in the
paper.
"""

import copy
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from otlmc import data, plotting
from otlmc.matching import Permutation, infer_spec, match
from otlmc.networks import MLP, train
from validation.sets import Sets
from validation.simultaneous.cutoff_claims import DESIGNS, claims, errors
from validation.simultaneous.protocol import Options, Pair, Rows, barriers, pairs, select

__all__ = ["claims", "configurations", "draw", "measured", "summarise"]

EARLY = {"digits": (0, 26, 52, 78, 130, 260, 520), "mnist": (0, 26, 52, 130, 260, 520, 1407)}
"""The steps from which the early layers are taken."""


def configurations(options: Options) -> list[Pair]:
    """Return the pairs of a preset."""
    return pairs(options, hidden_layers=4, width=64)


def early_layers(layers: int) -> dict[tuple[str, int | None], list[int]]:
    """Return the layers that come from the early checkpoint, by design and cut.

    Examples
    --------
    >>> early_layers(3)["bottom-up", 2], early_layers(3)["leave-out", 1]
    ([0, 1], [0, 2])
    """
    every = range(layers)
    found: dict[tuple[str, int | None], list[int]] = {("all", None): list(every)}
    for cut in every:
        found["put-in", cut] = [cut]
        found["leave-out", cut] = [layer for layer in every if layer != cut]
        if cut > 0:
            found["bottom-up", cut] = list(every[:cut])
            found["top-down", cut] = list(every[cut:])
    return found


def spliced(early: MLP, late: MLP, layers: Sequence[int]) -> MLP:
    """Return the late network with some layers of the early one."""
    prefixes = tuple(f"layers.{layer}." for layer in layers)
    first = early.state_dict()
    result = copy.deepcopy(late)
    result.load_state_dict(
        {
            key: first[key] if key.startswith(prefixes) else tensor
            for key, tensor in late.state_dict().items()
        }
    )
    return result


def measured(config: Pair, *, data_dir: Path | None, device: str) -> Rows:
    """Train the pair, match what is put together from early and late layers, and measure the end.

    Yields
    ------
    dict
        ``design``, ``cut`` and ``step`` say which layers are early and how early; ``"end"`` has no
        early layer, and ``"none"`` no permutation.
    """
    dataset = data.load(config.dataset, data_dir=data_dir).to(device)
    steps = EARLY[config.dataset]
    result = train(
        config.architecture(dataset),
        dataset,
        config.training(),
        config.seeds,
        checkpoints=steps,
        device=device,
    )
    a, b = result.stack
    found: dict[tuple[str, int | None, int | None], Permutation] = {
        ("none", None, None): Permutation.identity(infer_spec(a)),
        ("end", None, None): match(a, b).permutation,
    }
    for (design, cut), layers in early_layers(config.hidden_layers + 1).items():
        for step in steps:
            early = result.checkpoints[step]
            one, other = spliced(early[0], a, layers), spliced(early[1], b, layers)
            found[design, cut, step] = match(one, other).permutation
    ends = {key: (a, permutation.apply(b)) for key, permutation in found.items()}
    for (design, cut, step), fields in barriers(ends, Sets.of(dataset), points=config.points):
        yield {"design": design, "cut": cut, "step": step, **fields}


def draw(table: pd.DataFrame) -> plotting.Figure:
    """Draw the barrier at the end against the step of the early layers, one panel a design."""
    with plotting.style():
        figure, axes = plotting.panels(2, 2)
        for (design, meaning), ax in zip(DESIGNS.items(), axes, strict=True):
            _draw(errors(table), design, meaning, ax)
    return figure


def _draw(rows: pd.DataFrame, design: str, meaning: str, ax: plotting.Axes) -> None:
    shown = pd.concat([select(rows, design="all"), select(rows, design=design)])
    names = "K = " + shown["cut"].map("{:.0f}".format)
    names = names.where(shown["design"] != "all", "all layers early")
    for baseline, label, dashes in (
        ("none", "no permutation", ":"),
        ("end", "matched at the end", "--"),
    ):
        value = select(rows, design=baseline)["measured"].mean()
        ax.axhline(value, color="0.3", ls=dashes, lw=1, label=label)
    plotting.plot_series(shown.assign(line=names), x="step", series="line", ax=ax)
    first = min(step for step in shown["step"] if step > 0)
    ax.set_xscale("symlog", linthresh=first)
    ax.set_xlim(left=-first / 5)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="step of the early layers", ylabel="barrier of the training error at the end")
    ax.set_title(f"{design}: {meaning}")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of the training error at the end, by design, cut and step."""
    rows = errors(table).fillna({"cut": -1, "step": -1})
    wide = rows.pivot_table(index=["design", "cut"], columns="step", values="measured", sort=False)
    wide.columns = [f"{step:.0f}" if step >= 0 else "end" for step in map(float, wide.columns)]
    return wide.round(3).reset_index()
