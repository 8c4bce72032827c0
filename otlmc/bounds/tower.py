"""Numbers too large for a float, and for their logarithm: powers of 2 stacked upon each other."""

import math
from dataclasses import dataclass
from functools import total_ordering

from otlmc import _check

_TOP = 2.0**53
"""Largest exponent of a tower in normal form: beyond it, one more power of 2 is stacked."""


@total_ordering
@dataclass(frozen=True)
class Tower:
    """The number ``2^2^...^2^exponent`` with ``height`` twos, in normal form.

    In normal form, the exponent is at most 2^53, and above 53 unless the height is 1; so every
    number has one form, and of two numbers the larger has the larger (height, exponent). Make one
    by :meth:`power_of_two`.

    Examples
    --------
    >>> print(Tower.power_of_two(12.5), Tower.power_of_two(Tower.power_of_two(1234.5)))
    2^12.5 2^2^1234.5
    """

    height: int
    exponent: float

    def __post_init__(self) -> None:
        _check.positive_int("height", self.height)
        _check.number("exponent", self.exponent)
        if self.exponent > _TOP or (self.height > 1 and self.exponent <= math.log2(_TOP)):
            raise ValueError(f"not in normal form: {self}; use Tower.power_of_two")

    @classmethod
    def power_of_two(cls, exponent: "float | Tower") -> "Tower":
        """Return 2 to a power that is itself a number or a tower."""
        if isinstance(exponent, Tower):
            if exponent.height == 1 and exponent.exponent <= math.log2(_TOP):
                return cls(1, 2.0**exponent.exponent)
            return cls(exponent.height + 1, exponent.exponent)
        exponent = _check.number("exponent", exponent)
        return cls(1, exponent) if exponent <= _TOP else cls(2, math.log2(exponent))

    @property
    def log2(self) -> float:
        """Binary logarithm, ``inf`` where it is too large for a float."""
        if self.height == 1:
            return self.exponent
        return 2.0**self.exponent if self.height == 2 and self.exponent < 1024 else math.inf

    def __lt__(self, other: "Tower") -> bool:
        """Compare by size."""
        return (self.height, self.exponent) < (other.height, other.exponent)

    def __str__(self) -> str:
        """Print as 2^2^1234.5."""
        return "2^" * self.height + f"{self.exponent:.4f}".rstrip("0").rstrip(".")


def power_law(log2_base: float, power: float | Tower, *, log2_factor: float = 0.0) -> Tower:
    """Return ``factor * base^power``, at least 1, for a base above 1.

    Parameters
    ----------
    log2_base, log2_factor : float
        Binary logarithms of the base (above 0) and the factor.
    power : float or Tower
        At least 1.

    Examples
    --------
    >>> width = power_law(3.0, 5.0)
    >>> print(width, power_law(3.0, width), power_law(3.0, power_law(3.0, width)))
    2^15 2^98304 2^2^98305.585
    """
    log2_base = _check.number("log2_base", log2_base, above=0.0)
    log2_power = power.log2 if isinstance(power, Tower) else math.log2(power)
    if log2_power <= 900:  # log2 of the result is a float
        value = 2.0**log2_power if isinstance(power, Tower) else power
        return Tower.power_of_two(max(value * log2_base + log2_factor, 0.0))
    # now the factor is far below the resolution of log2 log2 of the result, and with a power whose
    # logarithm is no float so is the base
    if math.isfinite(log2_power):
        return Tower.power_of_two(Tower.power_of_two(log2_power + math.log2(log2_base)))
    return Tower.power_of_two(power)
