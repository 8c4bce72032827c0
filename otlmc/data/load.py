"""`load`: a data set by its name."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike

from otlmc import _check
from otlmc.data import cifar, mnist
from otlmc.data.dataset import DataError, Dataset

Name = Literal["moons", "digits", "mnist", "cifar10"]
Normalisation = Literal["unit", "standard"]
NAMES: tuple[str, ...] = get_args(Name)
FOLDER_VARIABLE = "OTLMC_DATA"


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    normalisation: Normalisation | None = None,
    rng: int | np.random.Generator | np.random.SeedSequence = 0,
) -> Dataset:
    """Load a data set as flattened, normalised tensors on the CPU.

    ========  =============  ===============================================================
    name      train + test   normalisation (the first is the default)
    ========  =============  ===============================================================
    moons     512 + 512      ``"standard"``: training mean 0 and variance 1 per feature
    digits    1297 + 500     ``"unit"``: pixels / 16
    mnist     60000 + 10000  ``"unit"``: pixels / 255; ``"standard"``: (p - .1307) / .3081
    cifar10   50000 + 10000  ``"unit"``: pixels / 255; ``"standard"``: mean 0, variance 1 by colour
    ========  =============  ===============================================================

    Moons and digits come from scikit-learn. MNIST is read from its IDX files, plain or gzipped, and
    fetched from OpenML only if no folder is named. CIFAR-10 is read from its binary or its Python
    layout; a row holds the red, green and blue planes. Where files do not hold the original pixels,
    as those of a JPEG copy, ``provenance`` says so.

    Parameters
    ----------
    name : str
        One of the table.
    data_dir : path, optional
        Folder of the files, which may lie in a subfolder of the data set's name; by default the
        folder named by the environment variable ``OTLMC_DATA``.
    normalisation : {"unit", "standard"}, optional
        See the table.
    rng : int, Generator or SeedSequence
        Draws the moons (an int is scikit-learn's ``random_state``) and splits the digits. The
        files have a split of their own.

    Raises
    ------
    ValueError
        If the name or the normalisation is unknown.
    DataError
        If files are missing or corrupt; the message says what to put where.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.train_inputs.shape, digits.test_inputs.shape, digits.classes
    (torch.Size([1297, 64]), torch.Size([500, 64]), 10)
    """
    _check.one_of("name", name, NAMES)
    default = "standard" if name == "moons" else "unit"
    allowed = ("unit", "standard") if name in ("mnist", "cifar10") else (default,)
    chosen = _check.one_of("normalisation", normalisation or default, allowed)
    if name == "moons":
        return _moons(rng)
    if name == "digits":
        return _digits(np.random.default_rng(rng))
    folder = _folder(data_dir)
    return _mnist(folder, chosen) if name == "mnist" else _cifar10(folder, chosen)


def _folder(data_dir: Path | str | None) -> Path | None:
    named = data_dir if data_dir is not None else os.environ.get(FOLDER_VARIABLE) or None
    if named is None:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "`data_dir`" if data_dir is not None else FOLDER_VARIABLE
        raise DataError(f"{origin} must name a folder, got {folder}")
    return folder


def _moons(rng: int | np.random.Generator | np.random.SeedSequence) -> Dataset:
    from sklearn.datasets import make_moons

    seed = rng if isinstance(rng, int) else int(np.random.default_rng(rng).integers(2**32))
    drawn = make_moons(1024, noise=0.1, random_state=seed)
    inputs, labels = map(np.asarray, drawn)
    mean, deviation = inputs[:512].mean(axis=0), inputs[:512].std(axis=0)
    inputs = (inputs - mean) / deviation
    provenance = "scikit-learn make_moons, noise 0.1, standardised"
    return _dataset("moons", (inputs[:512], labels[:512], inputs[512:], labels[512:]), provenance)


def _digits(rng: np.random.Generator) -> Dataset:
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(inputs))
    inputs, labels = inputs[order] / 16, labels[order]
    provenance = "scikit-learn digits (UCI), pixels / 16"
    split = (inputs[:1297], labels[:1297], inputs[1297:], labels[1297:])
    return _dataset("digits", split, provenance)


def _mnist(folder: Path | None, normalisation: str) -> Dataset:
    if folder is None:
        arrays, source = mnist.fetch_mnist(), "MNIST from OpenML"
    else:
        arrays = mnist.read_mnist(folder)
        source = f"MNIST from IDX files{mnist.origin(arrays)}"
    return _images("mnist", arrays, source, mnist.STANDARD, normalisation)


def _cifar10(folder: Path | None, normalisation: str) -> Dataset:
    if folder is None:
        raise DataError(
            "CIFAR-10 is read from its files: put cifar-10-batches-bin (or -py) into a folder and "
            f"name that by --data-dir (data_dir=...) or by the variable {FOLDER_VARIABLE}"
        )
    arrays = cifar.read_cifar10(folder)
    source = f"CIFAR-10 from files{cifar.origin(arrays)}"
    return _images("cifar10", arrays, source, cifar.STANDARD, normalisation)


def _images(
    name: str,
    arrays: mnist.Arrays,
    source: str,
    standard: tuple[ArrayLike, ArrayLike],
    normalisation: str,
) -> Dataset:
    """Scale bytes to [0, 1], then by the mean and deviation of their colour if that is wanted."""
    train, train_labels, test, test_labels = arrays

    def normalise(pixels: np.ndarray) -> np.ndarray:
        unit = pixels.astype(np.float32) / 255
        if normalisation == "unit":
            return unit
        mean, deviation = (np.array(p, dtype=np.float32).reshape(-1, 1) for p in standard)
        planes = unit.reshape(len(unit), len(mean), -1)
        return ((planes - mean) / deviation).reshape(unit.shape)

    scaling = "pixels / 255" + (f", standardised by {standard}" * (normalisation == "standard"))
    split = (normalise(train), train_labels, normalise(test), test_labels)
    return _dataset(name, split, f"{source}, {scaling}")


def _dataset(
    name: str, split: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike], provenance: str
) -> Dataset:
    train, train_labels, test, test_labels = map(np.asarray, split)
    return Dataset(
        name=name,
        train_inputs=torch.from_numpy(train.astype(np.float32)),
        train_labels=torch.from_numpy(train_labels.astype(np.int64)),
        test_inputs=torch.from_numpy(test.astype(np.float32)),
        test_labels=torch.from_numpy(test_labels.astype(np.int64)),
        classes=int(train_labels.max()) + 1,
        provenance=provenance,
    )
