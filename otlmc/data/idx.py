"""A strict reader of IDX files, the format of MNIST, plain or gzipped.

Layout: two zero bytes, a type code, the number of dimensions, the sizes as big-endian uint32, and
then the entries in C order, nothing before or after. Only unsigned bytes (code 8) are read here.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from otlmc.data.dataset import DataError

UNSIGNED_BYTE = 8
LARGEST = 2**28
"""Bytes beyond which a header is taken for damaged: MNIST's largest file has 47 million."""


def read_idx(path: Path | str, *, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes; a name that ends in ``.gz`` is decompressed.

    Memory stays near the size that the header states, and that below ``LARGEST``.

    Parameters
    ----------
    path : path
        The file.
    ndim : int
        Number of dimensions that it must have.

    Raises
    ------
    DataError
        If the file cannot be read, is no IDX file of bytes with ``ndim`` dimensions, or holds
        fewer or more entries than its header states.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return _parse(cast(BinaryIO, stream), path, ndim)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not an intact gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(stream: BinaryIO, path: Path, ndim: int) -> NDArray[np.uint8]:
    header = stream.read(4)
    if len(header) < 4 or header[:2] != b"\0\0":
        raise DataError(f"{path} is not an IDX file: it starts with {header.hex() or 'nothing'}")
    if header[2] != UNSIGNED_BYTE:
        raise DataError(
            f"{path} holds entries of IDX type 0x{header[2]:02x}, expected unsigned bytes (0x08)"
        )
    if header[3] != ndim:
        raise DataError(f"{path} has {header[3]} dimensions, expected {ndim}")
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise DataError(f"{path} is truncated within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    expected = math.prod(shape)
    if not 0 < expected <= LARGEST:
        raise DataError(
            f"{path} states the shape {shape}, which is empty or beyond {LARGEST} bytes"
        )
    body = bytearray()
    # Piecewise, so that a short file with a large header costs only what it really holds.
    while len(body) < expected and (piece := stream.read(min(1 << 20, expected - len(body)))):
        body += piece
    if len(body) < expected:
        raise DataError(
            f"{path} is truncated: its header states {expected} entries, {len(body)} are there"
        )
    if stream.read(1):
        raise DataError(f"{path} has bytes after the {expected} entries that its header states")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
