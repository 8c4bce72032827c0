"""Simulations that hold the theory against measurement, one question per module."""
