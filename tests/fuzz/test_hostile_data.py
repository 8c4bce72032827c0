"""Damaged and hostile data files: read as they are meant, or refused with the name of the file."""

import gzip
import pickle
import struct

import numpy as np
import pytest
from damage import damaged
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otlmc import data
from otlmc.data import cifar
from otlmc.data.idx import read_idx

SHAPE = (3, 4, 5)
BODY = bytes(range(60))
IDX = struct.pack(">HBB3I", 0, 8, 3, *SHAPE) + BODY

PIXELS = np.random.default_rng(0).integers(256, size=(2, cifar.PIXELS), dtype=np.uint8)
BATCH = {b"data": PIXELS, b"labels": [3, 9], b"filenames": [b"frog.png", b"truck.png"]}
BATCHES = [pickle.dumps(BATCH, protocol) for protocol in (0, 2, 4, 5)]
# Without the pixels' bytes, damage hits opcodes; the shortest file has no image at all.
SHORT = pickle.dumps({"data": PIXELS[:, :3], "labels": [3, 9]}, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


def read_or_refuse(read, path, content):
    """Return what the reader makes of the content, None for a refusal that names the file."""
    path.write_bytes(content)
    try:
        return read(path)
    except data.DataError as error:
        assert str(path) in str(error)
        assert len(str(error)) < 1000
        return None


@settings(max_examples=300, deadline=None)
@given(content=damaged(IDX, header=16) | st.binary(max_size=64).map(IDX[:4].__add__))
@example(IDX)
def test_idx_files(folder, content):
    found = read_or_refuse(lambda path: read_idx(path, ndim=3), folder / "images", content)
    if found is not None:
        assert content == struct.pack(">HBB3I", 0, 8, 3, *found.shape) + found.tobytes()


@settings(max_examples=150, deadline=None)
@given(content=damaged(gzip.compress(IDX, mtime=0), header=30))
@example(gzip.compress(IDX))
def test_gzipped_idx_files(folder, content):
    found = read_or_refuse(lambda path: read_idx(path, ndim=3), folder / "images.gz", content)
    if found is not None:
        assert gzip.decompress(content).endswith(found.tobytes())


def read_batch(path):
    return cifar._checked(path, cifar._read_python)


@settings(max_examples=400, deadline=None)
@given(
    content=st.sampled_from([*BATCHES, SHORT]).flatmap(damaged)
    | st.binary(max_size=200)
    | st.binary(max_size=100).map(lambda tail: b"\x80\x02" + tail)
)
@example(BATCHES[1])
def test_python_batches(folder, content):
    found = read_or_refuse(read_batch, folder / "data_batch_1", content)
    if found is not None:
        images, labels = found
        assert images.shape == (len(labels), cifar.PIXELS)
        assert images.dtype == labels.dtype == np.uint8
        assert labels.max() <= 9


@settings(max_examples=100, deadline=None)
@given(content=damaged(bytes([3, *PIXELS[0], 9, *PIXELS[1]])) | st.binary(max_size=64))
def test_binary_batches(folder, content):
    found = read_or_refuse(
        lambda path: cifar._checked(path, cifar._read_binary), folder / "data_batch_1.bin", content
    )
    if found is not None:
        assert content == np.column_stack([found[1], found[0]]).tobytes()


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function",
    [eval, exec, print, getattr, open, __import__, np.load, np.fromfile, np.zeros, pickle.loads],
)
def test_no_function_of_a_pickle_is_called(folder, function):
    """Whatever it asks for beyond the parts of an array is refused by its name."""
    path = folder / "data_batch_2"
    path.write_bytes(pickle.dumps({"data": Call(function, 2**40), "labels": [1]}))
    with pytest.raises(data.DataError, match=rf"data_batch_2 .* asks for .*{function.__name__}"):
        read_batch(path)


def test_a_pickle_changes_nothing_that_outlives_it(folder):
    """BUILD sets attributes of what stands on the stack, which may be an admitted function."""
    path = folder / "data_batch_3"
    for name in (b"_codecs\nencode", b"numpy.core.multiarray\n_reconstruct", b"numpy\nndarray"):
        before = {key: dict(vars(value)) for key, value in vars(cifar).items() if callable(value)}
        path.write_bytes(b"\x80\x02c" + name + b"\n}U\x06poisonK\x01sb.")
        with pytest.raises(data.DataError, match="data_batch_3"):
            read_batch(path)
        assert before == {
            key: dict(vars(value)) for key, value in vars(cifar).items() if callable(value)
        }
