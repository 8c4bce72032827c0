"""Puts this folder on the path, so that tests can share ``small_networks``."""

from collections.abc import Iterator

import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    """Close what a test has drawn: pyplot keeps every figure, and warns of too many."""
    yield
    plt.close("all")
