"""The proofs behind the bounds, step by step, as data that is run and printed."""

from otlmc.derivations.step import Derivation, Outcome, Outcomes, Step, render, run

__all__ = ["Derivation", "Outcome", "Outcomes", "Step", "render", "run"]
