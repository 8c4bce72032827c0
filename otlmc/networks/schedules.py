"""Learning rates as functions of the step, written out before training starts."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from otlmc import _check

Shape = Literal["constant", "cosine", "cosine_epoch"]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate moves from its peak.

    Attributes
    ----------
    shape : {"constant", "cosine", "cosine_epoch"}
        ``cosine`` falls to 0 at the last step; ``cosine_epoch`` does so in one stair per epoch.
    warmup_steps : int
        Linear rise from ``warmup_start`` to the peak before that; the shape has the other steps.
    warmup_start : float
        Rate of step 0 if there is a warm-up.
    """

    shape: Shape = "constant"
    warmup_steps: int = 0
    warmup_start: float = 0.0

    def __post_init__(self) -> None:
        _check.one_of("shape", self.shape, get_args(Shape))
        if self.warmup_steps != 0:
            _check.positive_int("warmup_steps", self.warmup_steps)
        _check.number("warmup_start", self.warmup_start, least=0.0)

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
        rise = np.linspace(self.warmup_start, peak, self.warmup_steps, endpoint=False)
        step = np.arange(steps - self.warmup_steps)
        if self.shape == "constant":
            progress = np.zeros(len(step))
        elif self.shape == "cosine":
            progress = step / len(step)
        else:
            progress = step // steps_per_epoch * steps_per_epoch / len(step)
        return np.concatenate([rise, peak * (1 + np.cos(np.pi * progress)) / 2])
