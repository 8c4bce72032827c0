"""Argument checks: every refusal names the argument, what came and what was expected."""

import math
from numbers import Integral, Real
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")


def positive_int(name: str, value: object) -> int:
    """Return ``value`` as an ``int`` of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be a positive integer, got {value!r}")
    if value < 1:
        raise ValueError(f"`{name}` must be a positive integer, got {value}")
    return int(value)


def number(
    name: str,
    value: object,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    least: float = -math.inf,
) -> float:
    """Return ``value`` as a finite ``float`` in the open interval, and at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a real number, got {value!r}")
    result = float(value)
    if not math.isfinite(result) or not above < result < below or result < least:
        limits = [f"> {above}"] * (above > -math.inf) + [f"< {below}"] * (below < math.inf)
        limits += [f">= {least}"] * (least > -math.inf)
        wanted = " and ".join(["finite", *limits])
        raise ValueError(f"`{name}` must be {wanted}, got {value}")
    return result


def finite(name: str, values: ArrayLike, *, ndim: int | None = None) -> NDArray[np.float64]:
    """Return ``values`` as a non-empty float64 array without NaN or infinity."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must be an array of numbers, got {type(values).__name__}"
        ) from error
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"`{name}` must have {ndim} dimensions, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"`{name}` is empty (shape {array.shape})")
    if not np.isfinite(array).all():
        raise ValueError(f"`{name}` holds NaN or infinite entries")
    return array


def one_of(name: str, value: T, choices: tuple[T, ...]) -> T:
    """Return ``value`` if it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}; got {value!r}")
    return value
