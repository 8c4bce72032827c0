"""What the theory claims of wider networks, read off a table of width_prediction."""

import pandas as pd

from validation.claims import Claim, verdict

_WHERE = {
    "deviation": "Theorems 3.1 and 5.2, deviation",
    "loss barrier": "Theorems 3.1 and 5.2, barrier",
}


def claims(table: pd.DataFrame) -> list[Claim]:
    """Return the claim that width connects, for the deviation and for the barrier."""
    trained = table[table["stage"] == "trained"]
    return [_falls(trained[trained["quantity"] == name], name) for name in _WHERE]


def _falls(rows: pd.DataFrame, quantity: str) -> Claim:
    """Compare the narrowest with the widest networks of every rate and depth."""
    means = rows.pivot_table(
        index=["hidden_layers", "learning_rate"], columns="width", values="measured"
    )
    left = means.apply(lambda row: row.dropna().iloc[-1] / row.dropna().iloc[0], axis=1)
    fell = int((left < 1).sum())
    widths = rows.groupby("hidden_layers")["width"].agg(["min", "max"])
    steps = ", ".join(
        f"{layers} hidden: {row['min']} to {row['max']}" for layers, row in widths.iterrows()
    )
    return Claim(
        paper="ferbach2024",
        where=_WHERE[quantity],
        statement=f"The wider two networks are, the better they connect: the {quantity} after "
        "matching falls at every learning rate and depth.",
        published="no number",
        measured=f"falls at {fell} of {len(left)}, to {left.min():.2g} to {left.max():.2g} of its "
        f"value ({steps} units)",
        verdict=verdict(fell == len(left)),
        reason="" if fell == len(left) else f"does not fall at {len(left) - fell}",
    )
