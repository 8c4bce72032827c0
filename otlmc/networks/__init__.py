"""Multilayer perceptrons, alone and stacked, and their training."""
