"""Published rates: exponents, towers beyond every float, and the table beside our theorems."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otlmc import bounds, laws
from otlmc.bounds import published, rates
from otlmc.bounds.tower import Tower, power_law

NETWORK = bounds.TwoLayer(laws.Gaussian(dim=3), lipschitz=1.0)


def slope(log2_width, tolerance: float = 1e-12) -> float:
    """Return -d log m / d log eps by a central difference."""
    ratio = 2**0.125
    return (log2_width(tolerance / ratio) - log2_width(tolerance * ratio)) / 0.25


@pytest.mark.parametrize("dim", [1, 7, 300])
@pytest.mark.parametrize("constant", [1.0, 1e-4, 50.0])
def test_exponents(dim: int, constant: float) -> None:
    found = (
        (dim, lambda eps: rates.layer_widths(dim, eps, constant=constant, scale=3.0)[0]),
        (dim, lambda eps: rates.density_width(dim, eps, constant=constant)),
        (dim, lambda eps: rates.subspace_width(dim, eps, distance=0.0, constant=constant)),
        (2 * dim + 4, lambda eps: rates.random_network_width(dim, eps, constant=constant)),
        (2, lambda eps: rates.student_width(eps, constant=constant, scale=0.5)),
    )
    for exponent, width in found:
        slope_here = slope(lambda eps, width=width: width(eps).log2)
        np.testing.assert_allclose(slope_here, exponent, rtol=1e-9)


def test_the_width_of_a_layer_is_the_exponent_of_the_next() -> None:
    first, second = rates.layer_widths(2, 0.25, layers=2, constant=3.0, scale=[1.0, 2.0])
    assert 2**first.log2 == pytest.approx(3 * 4**2)
    assert second.log2 == pytest.approx(math.log2(3) + 48 * 3)
    third = rates.layer_widths(2, 0.25, layers=3)[2]  # 4^(4^16)
    assert third.log2 == 2 * 4**16


def test_constants_shift_the_logarithm() -> None:
    plain = rates.layer_widths(6, 0.1)[0].log2
    assert rates.layer_widths(6, 0.1, constant=8.0)[0].log2 == pytest.approx(plain + 3)
    assert rates.layer_widths(6, 0.1, scale=2.0)[0].log2 == pytest.approx(plain + 6)
    dense = rates.density_width(6, 0.1, log2_density=5.0).log2
    assert dense == pytest.approx(plain - 5)
    assert rates.layer_widths(1, 0.5, constant=1e-9)[0] == Tower.power_of_two(0.0)


@pytest.mark.parametrize("dim", [1, 784, 10**9, 10**300])
@pytest.mark.parametrize("tolerance", [0.999, 1e-3, 5e-324])
def test_never_an_overflow(dim: int, tolerance: float) -> None:
    widths = rates.layer_widths(dim, tolerance, layers=40, constant=1e300)
    for below, above in itertools.pairwise(widths):
        assert below < above and "inf" not in str(above) and "nan" not in str(above)
    assert rates.random_network_width(dim, tolerance) > rates.density_width(dim, tolerance)


@given(st.floats(1.0, 1000.0), st.floats(1e-6, 30.0), st.floats(-20.0, 20.0))
def test_a_power_of_a_tower_is_that_of_its_number(log2: float, base: float, factor: float) -> None:
    found = power_law(base, Tower.power_of_two(log2), log2_factor=factor)
    exact = max(2.0**log2 * base + factor, 0.0)
    assert found.log2 == pytest.approx(exact, rel=1e-9)


@given(st.lists(st.floats(0.0, 1e18), min_size=2, max_size=2), st.integers(0, 4))
def test_towers_are_ordered_by_size(values: list[float], height: int) -> None:
    towers = [Tower.power_of_two(value) for value in values]
    for _ in range(height):
        towers = [Tower.power_of_two(tower) for tower in towers]
    if abs(values[0] - values[1]) > 1e-6 + 1e-9 * max(values):  # else equal after rounding
        assert (towers[0] < towers[1]) == (values[0] < values[1])
    assert towers[0] < Tower.power_of_two(Tower.power_of_two(towers[0]))


def test_a_tower_has_one_form() -> None:
    assert Tower.power_of_two(Tower.power_of_two(5.0)) == Tower.power_of_two(32.0)
    assert str(Tower.power_of_two(2.0**60)) == "2^2^60"
    assert Tower.power_of_two(2.0**60).log2 == 2.0**60
    assert Tower(3, 100.0).log2 == math.inf
    for height, exponent in ((2, 10.0), (1, 2.0**54)):
        with pytest.raises(ValueError, match="normal form"):
            Tower(height, exponent)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rates.layer_widths(0, 0.1), "`input_dim`"),
        (lambda: rates.layer_widths(5, 1.0), "`tolerance`"),
        (lambda: rates.layer_widths(5, 0.0), "`tolerance`"),
        (lambda: rates.layer_widths(5, 0.1, constant=0.0), "`constant`"),
        (lambda: rates.layer_widths(5, 0.1, layers=2, scale=[1.0]), "`scale` must be"),
        (lambda: rates.layer_widths(5, 0.1, scale=-1.0), "`scale`"),
        (lambda: rates.density_width(5, -0.1), "`tolerance`"),
        (lambda: rates.density_width(5, 0.1, log2_density=math.inf), "`log2_density`"),
        (lambda: rates.subspace_width(3, 0.01, distance=0.02), "`tolerance`"),
        (lambda: rates.subspace_width(3, 0.1, distance=-1.0), "`distance`"),
        (lambda: rates.random_network_width(5, 2.0), "`tolerance`"),
        (lambda: rates.student_width(0.0), "`tolerance`"),
        (lambda: published.compare(NETWORK, 1.0), "`tolerance`"),
        (lambda: published.compare(NETWORK, 0.1, scale=[1.0, 1.0]), "`scale` must be"),
    ],
)
def test_refusals(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
    with pytest.raises(TypeError, match="`network`"):
        published.compare(laws.Gaussian(4), 0.1)  # type: ignore[arg-type]


def test_our_rows_are_min_width() -> None:
    table = published.compare(NETWORK, 0.2, confidence=0.9, subspace=(2, 0.05))
    ours = {row.side: row for row in table.rows if row.statement == "otlmc"}
    found = bounds.min_width(NETWORK, 0.2, confidence=0.9)
    assert ours["sufficient"].width == Tower.power_of_two(found.log2_upper)
    assert ours["necessary"].width == Tower.power_of_two(found.log2_lower)
    assert [row.kind for row in ours.values()] == ["upper", "lower"]
    assert {row.kind for row in table.rows if row.statement != "otlmc"} == {"rate"}


def test_deep_rows() -> None:
    for layers, kind in ((2, "upper"), (3, "prediction")):
        network = bounds.DeepReLU(spectra=[[1.0, 0.5, 0.0]] * layers, hidden_layers=layers)
        table = published.compare(network, 1.0, scale=[2.0] * layers)
        recursion = [row for row in table.rows if row.statement.endswith("5.2")]
        assert [row.layer for row in recursion] == list(range(1, layers + 1))
        assert tuple(row.width for row in recursion) == rates.layer_widths(2, 0.5, layers=layers)
        assert table.rows[-2].kind == kind and table.rows[-1].kind == "lower"
    assert "3.1" not in str(table) and "Entezari" not in str(table)


def test_table_and_records() -> None:
    table = published.compare(NETWORK, 0.25, constant=2.0)
    title, header, *lines = str(table).splitlines()
    assert title == "width for tolerance 0.25; rates with C = 2, T = 1"
    assert header.split() == ["statement", "layer", "side", "width", "standing"]
    assert len(lines) == len(table.rows) == 7
    assert all(
        ("rate" in line) != (row.statement == "otlmc")
        for line, row in zip(lines, table.rows, strict=True)
    )
    frame = pd.DataFrame(table.to_records())
    assert frame.log2_width.notna().sum() == 6  # Theorem 3.1 names no number
    assert frame.set_index("statement").loc["Zhan, Li and Wu", "log2_width"] == 5.0
