"""How records print: small tables of fixed width."""

from collections.abc import Sequence

Cell = str | int | float | None


def aligned(rows: Sequence[Sequence[Cell]]) -> str:
    """Return rows as lines, the first column to the left and the others to the right.

    Floats are given to four digits and ``None`` as nothing.

    Examples
    --------
    >>> print(aligned([("layer", "units", "gain"), ("first", 8, 0.123456), ("second", 512, None)]))
    layer   units    gain
    first       8  0.1235
    second    512
    """
    shown = [[_shown(cell) for cell in row] for row in rows]
    sizes = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = []
    for first, *others in shown:
        cells = (cell.rjust(size) for cell, size in zip(others, sizes[1:], strict=True))
        lines.append("  ".join([first.ljust(sizes[0]), *cells]).rstrip())
    return "\n".join(lines)


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
