"""From sub-networks of two trained networks to the networks of other widths."""

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from torch import Tensor, nn

from otlmc import _check
from otlmc.connectivity import path
from otlmc.matching import match
from otlmc.matching.moments import Inputs
from otlmc.networks import Architecture, Stack
from otlmc.prediction.record import ScalingLaw, SupportDimension, WidthPrediction
from otlmc.prediction.subnetworks import Measured, Source, measure, stacked
from otlmc.results import RateFit
from otlmc.wasserstein import Seed, fit_rate

Array = NDArray[np.float64]

LEAST = 8
"""Units of a layer of the smallest sub-networks."""
_RUNGS = 7
_FEWEST = 4


def predict_widths(
    a: nn.Module,
    b: nn.Module,
    inputs: Inputs,
    labels: ArrayLike | Tensor | None = None,
    *,
    match_on: Inputs | None = None,
    repetitions: int = 8,
    confidence: float = 0.9,
    rng: Seed = 0,
) -> WidthPrediction:
    """Predict how two networks connect at other widths, from two networks of one width.

    Sub-networks of n units a layer are drawn from both networks, for n from the width m down to
    m / 8, and their units matched like those of the networks themselves. How the cost of the
    matching and the deviation of the midpoint fall with n says, by two routes, how they fall with
    the width. The interval of the prediction holds both.

    =================  ================================  ======================================
    quantity           route 1                           route 2
    =================  ================================  ======================================
    matching cost      slope of the cost: units are      0: units that were trained with others
                       drawn from one law at all widths  are no better matched among more
    deviation          half the slope of the cost, mean  slope of the deviation of sub-networks
                       of the layers (it goes with W_2)
    loss barrier       twice that of the deviation       twice that of the deviation
    =================  ================================  ======================================

    The matching cost is predicted by the mean of its routes. The deviation and the barrier are
    predicted to narrower networks by route 2, which has measured networks of such widths, and to
    wider ones by route 1, which is less noisy where one must extrapolate.

    This is a prediction, not a theorem. How good it is, is measured in ``docs/validation``.

    Parameters
    ----------
    a, b : nn.Module
        Two networks of one architecture with hidden layers of one width: an
        :class:`otlmc.networks.MLP`, or any chain of Linear and ReLU.
    inputs : array or Tensor, shape (samples, d)
        The data of the deviation and of the loss.
    labels : array or Tensor of int, shape (samples,), optional
        Class numbers; needed for the loss barrier.
    match_on : array or Tensor, shape (samples, d), optional
        The data whose activations are matched, usually training inputs; ``inputs`` if absent. One
        or two thousand samples are enough; ``repetitions * samples * m`` numbers are in memory.
    repetitions : int
        Sub-networks of every size, at least 2.
    confidence : float
        Nominal level of the intervals, in (0, 1).
    rng : int, Generator or SeedSequence
        Chooses the sub-networks.

    Returns
    -------
    WidthPrediction
        A law for every quantity; it prints as a table.

    Raises
    ------
    TypeError
        If a network is no module.
    ValueError
        If the networks differ in architecture, their hidden layers in width or are narrower than
        23, they are equal up to a permutation, a layer is constant, or an argument does not fit.

    References
    ----------
    Ferbach, Goujaud, Gidel and Dieuleveut (2024), Sections 3 and 5.4: the deviation goes with the
    distance of the matched neurons, and that with the dimension of their support.

    Examples
    --------
    >>> from otlmc import data, networks
    >>> digits = data.load("digits")
    >>> small = networks.Architecture(widths=(64, 32, 10))
    >>> config = networks.TrainConfig(lr=0.05, epochs=5)
    >>> a, b = networks.train(small, digits, config, [0, 1], device="cpu").stack
    >>> found = predict_widths(a, b, digits.test_inputs, digits.test_labels)
    >>> found.deviation.at(128).value < found.deviation.measured
    True
    """
    repetitions = _check.positive_int("repetitions", repetitions)
    if repetitions < 2:
        raise ValueError("`repetitions` must be at least 2 for a standard error, got 1")
    confidence = _check.number("confidence", confidence, above=0.0, below=1.0)
    first = stacked("a", a)
    second = stacked("b", b).to(first.device)
    architecture = first.architecture
    if second.architecture != architecture:
        raise ValueError(f"`b` must be {architecture} like `a`, got {second.architecture}")
    sizes = _sizes(architecture)
    tested = _samples("inputs", inputs, architecture, first.device)
    matched = tested
    if match_on is not None:
        matched = _samples("match_on", match_on, architecture, first.device)

    costs, deviations = _ladder((first, second), matched, tested, sizes, repetitions, rng)
    layers = [Slope.of(sizes, costs[:, :, layer]) for layer in range(costs.shape[2])]
    own = Slope.of(sizes, deviations)
    law = partial(ScalingLaw, source=int(sizes[0]), repetitions=repetitions, confidence=confidence)
    matching = [
        law(
            quantity=f"relative matching cost, layer {layer}",
            measured=float(costs[0, 0, layer - 1]),
            routes=(("sub-networks", slope.exponent), ("no change", 0.0)),
            wider=slope.exponent / 2,
            narrower=slope.exponent / 2,
            stderr=slope.stderr / 2,
            noise=slope.noise,
        )
        for layer, slope in enumerate(layers, start=1)
    ]
    like_cost = float(np.mean([slope.exponent for slope in layers])) / 2
    # The layers share their sub-networks, so that their errors add up rather than cancel.
    error = float(np.mean([slope.stderr for slope in layers])) / 2
    deviation = law(
        quantity="deviation of the midpoint",
        measured=float(deviations[0, 0]),
        routes=(("matching cost", like_cost), ("sub-networks", own.exponent)),
        wider=like_cost,
        narrower=own.exponent,
        stderr=math.hypot(error, own.stderr) / 2,
        noise=own.noise,
    )
    height = 0.0 if labels is None else _barrier(a, b, inputs, labels, match_on)
    barrier = replace(
        deviation,
        quantity="loss barrier",
        measured=height,
        routes=tuple((name, 2 * exponent) for name, exponent in deviation.routes),
        wider=2 * deviation.wider,
        narrower=2 * deviation.narrower,
        stderr=2 * deviation.stderr,
        noise=2 * deviation.noise,
    )
    quantile = float(stdtrit(repetitions - 1, 0.5 + confidence / 2))
    return WidthPrediction(
        width=int(sizes[0]),
        matching=tuple(matching),
        deviation=deviation,
        loss_barrier=barrier if height > 0 else None,
        dimensions=tuple(
            SupportDimension.of(layer, slope.exponent, slope.stderr * quantile)
            for layer, slope in enumerate(layers, start=1)
        ),
        ladders=(*(slope.fit for slope in layers), own.fit),
    )


def _ladder(
    networks: tuple[Stack, Stack],
    matched: Tensor,
    tested: Tensor,
    sizes: NDArray[np.int_],
    repetitions: int,
    rng: Seed,
) -> tuple[Array, Array]:
    """Measure sub-networks: costs (sizes, repetitions, L) and deviations (sizes, repetitions).

    The first size is that of the networks, which are one pair, repeated.
    """
    generator = np.random.default_rng(rng)
    with torch.no_grad():
        whole = measure(*networks, matched, tested)
        _check_apart(whole)
        a, b = (Source.of(network, matched, repetitions, generator) for network in networks)
        rungs = [
            measure(a.subnetworks(n), b.subnetworks(n), matched, tested) for n in sizes[1:].tolist()
        ]
    costs = np.stack([np.tile(whole.costs, (repetitions, 1)), *(rung.costs for rung in rungs)])
    own = np.repeat(whole.deviation, repetitions)
    return costs, np.stack([own, *(rung.deviation for rung in rungs)])


class Slope(NamedTuple):
    """A power law fitted to sub-networks, and what is uncertain about it."""

    fit: RateFit
    stderr: float
    noise: float

    @property
    def exponent(self) -> float:
        """The fitted exponent."""
        return self.fit.exponent

    @classmethod
    def of(cls, sizes: NDArray[np.int_], values: Array) -> "Slope":
        """Fit values of shape (sizes, repetitions), those of the networks themselves first.

        The repetitions say how the means of the sub-networks vary, but the networks themselves are
        one pair only. Its noise is taken to be that of sub-networks of half the width, of which it
        holds two that share no unit.
        """
        fit = fit_rate(sizes, values)
        student = float(stdtrit(values.shape[1] - 1, 0.5 + fit.confidence / 2))
        half = int(np.abs(sizes - sizes[0] / 2).argmin())
        noise = float(np.log(values[half]).std(ddof=1))
        centred = np.log(sizes) - np.log(sizes).mean()
        lever = centred[0] / (centred @ centred)
        return cls(fit, math.hypot((fit.high - fit.low) / (2 * student), lever * noise), noise)


def _sizes(architecture: Architecture) -> NDArray[np.int_]:
    """Return the widths of the ladder, in steps of sqrt(2) from the networks' own down."""
    hidden = set(architecture.widths[1:-1])
    if len(hidden) != 1:
        raise ValueError(
            f"`a` and `b` must have hidden layers of one width, got {architecture.widths[1:-1]}"
        )
    width = hidden.pop()
    sizes = np.round(width * 2.0 ** (-np.arange(_RUNGS) / 2)).astype(int)
    sizes = sizes[sizes >= LEAST]
    if len(sizes) < _FEWEST:
        raise ValueError(f"`a` and `b` must have at least 23 units a layer, got {width}")
    return sizes


def _samples(name: str, inputs: Inputs, architecture: Architecture, device: torch.device) -> Tensor:
    """Return checked inputs of shape (samples, d) in float64."""
    tensor = torch.as_tensor(inputs)
    if tensor.ndim < 2 or not tensor.numel():
        raise ValueError(f"`{name}` must be (samples, ...), got shape {tuple(tensor.shape)}")
    rows = tensor.to(device, torch.float64).flatten(1)
    if rows.shape[1] != architecture.widths[0]:
        raise ValueError(
            f"`{name}` must hold {architecture.widths[0]} values a sample, "
            f"got shape {tuple(tensor.shape)}"
        )
    if not torch.isfinite(rows).all():
        raise ValueError(f"`{name}` holds NaN or infinite entries")
    return rows


def _check_apart(whole: Measured) -> None:
    """Refuse networks of which nothing can be learnt."""
    if not np.isfinite(whole.deviation).all():
        raise ValueError("`a` or `b` has NaN or infinite outputs")
    if min(whole.costs.min(), whole.deviation.min()) < 1e-12:
        raise ValueError(
            "`b` must differ from `a` in every layer: up to a permutation they are equal"
        )


def _barrier(
    a: nn.Module, b: nn.Module, inputs: Inputs, labels: ArrayLike | Tensor, match_on: Inputs | None
) -> float:
    data = inputs if match_on is None else match_on
    matching = match(a, b, data, method="activation_centred")
    return path(a, b, inputs, labels, permutation=matching).loss_barrier
