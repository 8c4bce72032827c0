"""Records print as small tables that hold the numbers of the record."""

import torch
from small_networks import gaussian, mlp

from otlmc import connectivity, matching

A, B, C = (mlp(4, 8, 3, seed=seed) for seed in range(3))
X, Y = gaussian(30, 4), torch.arange(30) % 3


def test_a_path_shows_both_columns() -> None:
    found = matching.match(A, B)
    report = connectivity.path(A, B, X, Y, permutation=found)
    assert report.unpermuted is not None
    lines = str(report).splitlines()
    assert lines[0] == "path on 30 test samples, ends: independent"
    assert lines[1].split() == ["none", "weight"]
    barrier = [f"{r.loss_barrier:.4g}" for r in (report.unpermuted, report)]
    assert lines[2].split() == ["loss", "barrier", *barrier]
    assert len(str(report.unpermuted).splitlines()) == len(lines)


def test_a_matching_shows_its_groups() -> None:
    found = matching.match(A, B)
    header, names, group = str(found).splitlines()
    assert header.startswith(f"weight: {found.total:.6g} after {found.sweeps} sweep(s)")
    assert names.split() == ["group", "units", "moved", "objective", "gain"]
    assert group.split()[1] == "8"


def test_joint_matchings_simplices_and_features() -> None:
    joint = matching.match_all([A, B, C], reference="universe")
    assert str(joint).startswith("weight: 3 networks onto a common universe, converged at ")
    assert "onto network 1" in str(matching.match_all([A, B, C], reference=1))
    simplex = connectivity.simplex([A, B, C], X, Y)
    last = str(simplex).splitlines()[-1].split()
    assert last == ["barycentre", "error", f"{simplex.barycentre_error:.4g}"]
    assert str(connectivity.features(A, B, X)).splitlines()[-1].startswith("output")
