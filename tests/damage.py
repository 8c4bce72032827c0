"""Damaged copies of a file, for the tests of its reader."""

from hypothesis import strategies as st


def damaged(content: bytes, *, header: int = 100) -> st.SearchStrategy[bytes]:
    """Return copies with bytes replaced, cut out, put in or cut off, in the header above all."""
    size = len(content)
    position = st.integers(0, min(size, header)) | st.integers(0, size)
    removed = st.sampled_from([0, 1, 2, 4, 8, 100, size])
    put_in = st.binary(max_size=8) | st.sampled_from(
        [b"\xff" * 8, b"\x7f" * 4, b"\0" * 8, b"9" * 8]
    )
    edits = st.lists(st.tuples(position, removed, put_in), min_size=1, max_size=4)
    return edits.map(lambda chosen: _edited(content, chosen))


def _edited(content: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for position, removed, put_in in edits:
        content = content[:position] + put_in + content[position + removed :]
    return content
