"""Learning rates as functions of the step, written out before training starts."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from otlmc import _check

Shape = Literal["constant", "cosine", "cosine_epoch", "step", "onecycle"]

# The published constants of the one-cycle policy, which are PyTorch's defaults.
RISE, INITIAL_DIVISOR, FINAL_DIVISOR = 0.3, 25.0, 1e4
MOMENTA = (0.95, 0.85)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves from its peak.

    Attributes
    ----------
    shape : {"constant", "cosine", "cosine_epoch", "step", "onecycle"}
        ``cosine`` falls to 0 at the last step; ``cosine_epoch`` does so in one stair per epoch;
        ``step`` is multiplied by ``factor`` at the start of each epoch in ``milestones``;
        ``onecycle`` is PyTorch's ``OneCycleLR`` with its defaults: up from peak / 25 over 30 % of
        the steps and down to nearly 0, while the momentum moves the other way from .95 to .85 and
        back (SGD with momentum, and the first beta of AdamW).
    warmup_steps : int
        Linear rise from ``warmup_start`` to the peak before that. ``cosine`` has the other steps;
        epochs are counted from the start of training.
    warmup_start : float
        Rate of step 0 if there is a warm-up.
    milestones : tuple of int
        Increasing epochs, for ``step``.
    factor : float
        For ``step``.
    """

    shape: Shape = "constant"
    warmup_steps: int = 0
    warmup_start: float = 0.0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        _check.one_of("shape", self.shape, get_args(Shape))
        if self.warmup_steps != 0:
            _check.positive_int("warmup_steps", self.warmup_steps)
        _check.number("warmup_start", self.warmup_start, least=0.0)
        _check.number("factor", self.factor, above=0.0)
        if self.shape == "onecycle" and self.warmup_steps:
            raise ValueError("`warmup_steps` must be 0 with `shape` 'onecycle', which warms up")
        if bool(self.milestones) != (self.shape == "step"):
            raise ValueError(
                "`milestones` must be given with `shape` 'step' and only with it, "
                f"got {self.milestones} with {self.shape!r}"
            )
        for milestone in self.milestones:
            _check.positive_int("milestones", milestone)
        if any(early >= late for early, late in pairwise(self.milestones)):
            raise ValueError(f"`milestones` must increase, got {self.milestones}")

    def rates(self, peak: float, *, epochs: int, steps_per_epoch: int) -> NDArray[np.float64]:
        """Return the learning rate of every step.

        Examples
        --------
        >>> Schedule(shape="cosine", warmup_steps=2).rates(0.1, epochs=2, steps_per_epoch=3)
        array([0.        , 0.05      , 0.1       , 0.08535534, 0.05      , 0.01464466])
        """
        steps = epochs * steps_per_epoch
        if self.warmup_steps >= steps:
            raise ValueError(
                f"`warmup_steps` must be below the {steps} steps of training, "
                f"got {self.warmup_steps}"
            )
        start = peak / INITIAL_DIVISOR
        if self.shape == "onecycle":
            return _cycle(start, peak, start / FINAL_DIVISOR, steps)
        step = np.arange(self.warmup_steps, steps)
        epoch = step // steps_per_epoch
        if self.shape == "cosine":
            progress = (step - self.warmup_steps) / (steps - self.warmup_steps)
            relative = (1 + np.cos(np.pi * progress)) / 2
        elif self.shape == "cosine_epoch":
            relative = (1 + np.cos(np.pi * epoch / epochs)) / 2
        else:
            relative = self.factor ** np.searchsorted(self.milestones, epoch, side="right")
        rise = np.linspace(self.warmup_start, peak, self.warmup_steps, endpoint=False)
        return np.concatenate([rise, np.asarray(peak * relative, dtype=np.float64)])

    def momenta(self, steps: int) -> NDArray[np.float64] | None:
        """Return the momentum of every step, or ``None`` where the schedule leaves it alone."""
        high, low = MOMENTA
        return _cycle(high, low, high, steps) if self.shape == "onecycle" else None


def _cycle(first: float, middle: float, last: float, steps: int) -> NDArray[np.float64]:
    """Return two half cosines: ``first`` to ``middle`` over the rise, then to ``last``."""
    step, turn = np.arange(steps), RISE * steps - 1
    up = np.clip(step / turn, 0, 1) if turn > 0 else np.ones(steps)
    down = np.clip((step - turn) / (steps - 1 - turn), 0, 1)
    rise = middle + (first - middle) * (1 + np.cos(np.pi * up)) / 2
    fall = last + (middle - last) * (1 + np.cos(np.pi * down)) / 2
    return np.where(step <= turn, rise, fall).astype(np.float64)
