"""What lies between four networks when permutations are composed along routes of them.

Joining A and B through C is joining A with B carried along the route A, C, B: moving both ends by
one permutation changes nothing. So pairs, detours, paths and cycles are all routes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import combinations, pairwise, permutations
from typing import Any

import numpy as np

from otlmc.connectivity import path, plane, simplex
from otlmc.matching import Permutation, infer_spec, match, match_all
from otlmc.networks import MLP, Stack, evaluate
from validation.sets import Sets

NETWORKS = 4
MATCHINGS = ("weight", "activation")

Route = tuple[int, ...]
Found = Mapping[Route, Permutation]
"""For every pair i < j the permutation that takes network j onto network i."""
Rows = Iterator[dict[str, Any]]

ROUTES: dict[str, list[Route]] = {
    "pair": list(combinations(range(NETWORKS), 2)),
    "via one": [(i, k, j) for i, k, j in permutations(range(NETWORKS), 3) if i < j],
    "via two": [(i, k, m, j) for i, k, m, j in permutations(range(NETWORKS)) if i < j],
    "cycle of three": [(i, j, k, i) for i, j, k in permutations(range(NETWORKS), 3) if j < k],
    "cycle of four": [(i, j, k, m, i) for i, j, k, m in permutations(range(NETWORKS)) if j < m],
}
"""Networks along a route, each route once: its other direction has the same barrier."""


def measure(networks: Sequence[MLP], sets: Sets, *, points: int, with_plane: bool) -> Rows:
    """Match four networks in every way, and measure what lies between them.

    Parameters
    ----------
    networks : sequence of four MLP
        Networks of one architecture.
    sets : Sets
        Where loss and error are measured; activations are those of the training inputs.
    points : int
        Values of t on every path.
    with_plane : bool
        Whether to map the loss on the plane of the first three networks, before and after weight
        matching.

    Yields
    ------
    dict
        arrangement, matching, on, quantity; measured, least, most and count are the mean over the
        routes (or networks), its range and their number. Rows of a plane have x and y.
    """
    yield from _ends(networks, sets)
    still = dict.fromkeys(ROUTES["pair"], Permutation.identity(infer_spec(networks[0])))
    yield from _along(networks, still, "none", ["pair"], sets, points)
    yield from _averages(networks, still, "none", sets)
    if with_plane:
        yield from _plane(networks, still, "none", sets)
    for matching in MATCHINGS:
        inputs = sets.inputs["train"]
        found = {
            (i, j): match(networks[i], networks[j], inputs, method=matching).permutation
            for i, j in ROUTES["pair"]
        }
        yield from _along(networks, found, matching, ROUTES, sets, points)
        yield from _averages(networks, found, matching, sets)
        joint = match_all(networks, inputs, method=matching, reference="universe")
        common = {(i, j): joint.between(i, j) for i, j in ROUTES["pair"]}
        for row in _along(networks, common, matching, ["pair"], sets, points):
            yield row | {"arrangement": "universe"}
        for row in _averages(networks, common, matching, sets):
            yield row | {"arrangement": "mean of three, universe"}
        yield from _agreements(found, common, matching)
        if with_plane and matching == "weight":
            yield from _plane(networks, found, matching, sets)


def carried(found: Found, route: Route) -> Permutation:
    """Compose permutations along a route: the last network is taken onto the first."""
    steps = (found[s] if s in found else found[s[::-1]].inverse() for s in pairwise(route))
    return reduce(Permutation.compose, steps)


def _ends(networks: Sequence[MLP], sets: Sets) -> Rows:
    """Measure the networks themselves."""
    stack = Stack.of(networks)
    for on, inputs in sets.inputs.items():
        found = evaluate(stack, inputs, sets.labels[on])
        for quantity, values in (("loss", found.loss), ("error", found.error)):
            yield _row("networks", None, on, quantity, values.tolist())


def _along(
    networks: Sequence[MLP],
    found: Found,
    matching: str,
    arrangements: Iterable[str],
    sets: Sets,
    points: int,
) -> Rows:
    """Measure the barriers along routes."""
    for arrangement in arrangements:
        moved = [
            (networks[route[0]], carried(found, route).apply(networks[route[-1]]))
            for route in ROUTES[arrangement]
        ]
        for on, inputs in sets.inputs.items():
            reports = [path(a, b, inputs, sets.labels[on], points=points, on=on) for a, b in moved]
            for quantity in ("loss_barrier", "error_barrier"):
                values = [getattr(report, quantity) for report in reports]
                yield _row(arrangement, matching, on, quantity, values)


def _averages(networks: Sequence[MLP], found: Found, matching: str, sets: Sets) -> Rows:
    """Measure the average of every three networks in the frame of each of them.

    Its barrier is its loss less the mean loss of the three.
    """
    every = range(NETWORKS)
    triples = [
        [networks[k], *(carried(found, (k, i)).apply(networks[i]) for i in others)]
        for k in every
        for others in combinations([i for i in every if i != k], 2)
    ]
    for on, inputs in sets.inputs.items():
        reports = [simplex(t, inputs, sets.labels[on], resolution=1, on=on) for t in triples]
        for name in ("loss", "error"):
            centres = [getattr(report, f"barycentre_{name}") for report in reports]
            means = [float(getattr(r, name)[r.weights.max(1) == 1].mean()) for r in reports]
            above = [centre - mean for centre, mean in zip(centres, means, strict=True)]
            yield _row("mean of three", matching, on, name, centres)
            yield _row("mean of three", matching, on, f"{name}_barrier", above)


def _agreements(found: Found, common: Found, matching: str) -> Rows:
    """Compare the direct permutations with those via a third network, and in the common frame."""

    def agreement(direct: Permutation, other: Permutation) -> float:
        return float(np.mean(list(direct.agreement(other).values())))

    via = [agreement(found[i, j], carried(found, (i, k, j))) for i, k, j in ROUTES["via one"]]
    together = [agreement(found[pair], common[pair]) for pair in ROUTES["pair"]]
    yield _row("via one", matching, None, "agreement", via)
    yield _row("universe", matching, None, "agreement", together)


def _plane(networks: Sequence[MLP], found: Found, matching: str, sets: Sets) -> Rows:
    """Map the training loss on the plane of the first three networks, in the frame of the first."""
    three = [networks[0], *(found[0, k].apply(networks[k]) for k in (1, 2))]
    report = plane(three, sets.inputs["train"], sets.labels["train"], on="train")
    fields = {"arrangement": "plane", "matching": matching, "on": "train"}
    for name, (x, y) in zip("ABC", report.corners.tolist(), strict=True):
        yield {**fields, "quantity": f"corner {name}", "measured": None, "x": x, "y": y}
    for y, losses in zip(report.y.tolist(), report.loss.tolist(), strict=True):
        for x, loss in zip(report.x.tolist(), losses, strict=True):
            yield {**fields, "quantity": "loss", "measured": loss, "x": x, "y": y}


def _row(
    arrangement: str, matching: str | None, on: str | None, quantity: str, values: Sequence[float]
) -> dict[str, Any]:
    return {
        "arrangement": arrangement,
        "matching": matching,
        "on": on,
        "quantity": quantity,
        "measured": float(np.mean(values)),
        "least": min(values),
        "most": max(values),
        "count": len(values),
    }
