"""`load`: a data set by its name."""

import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike

from otlmc import _check
from otlmc.data.dataset import DataError, Dataset
from otlmc.data.mnist import STANDARD, fetch_mnist, read_mnist

Name = Literal["moons", "digits", "mnist"]
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

    ========  =============  ==========================================================
    name      train + test   normalisation (the first is the default)
    ========  =============  ==========================================================
    moons     512 + 512      ``"standard"``: training mean 0 and variance 1 per feature
    digits    1297 + 500     ``"unit"``: pixels / 16
    mnist     60000 + 10000  ``"unit"``: pixels / 255; ``"standard"``: (p - .1307) / .3081
    ========  =============  ==========================================================

    Moons and digits come from scikit-learn. MNIST is read from its IDX files, and fetched from
    OpenML only if no folder is named.

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
        Draws the moons and splits the digits. The files have a split of their own.

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
    allowed = ("unit", "standard") if name == "mnist" else (default,)
    chosen = _check.one_of("normalisation", normalisation or default, allowed)
    if name == "moons":
        return _moons(np.random.default_rng(rng))
    if name == "digits":
        return _digits(np.random.default_rng(rng))
    return _mnist(_folder(data_dir), chosen)


def _folder(data_dir: Path | str | None) -> Path | None:
    named = data_dir if data_dir is not None else os.environ.get(FOLDER_VARIABLE) or None
    if named is None:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        origin = "`data_dir`" if data_dir is not None else FOLDER_VARIABLE
        raise DataError(f"{origin} must name a folder, got {folder}")
    return folder


def _moons(rng: np.random.Generator) -> Dataset:
    from sklearn.datasets import make_moons

    drawn = make_moons(1024, noise=0.1, random_state=int(rng.integers(2**32)))
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
    arrays = fetch_mnist() if folder is None else read_mnist(folder)
    mean, deviation = STANDARD if normalisation == "standard" else (0.0, 1.0)
    train, train_labels, test, test_labels = arrays

    def normalise(pixels: np.ndarray) -> np.ndarray:
        return (pixels.astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)

    scaling = "pixels / 255" + (f", ({mean}, {deviation})" if normalisation == "standard" else "")
    provenance = f"MNIST from {'OpenML' if folder is None else 'IDX files'}, {scaling}"
    split = (normalise(train), train_labels, normalise(test), test_labels)
    return _dataset("mnist", split, provenance)


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
