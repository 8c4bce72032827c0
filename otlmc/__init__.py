"""Explicit optimal-transport bounds on linear mode connectivity, held against simulation.

The names below are loaded when they are first used, so that ``import otlmc`` costs nothing and a
program pays only for what it touches.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otlmc import (
        bounds,
        certificate,
        connectivity,
        data,
        kernels,
        laws,
        matching,
        networks,
        plotting,
        sweep,
        wasserstein,
    )
    from otlmc.bounds import min_width
    from otlmc.certificate import certify
    from otlmc.matching import match
    from otlmc.references import cite

__all__ = [
    "bounds",
    "certificate",
    "certify",
    "cite",
    "connectivity",
    "data",
    "kernels",
    "laws",
    "match",
    "matching",
    "min_width",
    "networks",
    "plotting",
    "sweep",
    "wasserstein",
]

__version__ = "0.1.0"

_HOMES = {
    "certify": "certificate",
    "cite": "references",
    "match": "matching",
    "min_width": "bounds",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'otlmc' has no attribute {name!r}")
    module = import_module(f"otlmc.{_HOMES.get(name, name)}")
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
