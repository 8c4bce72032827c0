"""MNIST from its four IDX files, or from OpenML."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otlmc.data.dataset import DataError
from otlmc.data.idx import read_idx

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Training images and labels, test images and labels, as bytes."""

SUBFOLDERS = ("", "mnist", "MNIST/raw")
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
STANDARD = (0.1307, 0.3081)
"""Mean and standard deviation of the training pixels in [0, 1]."""
DIGESTS = (
    "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
)
"""SHA-256 of the original pixels and labels, training and test."""


def read_mnist(folder: Path) -> Arrays:
    """Read the four files, each plain or with ``.gz``, in ``folder`` or in ``folder/mnist``."""
    arrays = []
    for images_name, labels_name in FILES.values():
        images_path, labels_path = _find(folder, images_name), _find(folder, labels_name)
        images = read_idx(images_path, ndim=3)
        labels = read_idx(labels_path, ndim=1)
        if images.shape[1:] != (28, 28):
            raise DataError(f"{images_path} holds images of shape {images.shape[1:]}, not (28, 28)")
        if len(images) != len(labels):
            raise DataError(f"{labels_path} has {len(labels)} labels for {len(images)} images")
        if labels.max() > 9:
            raise DataError(f"{labels_path} holds the label {labels.max()}, expected 0 to 9")
        arrays += [images.reshape(len(images), -1), labels]
    return tuple(arrays)


def _find(folder: Path, name: str) -> Path:
    for sub in SUBFOLDERS:
        for suffix in ("", ".gz"):
            path = folder / sub / (name + suffix)
            if path.is_file():
                return path
    wanted = ", ".join(name for names in FILES.values() for name in names)
    raise DataError(
        f"{name}[.gz] is not in {folder} nor in {folder / 'mnist'}; put the four MNIST files "
        f"there ({wanted}, each plain or gzipped)"
    )


def fetch_mnist() -> Arrays:
    """Fetch MNIST from OpenML through scikit-learn, which keeps a copy, and check what came."""
    from sklearn.datasets import fetch_openml

    try:
        inputs, labels = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    except Exception as error:  # the network fails in many ways, and all mean the same here
        raise DataError(
            "MNIST could not be fetched from OpenML "
            f"({type(error).__name__}: {error}); without a network, put the four IDX files into a "
            "folder and name it by --data-dir (data_dir=...) or by the variable OTLMC_DATA"
        ) from error
    images = np.asarray(inputs, dtype=np.uint8)
    classes = np.asarray(labels, dtype=np.uint8)
    arrays = images[:60_000], classes[:60_000], images[60_000:], classes[60_000:]
    if digests(arrays) != DIGESTS:
        raise DataError(f"OpenML returned data of shape {images.shape} that is not MNIST")
    return arrays


def origin(arrays: Arrays) -> str:
    """Say of arrays read from files whether they are the original ones."""
    found = digests(arrays)
    return "" if found == DIGESTS else f", not the original pixels (SHA-256 {found[0][:12]})"


def digests(arrays: Arrays) -> tuple[str, str]:
    """Return the SHA-256 of the pixels and labels, training and test."""
    train, test = hashlib.sha256(), hashlib.sha256()
    for split, array in zip((train, train, test, test), arrays, strict=True):
        split.update(array.tobytes())
    return train.hexdigest(), test.hexdigest()
