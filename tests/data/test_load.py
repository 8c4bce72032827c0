import gzip
import hashlib
import struct

import numpy as np
import pytest
import torch

from otlmc import data
from otlmc.data.idx import LARGEST, read_idx
from otlmc.data.mnist import digests, read_mnist


def idx(array, *, sizes=None, kind=8):
    sizes = array.shape if sizes is None else sizes
    header = struct.pack(f">HBB{len(sizes)}I", 0, kind, len(sizes), *sizes)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_folder(tmp_path):
    """A tiny MNIST: the real layout with few images, half of the files gzipped."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for split, count in (("train", 30), ("t10k", 12)):
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = np.arange(count) % 10
        (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


def test_moons_are_standardised_and_reproducible():
    moons = data.load("moons")
    assert moons.train_inputs.shape == moons.test_inputs.shape == (512, 2)
    assert (moons.classes, moons.output_dim, moons.input_dim) == (2, 1, 2)
    np.testing.assert_allclose(moons.train_inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(moons.train_inputs.std(0, correction=0), 1, rtol=1e-5)
    assert torch.equal(moons.train_inputs, data.load("moons", rng=0).train_inputs)
    for other in (1, np.random.default_rng(0)):
        assert not torch.equal(moons.train_inputs, data.load("moons", rng=other).train_inputs)


def test_digits_split_holds_every_image_once():
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    assert digits.train_inputs.shape == (1297, 64)
    assert digits.test_inputs.shape == (500, 64)
    ours = torch.cat([digits.train_inputs, digits.test_inputs]).numpy() * 16
    original = load_digits().data
    np.testing.assert_array_equal(
        ours[np.lexsort(ours.T)], original[np.lexsort(original.T)].astype(np.float32)
    )


@pytest.mark.parametrize("inside", [False, True])
def test_mnist_from_idx_files(mnist_folder, inside, monkeypatch):
    folder = mnist_folder / "mnist" if inside else mnist_folder
    unit = data.load("mnist", data_dir=folder)
    raw = (mnist_folder / "mnist" / "train-images-idx3-ubyte").read_bytes()[16:]
    expected = np.frombuffer(raw, np.uint8).reshape(30, 784) / 255
    np.testing.assert_allclose(unit.train_inputs, expected, rtol=1e-6)
    assert unit.train_labels.tolist() == [i % 10 for i in range(30)]
    monkeypatch.setenv("OTLMC_DATA", str(folder))
    standard = data.load("mnist", normalisation="standard")
    np.testing.assert_allclose(standard.train_inputs, (expected - 0.1307) / 0.3081, rtol=1e-4)
    assert "(0.1307, 0.3081)" in standard.provenance


def test_the_provenance_says_whether_the_pixels_are_the_original_ones(mnist_folder, monkeypatch):
    copy = data.load("mnist", data_dir=mnist_folder).provenance
    assert copy.startswith("MNIST from IDX files, not the original pixels (SHA-256 ")
    found = digests(read_mnist(mnist_folder))
    monkeypatch.setattr("otlmc.data.mnist.DIGESTS", found)
    exact = data.load("mnist", data_dir=mnist_folder).provenance
    assert exact == "MNIST from IDX files, pixels / 255"


def test_without_a_folder_mnist_comes_from_openml(monkeypatch):
    pixels = np.zeros((70_000, 4), np.uint8)
    pixels[60_000:] = 255
    labels = np.array([str(i % 10) for i in range(70_000)])
    monkeypatch.delenv("OTLMC_DATA", raising=False)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda *_, **__: (pixels, labels))
    with pytest.raises(data.DataError, match=r"shape \(70000, 4\) that is not MNIST"):
        data.load("mnist")
    classes = labels.astype(np.uint8)
    digests = [
        hashlib.sha256(pixels[part].tobytes() + classes[part].tobytes()).hexdigest()
        for part in (slice(60_000), slice(60_000, None))
    ]
    monkeypatch.setattr("otlmc.data.mnist.DIGESTS", tuple(digests))
    mnist = data.load("mnist")
    assert mnist.train_inputs.shape == (60_000, 4) and mnist.test_inputs.shape == (10_000, 4)
    assert not mnist.train_inputs.any() and (mnist.test_inputs == 1).all()
    assert "OpenML" in mnist.provenance


def test_without_folder_and_network_the_error_says_what_to_do(monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.delenv("OTLMC_DATA", raising=False)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", fail)
    with pytest.raises(data.DataError, match=r"no route to host.*OTLMC_DATA"):
        data.load("mnist")


def test_names_and_folders_are_checked(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`name` must be one of"):
        data.load("imagenet")
    with pytest.raises(ValueError, match="`normalisation` must be one of 'unit'; got 'standard'"):
        data.load("digits", normalisation="standard")
    with pytest.raises(data.DataError, match="`data_dir` must name a folder"):
        data.load("mnist", data_dir=tmp_path / "absent")
    monkeypatch.setenv("OTLMC_DATA", str(tmp_path / "absent"))
    with pytest.raises(data.DataError, match="OTLMC_DATA must name a folder"):
        data.load("mnist")
    with pytest.raises(data.DataError, match=r"train-images-idx3-ubyte\[.gz\] is not in .*put the"):
        data.load("mnist", data_dir=tmp_path)


IMAGES = np.zeros((3, 2, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"\x89PNG....", "starts with 89504e47"),
        (idx(IMAGES, kind=13), "type 0x0d"),
        (idx(IMAGES[0]), "2 dimensions, expected 3"),
        (idx(IMAGES)[:9], "truncated within its header"),
        (idx(IMAGES)[:-1], "states 12 entries, 11 are there"),
        (idx(IMAGES) + b"\0", "bytes after the 12 entries"),
        (idx(IMAGES, sizes=(2**32 - 1, 2**32 - 1, 2**32 - 1)), f"beyond {LARGEST} bytes"),
        (idx(IMAGES, sizes=(0, 2, 2)), "empty"),
        (idx(IMAGES, sizes=(LARGEST // 4, 2, 2)), "12 are there"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx_files_are_refused(tmp_path, content, message, suffix):
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(data.DataError, match=message) as caught:
        read_idx(path, ndim=3)
    assert str(path) in str(caught.value)


def test_damaged_gzip_files_are_refused(tmp_path):
    path = tmp_path / "images.gz"
    intact = gzip.compress(idx(np.random.default_rng(0).integers(256, size=(3, 20, 20))))
    path.write_bytes(intact)
    assert read_idx(path, ndim=3).shape == (3, 20, 20)
    wrong_checksum = intact[:-8] + bytes(4) + intact[-4:]
    for damaged in (b"plain text", intact[:-30], wrong_checksum, intact + b"tail"):
        path.write_bytes(damaged)
        with pytest.raises(data.DataError, match=r"images\.gz is not an intact gzip file"):
            read_idx(path, ndim=3)
    with pytest.raises(data.DataError, match=r"cannot read .*absent"):
        read_idx(tmp_path / "absent", ndim=3)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((30, 28, 27)), r"shape \(28, 27\)"),
        ("t10k-images-idx3-ubyte", np.zeros((13, 28, 28)), "12 labels for 13 images"),
        ("train-labels-idx1-ubyte", np.full(30, 11), "holds the label 11"),
    ],
)
def test_mnist_files_must_fit_together(mnist_folder, name, array, message):
    (mnist_folder / "mnist" / name).write_bytes(idx(array))
    with pytest.raises(data.DataError, match=message):
        data.load("mnist", data_dir=mnist_folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_inputs": torch.zeros(3, 2, dtype=torch.float64)}, "must be float32"),
        ({"train_inputs": torch.full((3, 2), torch.nan)}, "`train_inputs` holds NaN"),
        ({"train_labels": torch.zeros(4, dtype=torch.int64)}, "must have shapes"),
        ({"train_labels": torch.tensor([0, 1, 2])}, "must lie in 0..1, got 0..2"),
        ({"test_inputs": torch.zeros(3, 4)}, "has dimension 4, `train_inputs` 2"),
    ],
)
def test_datasets_are_checked(change, message):
    labels = torch.tensor([0, 1, 0])
    fields = {
        "name": "own",
        "train_inputs": torch.zeros(3, 2),
        "train_labels": labels,
        "test_inputs": torch.zeros(3, 2),
        "test_labels": labels,
        "classes": 2,
        "provenance": "test",
    }
    assert data.Dataset(**fields).to("cpu").input_dim == 2
    with pytest.raises(ValueError, match=message):
        data.Dataset(**{**fields, **change})
