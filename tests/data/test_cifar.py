import pickle
import struct

import numpy as np
import pytest

from otlmc import data
from otlmc.data.cifar import BATCHES, COPIES, PIXELS, read_cifar10
from otlmc.data.mnist import digests

IMAGES = np.random.default_rng(0).integers(256, size=(6, 2, PIXELS), dtype=np.uint8)
LABELS = np.arange(12).reshape(6, 2) % 10


def by_python2(images, labels):
    """The opcodes that Python 2 wrote for the original files, put together by hand."""
    state = struct.pack("<H", images.shape[1])
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K" + bytes([len(images)]) + b"M" + state + b"\x86"
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<I", images.size) + images.tobytes() + b"tb"
    )
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


def by_python3(protocol, text):
    def dump(images, labels):
        keys = ("data", "labels") if text else (b"data", b"labels")
        return pickle.dumps(dict(zip(keys, (images, labels.tolist()), strict=True)), protocol)

    return dump


def binary(images, labels):
    return np.column_stack([labels.astype(np.uint8), images]).tobytes()


def write(folder, suffix, dump):
    folder.mkdir(parents=True)
    for name, images, labels in zip(BATCHES, IMAGES, LABELS, strict=True):
        (folder / f"{name}{suffix}").write_bytes(dump(images, labels))


@pytest.mark.parametrize(
    ("place", "suffix", "dump"),
    [
        ("cifar-10-batches-bin", ".bin", binary),
        ("cifar10/cifar-10-batches-bin", ".bin", binary),
        ("cifar10", ".bin", binary),
        ("cifar-10-batches-py", "", by_python2),
        ("cifar10/cifar-10-batches-py", "", by_python3(2, text=False)),
        ("cifar-10-batches-py", "", by_python3(4, text=True)),
    ],
)
def test_every_layout_gives_the_same_tensors(tmp_path, place, suffix, dump):
    write(tmp_path / place, suffix, dump)
    cifar = data.load("cifar10", data_dir=tmp_path)
    expected = IMAGES[:5].reshape(10, PIXELS) / 255
    np.testing.assert_allclose(cifar.train_inputs, expected, rtol=1e-6)
    np.testing.assert_allclose(cifar.test_inputs, IMAGES[5] / 255, rtol=1e-6)
    assert cifar.train_labels.tolist() == LABELS[:5].ravel().tolist()
    assert cifar.test_labels.tolist() == LABELS[5].tolist()
    standard = data.load("cifar10", data_dir=tmp_path, normalisation="standard").test_inputs
    green = slice(1024, 2048)
    np.testing.assert_allclose(
        standard[:, green], (IMAGES[5][:, green] / 255 - 0.4822) / 0.2435, rtol=1e-4, atol=1e-5
    )


def test_the_provenance_says_what_the_pixels_are(tmp_path, monkeypatch):
    """An original file starts with a known image; a known copy is named; others are doubted."""
    folder = tmp_path / "cifar-10-batches-bin"
    write(folder, ".bin", binary)
    sha = digests(read_cifar10(tmp_path))

    def provenance():
        return data.load("cifar10", data_dir=tmp_path).provenance

    prefix = f"(SHA-256 {sha[0][:12]}), pixels / 255"
    assert provenance() == f"CIFAR-10 from files, not the original pixels {prefix}"
    monkeypatch.setitem(COPIES, sha, "a JPEG copy")
    assert provenance() == f"CIFAR-10 from files, a JPEG copy {prefix}"
    first = folder / "data_batch_1.bin"
    first.write_bytes(bytes((6, 59, 43, 50)) + first.read_bytes()[4:])
    assert provenance().startswith("CIFAR-10 from files (SHA-256")


class Bomb:
    def __reduce__(self):
        return eval, ("1 / 0",)


ARRAY = IMAGES[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": ARRAY, "labels": Bomb()}), r"asks for builtins\.eval"),
        (b"cos\nsystem\n(U\x02idtR.", r"asks for os\.system"),
        (b"cnumpy\nload\n.", r"asks for numpy\.load"),
        (pickle.dumps({"data": np.arange(3.0), "labels": [0]}), "not one of bytes"),
        (pickle.dumps({"data": np.array([{}]), "labels": [0]}), "not one of bytes"),
        (pickle.dumps({"data": ARRAY}), "KeyError"),
        (pickle.dumps({"data": ARRAY, "labels": [1]}), "must hold images"),
        (pickle.dumps({"data": ARRAY, "labels": [1.5, 2.0]}), "must hold images"),
        (pickle.dumps({"data": ARRAY, "labels": [1, -1]}), "must hold images"),
        (pickle.dumps({"data": ARRAY[:, :7], "labels": [1, 2]}), "must hold images"),
        (pickle.dumps({"data": ARRAY, "labels": [1, 10]}), "label 10, expected 0 to 9"),
        (pickle.dumps([1, 2]), "AttributeError"),
        (by_python2(ARRAY, LABELS[0])[:-9], "not a batch"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "a memo index beyond the file"),
        (b"", "not a batch"),
    ],
)
def test_python_files_are_read_without_being_executed(tmp_path, content, message):
    folder = tmp_path / "cifar-10-batches-py"
    write(folder, "", by_python2)
    (folder / "data_batch_3").write_bytes(content)
    with pytest.raises(data.DataError, match=message) as caught:
        data.load("cifar10", data_dir=tmp_path)
    assert "data_batch_3" in str(caught.value)


def test_damaged_binary_files_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-bin"
    write(folder, ".bin", binary)
    path = folder / "data_batch_2.bin"
    for content, message in (
        (path.read_bytes()[:-1], "has 6145 bytes, expected a multiple of 3073"),
        (b"", "has 0 bytes"),
        (b"\x0a" + path.read_bytes()[1:], "label 10"),
    ):
        path.write_bytes(content)
        with pytest.raises(data.DataError, match=message):
            data.load("cifar10", data_dir=tmp_path)
    path.unlink()
    with pytest.raises(data.DataError, match=r"data_batch_2\.bin is missing"):
        data.load("cifar10", data_dir=tmp_path)
    path.mkdir()
    with pytest.raises(data.DataError, match=r"cannot read .*data_batch_2\.bin"):
        data.load("cifar10", data_dir=tmp_path)
    monkeypatch.setattr("otlmc.data.cifar.LARGEST", 100)
    with pytest.raises(data.DataError, match=r"data_batch_1\.bin has more than 100 bytes"):
        data.load("cifar10", data_dir=tmp_path)


def test_missing_files_say_what_to_put_where(tmp_path, monkeypatch):
    with pytest.raises(data.DataError, match="put the folder cifar-10-batches-bin"):
        data.load("cifar10", data_dir=tmp_path)
    monkeypatch.delenv("OTLMC_DATA", raising=False)
    with pytest.raises(data.DataError, match="OTLMC_DATA"):
        data.load("cifar10")
