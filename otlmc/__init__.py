"""Explicit optimal-transport bounds on linear mode connectivity, held against simulation."""

__version__ = "0.1.0"
