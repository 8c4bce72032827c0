import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from architectures import ARCHITECTURES, build
from small_networks import gaussian, mlp

from otlmc.connectivity import Interpolation, features, path, plane, simplex
from otlmc.connectivity.evaluation import evaluate


def combine(networks, weights):
    """The definition, without any sharing."""
    result = copy.deepcopy(networks[0])
    states = [n.state_dict() for n in networks]
    result.load_state_dict(
        {k: sum(w * s[k] for w, s in zip(weights, states, strict=True)) for k in states[0]}
    )
    return result


NETS = [mlp(6, 10, 8, 4, seed=s) for s in range(4)]
X, Y = gaussian(50, 6), torch.arange(50) % 4


@pytest.mark.parametrize(("corners", "points"), [(2, 6), (3, 22), (4, 56 + 1)])
def test_every_point_of_the_grid(corners, points):
    nets = NETS[:corners]
    report = simplex(nets, X, Y, resolution=5, batch_size=20)
    assert report.weights.shape == (points + (corners == 2), corners)
    assert len({tuple(w) for w in report.weights.round(12)}) == len(report.weights)
    np.testing.assert_allclose(report.weights.sum(1), 1, rtol=1e-12)
    ends = torch.stack([net(X) for net in nets])
    for w, loss, error, deviation in zip(
        report.weights, report.loss, report.error, report.deviation, strict=True
    ):
        logits = combine(nets, w.tolist())(X)
        np.testing.assert_allclose(loss, F.cross_entropy(logits, Y).item(), rtol=1e-10)
        np.testing.assert_allclose(error, (logits.argmax(1) != Y).double().mean(), rtol=1e-10)
        straight = torch.einsum("k,knc->nc", torch.from_numpy(w), ends)
        apart = (logits - straight).square().sum(1).mean().sqrt().item()
        np.testing.assert_allclose(deviation, apart, rtol=1e-9, atol=1e-12)
    centre = F.cross_entropy(combine(nets, [1 / corners] * corners)(X), Y).item()
    np.testing.assert_allclose(report.barycentre_loss, centre, rtol=1e-10)
    corner_losses = np.array([F.cross_entropy(net(X), Y).item() for net in nets])
    barrier = max(report.loss - report.weights @ corner_losses)
    np.testing.assert_allclose(report.loss_barrier, barrier, rtol=1e-10)
    assert report.to_record()["networks"] == corners


def test_an_edge_is_the_path():
    edge, line = simplex(NETS[:2], X, Y, resolution=10), path(NETS[0], NETS[1], X, Y)
    order = np.argsort(edge.weights[:, 1])
    np.testing.assert_allclose(edge.loss[order], line.loss, rtol=1e-10)
    np.testing.assert_allclose(edge.loss_barrier, line.loss_barrier, rtol=1e-10)


def test_plane_has_the_geometry_of_parameter_space():
    nets = NETS[:3]
    flat = [torch.cat([p.flatten() for p in net.parameters()]).detach() for net in nets]
    report = plane(nets, X, Y, resolution=7, margin=0.0)
    for j in range(3):
        for k in range(3):
            np.testing.assert_allclose(
                np.linalg.norm(report.corners[j] - report.corners[k]),
                (flat[j] - flat[k]).norm().item(),
                rtol=1e-10,
            )
    np.testing.assert_allclose(
        [report.loss[0, 0], report.loss[0, -1]],
        [F.cross_entropy(net(X), Y).item() for net in nets[:2]],
        rtol=1e-9,
    )
    assert report.loss.shape == (7, 7) and report.y[-1] == pytest.approx(report.corners[2, 1])


def test_full_weight_on_one_network_is_not_yet_that_network():
    """Outside the simplex weights such as (1, 1/2, -1/2) occur: no vertex."""
    weights = [(1.0, 0.5, -0.5)]
    found = evaluate(Interpolation(NETS[:3]), weights, X, Y, batch_size=20)
    logits = combine(NETS[:3], weights[0])(X)
    np.testing.assert_allclose(found.loss, F.cross_entropy(logits, Y).item(), rtol=1e-10)


@pytest.mark.parametrize("kind", ["batchnorm", "repair"])
def test_an_edge_is_the_path_recalibrated(kind):
    name = "residual, BatchNorm"
    nets = [build(name, seed) for seed in (0, 1)]
    x = gaussian(40, *ARCHITECTURES[name][1])
    other = gaussian(30, *ARCHITECTURES[name][1], seed=1)
    edge = simplex(nets, x, Y[:40], resolution=2, recalibrate=kind, recalibrate_on=other)
    line = path(*nets, x, Y[:40], points=3, recalibrate=kind, recalibrate_on=other)
    np.testing.assert_allclose(edge.barycentre_loss, line.midpoint_loss, rtol=1e-9)
    assert edge.recalibrate == kind and edge.to_record()["recalibrate"] == kind


def test_plane_recalibrated_at_its_corners():
    name = "residual, BatchNorm"
    nets = [build(name, seed) for seed in range(3)]
    x = gaussian(40, *ARCHITECTURES[name][1])
    sheet = plane(nets, x, Y[:40], resolution=2, margin=0.0, recalibrate="batchnorm")
    line = path(nets[0], nets[1], x, Y[:40], points=3, recalibrate="batchnorm")
    np.testing.assert_allclose(sheet.loss[0], line.loss[[0, -1]], rtol=1e-9)


def test_features_by_hand():
    a, b = NETS[:2]
    report = features(a, b, X, points=[0.0, 0.3, 0.5, 1.0], batch_size=17)
    middle = combine([a, b], [0.7, 0.3])
    for name, depth in (("2", 2), ("4", 4), ("output", 5)):
        h, h_a, h_b = (net[:depth](X) for net in (middle, a, b))
        straight = 0.7 * h_a + 0.3 * h_b
        deviation = (h - straight).norm() / straight.norm()
        np.testing.assert_allclose(report.deviation[name][1], deviation.item(), rtol=1e-9)
        cosine = F.cosine_similarity(h, straight, dim=1).mean().item()
        np.testing.assert_allclose(report.cosine[name][1], cosine, rtol=1e-9)
        np.testing.assert_allclose(report.deviation[name][[0, 3]], 0, atol=1e-12)
    assert report.to_record()["deviation[2]"] == report.deviation["2"].max()


def test_refusals():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        simplex(NETS[:1], X, Y)
    with pytest.raises(ValueError, match="`resolution`"):
        simplex(NETS[:2], X, Y, resolution=0)
    with pytest.raises(ValueError, match="must hold 3, got 2"):
        plane(NETS[:2], X, Y)
    with pytest.raises(ValueError, match="lie on one line"):
        plane([NETS[0], NETS[1], combine(NETS[:2], [0.3, 0.7])], X, Y)
    with pytest.raises(ValueError, match="lie on one line"):
        plane([NETS[0]] * 3, X, Y)
    with pytest.raises(ValueError, match="`recalibrate` must be one of"):
        plane(NETS[:3], X, Y, recalibrate="repair")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="network 2"):
        simplex([NETS[0], NETS[1], mlp(6, 9, 8, 4)], X, Y)
