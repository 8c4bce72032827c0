"""What the panels of matching and connectivity show: the numbers of the reports."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from small_networks import gaussian, mlp

from otlmc import plotting
from otlmc.connectivity import path, plane


@pytest.fixture
def ax():
    mpl.use("Agg")
    with plotting.style():
        figure, axes = plotting.panels(1, 1)
        yield axes[0]
        figure.savefig(io.BytesIO(), format="png")
        plt.close(figure)


X, Y = gaussian(40, 2), torch.arange(40) % 3


def test_path(ax):
    paths = [path(mlp(2, 8, 3, seed=s), mlp(2, 8, 3, seed=s + 9), X, Y) for s in range(3)]
    plotting.plot_path({"none": paths, "again": paths[:1]}, quantity="error", ax=ax)
    line, other = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), np.median([p.error for p in paths], axis=0))
    np.testing.assert_allclose(other.get_ydata(), paths[0].error)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["none", "again"]


def test_barrier_against_width(ax):
    table = pd.DataFrame(
        {"width": [8, 8, 16, 16], "measured": [1.0, 3.0, 0.5, 0.5], "matching": ["none"] * 4}
    )
    plotting.plot_barrier_against_width(table, "matching", ax=ax)
    shown = np.asarray(ax.containers[0].lines[0].get_ydata(), dtype=float)
    np.testing.assert_allclose(shown, [2.0, 0.5])


def test_matching(ax):
    scores = np.arange(9.0).reshape(3, 3)
    plotting.plot_matching(scores, [2, 0, 1], ax=ax)
    np.testing.assert_allclose(ax.get_images()[0].get_array(), scores[:, [2, 0, 1]])


@pytest.mark.parametrize("limit", [None, 0.5])
def test_loss_plane(ax, limit):
    report = plane([mlp(2, 8, 3, seed=s) for s in range(3)], X, Y, resolution=5)
    plotting.plot_loss_plane(report, limit=limit, ax=ax)
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata()[:3], report.corners)
    assert [text.get_text() for text in ax.texts] == ["A", "B", "C"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_decision_regions(ax, outputs):
    net, y = mlp(2, 8, outputs), Y.clamp(max=max(1, outputs - 1))
    plotting.plot_decision_regions(net, X, y, resolution=9, ax=ax)
    shown = np.asarray(ax.collections[0].get_array()).reshape(9, 9)
    low, high = X.numpy().min(0), X.numpy().max(0)
    corner = torch.from_numpy(low - 0.1 * (high - low))[None]
    logits = net(corner)[0]
    assert shown[0, 0] == (logits[0] > 0 if outputs == 1 else logits.argmax())


def test_below_bound(ax):
    table = pd.DataFrame(
        {"width": [8, 4, 4], "matching": ["a", "a", "b"], "measured": [1.0, 2.0, 3.0]}
    )
    plotting.plot_below_bound(
        table.assign(stderr=0.1, upper=table["measured"] + 1), x="width", series="matching", ax=ax
    )
    bounds = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in bounds] == [[3.0, 2.0], [4.0]]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["matching = a", "matching = b"]
    assert ax.get_ylim()[0] == 0


def test_series_with_published_values(ax):
    table = pd.DataFrame(
        {"epoch": [1, 1, 2, 2, 1], "measured": [1.0, 3.0, 0.5, 0.5, 7.0], "line": [*"aaaab"]}
    )
    theirs = pd.DataFrame(
        {"epoch": [1, 2], "value": [4.0, 5.0], "line": ["b", "c"], "architecture": "VGG-16"}
    )
    plotting.plot_series(table, x="epoch", series="line", published=theirs, ax=ax)
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xydata(), [[1, 2.0], [2, 0.5]])
    ends = [segment[:, 1] for segment in ax.containers[0].lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.0, 4.0], [0.5, 0.5]])  # 2 standard errors of 1, 3: 2
    shown = [line for line in ax.get_lines() if line.get_mfc() == "white" and len(line.get_ydata())]
    hollow = {float(line.get_ydata()[0]): line for line in shown}
    assert set(hollow) == {4.0, 5.0}
    assert hollow[4.0].get_color() == ax.containers[1].lines[0].get_color()
    names = {text.get_text() for text in ax.get_legend().get_texts()}
    assert names == {"a", "b", "published: VGG-16"}


def test_matrix(ax):
    matrix = pd.DataFrame([[0.1, 0.2], [np.nan, 0.4]], index=[0, 5], columns=[1, 60])
    plotting.plot_matrix(matrix, xlabel="epoch", ylabel="found at", label="barrier", ax=ax)
    assert [text.get_text() for text in ax.texts] == ["0.100", "0.200", "0.400"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "60"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "5"]
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), matrix)
