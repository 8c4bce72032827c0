"""Explicit bounds: two samples, two-layer and deep networks, and the width that they ask for."""
