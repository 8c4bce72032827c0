"""How good predictions across widths are: read off a table of width_prediction alone."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from otlmc.prediction import ScalingLaw

CONFIGURATION = ["stage", "hidden_layers", "learning_rate", "quantity", "layer"]
QUANTITIES = ("matching cost", "deviation", "loss barrier")
"""What is predicted."""
METHODS: Mapping[str, str] = {
    "predicted": "the prediction",
    "route 1": "route 1 alone",
    "route 2": "route 2 alone",
    "no change": "no change with the width",
    "floor": "cost ladder with a floor",
    "gaussian": "Gaussian units of the measured spectrum",
    "Monte Carlo": "like independent errors: m^(-1/2), barrier 1/m",
}
"""The ways to predict; the routes of every quantity are those of ``predict_widths``."""
_MONTE_CARLO = {"matching cost": 0.0, "deviation": -0.5, "loss barrier": -1.0}


def law(row: Mapping[Any, Any], *, repetitions: int = 8, confidence: float = 0.9) -> ScalingLaw:
    """Return the law of a row of the table."""
    return ScalingLaw(
        quantity=row["quantity"],
        source=row["width"],
        measured=row["measured"],
        routes=(("1", row["route_1"]), ("2", row["route_2"])),
        wider=row["wider"],
        narrower=row["narrower"],
        stderr=row["exponent_stderr"],
        noise=row["noise"],
        repetitions=repetitions,
        confidence=confidence,
    )


def forecasts(table: pd.DataFrame) -> pd.DataFrame:
    """Return every prediction from one pair for one width, beside what was measured there.

    Its own width is among them, for the figures; :func:`scores` leaves it out.

    Returns
    -------
    DataFrame
        The configuration; ``width`` and ``repetition`` of the source, ``target`` width; for every
        method its prediction; ``low`` and ``high``; ``measured``, the geometric mean of the pairs
        of the target width (0 where all barriers are), ``covered``, the share of all pairs inside
        the interval.
    """
    rows = []
    for configuration, own in _configurations(table, QUANTITIES):
        targets = {width: own["measured"][own["width"] == width] for width in set(own["width"])}
        for source in own.dropna(subset="route_1").to_dict("records"):
            scaling = law(source)
            for target, values in targets.items():
                there = scaling.at(target)
                factor = target / scaling.source
                exponents = {
                    "route 1": source["route_1"],
                    "route 2": source["route_2"],
                    "no change": 0.0,
                    "floor": source["floor"],
                    "gaussian": source["gaussian"],
                    "Monte Carlo": _MONTE_CARLO[configuration["quantity"]],
                }
                others = {k: scaling.measured * factor**e for k, e in exponents.items()}
                rows.append(
                    configuration
                    | {
                        "width": source["width"],
                        "repetition": source["repetition"],
                        "target": target,
                    }
                    | {"predicted": there.value, **others, "low": there.low, "high": there.high}
                    | {
                        "measured": _mean(values),
                        "covered": float(values.between(there.low, there.high).mean()),
                    }
                )
    return pd.DataFrame(rows)


def scores(found: pd.DataFrame, method: str = "predicted") -> pd.DataFrame:
    """Score a method by quantity, depth and direction, wherever a ratio can be formed.

    Returns
    -------
    DataFrame
        ``ratio``: geometric mean of predicted over measured. ``spread``: exp of the root mean
        square of its logarithm, so that most predictions are right up to this factor. ``rank``:
        Spearman's correlation of predicted and measured. ``rank of change``: that of their ratios
        to the value at the source, which says whether the method knows where the width matters
        more. ``coverage``: share of measured pairs inside the interval of the prediction.
    """
    usable = found[(found["measured"] > 0) & (found["target"] != found["width"])].assign(
        to=lambda t: np.where(t["target"] > t["width"], "wider", "narrower")
    )
    rows = []
    keys = ["stage", "quantity", "hidden_layers", "to"]
    for values, own in usable.groupby(keys, sort=False):
        log_ratio = np.log(own[method] / own["measured"])
        change = own[method] / own["no change"], own["measured"] / own["no change"]
        rows.append(
            dict(zip(keys, values, strict=True))
            | {
                "n": len(own),
                "ratio": float(np.exp(log_ratio.mean())),
                "spread": float(np.exp(np.sqrt((log_ratio**2).mean()))),
                "rank": _spearman(own[method], own["measured"]),
                "rank of change": _spearman(*change),
                "coverage": float(own["covered"].mean()),
            }
        )
    return pd.DataFrame(rows)


def methods(found: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of every method, to wider and to narrower networks."""
    frames = {
        METHODS[name]: scores(found, name).groupby(["stage", "quantity", "to"])["spread"].mean()
        for name in METHODS
    }
    return pd.DataFrame(frames).T.rename_axis("method").reset_index()


def least_widths(table: pd.DataFrame) -> pd.DataFrame:
    """Ask of every pair at which width its quantity falls to what was measured at a wider one.

    Returns
    -------
    DataFrame
        ``target``, the true answer; ``found``, ``low``, ``high``, the predicted ones, infinite
        where the prediction is "never".
    """
    rows = []
    for configuration, own in _configurations(table, QUANTITIES[1:]):
        levels = {width: _mean(own["measured"][own["width"] == width]) for width in own["width"]}
        for source in own.dropna(subset="route_1").to_dict("records"):
            scaling = law(source)
            for target, level in levels.items():
                if target <= scaling.source or not 0 < level < scaling.measured:
                    continue
                answer = scaling.width_for(level)
                widths = {"found": answer.width, "low": answer.low, "high": answer.high}
                rows.append(
                    configuration
                    | {"width": scaling.source, "target": target}
                    | {name: np.inf if w is None else w for name, w in widths.items()}
                )
    return pd.DataFrame(rows)


def _configurations(
    table: pd.DataFrame, quantities: Sequence[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield what networks of different widths have in common, and their rows."""
    known = table[table["quantity"].isin(quantities)]
    for keys, own in known.groupby(CONFIGURATION, dropna=False):
        yield dict(zip(CONFIGURATION, keys, strict=True)), own


def _mean(values: pd.Series) -> float:
    """Return the geometric mean of those that are positive, or 0."""
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else 0.0


def _spearman(x: pd.Series, y: pd.Series) -> float:
    """Return the correlation of the ranks; values that differ by round-off alone are tied."""
    ranks = [values.map(math.log).round(9).rank() for values in (x, y)]
    return float(ranks[0].corr(ranks[1]))
