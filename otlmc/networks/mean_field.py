"""Two-layer networks in mean-field scaling, an average over their neurons, and one-pass SGD."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otlmc import _check

Array = NDArray[np.float64]


class Task(Protocol):
    """A function that draws examples: inputs, shape (count, d), and targets, shape (count,)."""

    def __call__(self, count: int, /, *, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the examples."""
        ...


@dataclass(frozen=True)
class Neuron:
    r"""The neuron ``sigma(x; w) = activation(w . x)`` and its regularity in ``w`` for ``|x| <= 1``.

    The network of the weights ``w_1 .. w_m`` is :math:`f(x) = \frac1m \sum_i \sigma(x; w_i)`.

    Attributes
    ----------
    name : str
        ``"tanh"`` or ``"relu"``.
    lipschitz : float
        ``sup |activation'|``: the Lipschitz constant of ``sigma(x; .)``.
    smoothness : float or None
        ``sup |activation''|``: the Lipschitz constant of its gradient, where it has one.
    kink : float or None
        The jump of the slope at 0, where the activation is linear but for that.
    value, slope : callable
        The activation and its derivative.

    Examples
    --------
    >>> TANH.output([[1.0, 0.0], [-1.0, 0.0]], [[0.5, 0.5]])
    array([0.])
    """

    name: str
    lipschitz: float
    smoothness: float | None
    kink: float | None
    value: Callable[[Array], Array] = field(repr=False)
    slope: Callable[[Array], Array] = field(repr=False)

    def output(self, weights: ArrayLike, inputs: ArrayLike) -> Array:
        """Return f(x) for weights of shape (m, d) and inputs of shape (n, d), as an (n,) array.

        Dropping neurons and rescaling the others is the network of the rows that stay.
        """
        w, x = _check.finite("weights", weights, ndim=2), _check.finite("inputs", inputs, ndim=2)
        return self.value(_preactivations("weights", w, x)).mean(-1)

    def deviation(
        self, a: ArrayLike, b: ArrayLike, inputs: ArrayLike, *, t: ArrayLike = 0.5
    ) -> Array:
        """Return f(x; (1 - t) a + t b) - (1 - t) f(x; a) - t f(x; b).

        Parameters
        ----------
        a, b : array_like, shape (m, d)
            The neurons of two networks, those of ``b`` already permuted.
        inputs : array_like, shape (n, d)
            Where the networks are evaluated.
        t : array_like, shape (k,) or ()
            Places on the path.

        Returns
        -------
        ndarray, shape (k, n) or (n,)
            The deviation with its sign.

        Raises
        ------
        ValueError
            For networks of different shapes, or inputs of another dimension.

        Examples
        --------
        >>> RELU.deviation([[1.0]], [[-1.0]], [[1.0]])
        array([-0.5])
        """
        left, right = _check.finite("a", a, ndim=2), _check.finite("b", b, ndim=2)
        if left.shape != right.shape:
            raise ValueError(f"`a` and `b` must have one shape, got {left.shape} and {right.shape}")
        x = _check.finite("inputs", inputs, ndim=2)
        # the pre-activations of the path are those of its ends, mixed
        u, v = _preactivations("a", left, x), _preactivations("b", right, x)
        f, g = self.value(u).mean(-1), self.value(v).mean(-1)
        places = _check.finite("t", t)
        between = [
            self.value((1 - s) * u + s * v).mean(-1) - (1 - s) * f - s * g for s in places.flat
        ]
        return np.reshape(between, (*places.shape, len(x)))


TANH = Neuron(
    "tanh",
    lipschitz=1.0,
    # |tanh''| = 2 |tanh| (1 - tanh^2) is largest where tanh^2 = 1/3
    smoothness=4 / (3 * math.sqrt(3)),
    kink=None,
    value=np.tanh,
    slope=lambda u: 1 - np.tanh(u) ** 2,
)
RELU = Neuron(
    "relu",
    lipschitz=1.0,
    smoothness=None,
    kink=1.0,
    value=lambda u: np.maximum(u, 0.0),
    slope=lambda u: (u > 0).astype(np.float64),
)
NEURONS = {neuron.name: neuron for neuron in (TANH, RELU)}


@dataclass(frozen=True, eq=False)
class Teacher:
    """A task: inputs uniform on the unit sphere, and the output of a small tanh network as target.

    Attributes
    ----------
    neurons : ndarray, shape (k, d)
        Neurons of the teacher.

    Examples
    --------
    >>> inputs, targets = Teacher.draw(3, rng=0)(5, rng=np.random.default_rng(1))
    >>> inputs.shape, targets.shape
    ((5, 3), (5,))
    """

    neurons: Array

    @classmethod
    def draw(
        cls,
        dim: int,
        *,
        size: int = 4,
        norm: float = 4.0,
        rng: int | np.random.Generator | np.random.SeedSequence,
    ) -> "Teacher":
        """Return a teacher of ``size`` neurons of one norm in random directions."""
        shape = _check.positive_int("size", size), _check.positive_int("dim", dim)
        scale = _check.number("norm", norm, above=0.0)
        return cls(scale * _unit(np.random.default_rng(rng).standard_normal(shape)))

    def __call__(self, count: int, /, *, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw examples."""
        inputs = _unit(rng.standard_normal((count, self.neurons.shape[1])))
        return inputs, TANH.output(self.neurons, inputs)


def train_mean_field(
    initial: ArrayLike,
    task: Task,
    *,
    neuron: Neuron,
    step: float,
    time: float,
    temperature: float = 0.0,
    decay: float = 0.0,
    rng: int | np.random.Generator | np.random.SeedSequence,
) -> Array:
    r"""Train networks by one-pass SGD on the squared loss, each on examples of its own.

    One step of size s moves every neuron by (Mei, Misiakiewicz and Montanari 2019)

    .. math::
        w_i \leftarrow (1 - 2 \lambda s)\, w_i + 2 s\, (y - f(x))\, \nabla_w \sigma(x; w_i)
        + \sqrt{2 \tau s}\; g_i, \qquad g_i \sim N(0, I),

    the gradient of the loss times m s: then neither the neurons' speed nor the limit of wide
    networks and small steps depends on m.

    Parameters
    ----------
    initial : array_like, shape (networks, m, d)
        Neurons at time 0; not changed.
    task : callable
        ``task(count, rng=generator)`` draws ``count`` examples.
    neuron : Neuron
        Activation of all neurons.
    step, time : float
        Step size s, and the time at which training ends, after ``round(time / step)`` steps.
    temperature, decay : float
        tau and lambda; both 0 is noiseless SGD.
    rng : int, Generator or SeedSequence
        Source of the examples and the noise.

    Returns
    -------
    ndarray, shape (networks, m, d)
        The trained neurons.

    Raises
    ------
    ValueError
        For a step that is not positive, or a time shorter than half a step.

    Examples
    --------
    >>> def task(count, *, rng):
    ...     x = rng.choice([-1.0, 1.0], size=(count, 1))
    ...     return x, 0.5 * x[:, 0]
    >>> w = train_mean_field([[[0.1], [0.2]]], task, neuron=TANH, step=0.1, time=20, rng=0)
    >>> bool(abs(TANH.output(w[0], [[1.0]])[0] - 0.5) < 1e-6)
    True
    """
    weights = _check.finite("initial", initial, ndim=3).copy()
    _check.number("step", step, above=0.0)
    _check.number("time", time, least=step / 2)
    _check.number("temperature", temperature, least=0.0)
    _check.number("decay", decay, least=0.0)
    generator = np.random.default_rng(rng)
    for _ in range(round(time / step)):
        x, y = task(len(weights), rng=generator)
        u = (weights @ x[:, :, None])[..., 0]
        residual = y - neuron.value(u).mean(-1)
        pull = (2 * step) * residual[:, None] * neuron.slope(u)
        weights *= 1 - 2 * decay * step
        weights += pull[:, :, None] * x[:, None, :]
        if temperature:
            kick = generator.standard_normal(weights.shape)
            weights += math.sqrt(2 * temperature * step) * kick
    return weights


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _preactivations(name: str, weights: Array, inputs: Array) -> Array:
    if weights.shape[1] != inputs.shape[1]:
        raise ValueError(
            f"`inputs` must have the dimension of `{name}` ({weights.shape[1]}), "
            f"got shape {inputs.shape}"
        )
    return inputs @ weights.T
