"""Sweeps of a pure function over configurations."""


class SweepError(RuntimeError):
    """Tasks of a sweep failed; the message names them."""
