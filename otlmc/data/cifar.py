"""CIFAR-10 from its binary or its Python files; the latter are read without executing them."""

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otlmc.data.dataset import DataError
from otlmc.data.mnist import Arrays, digests

PIXELS = 3 * 32 * 32
LARGEST = 2**28
"""Bytes beyond which a file is not read: the real ones have 31 million."""
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
LAYOUTS = {"cifar-10-batches-bin": ".bin", "cifar-10-batches-py": ""}
STANDARD = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
"""Mean and standard deviation of the training pixels in [0, 1], by colour."""
FIRST = (6, 59, 43, 50)
"""Label and first red values of the original's first image, which no other copy starts with."""
COPIES = {
    (
        "917a91b8b27d8ca172a926267a4a573232d8cd2284a6fc235fe36e6bcfe733c9",
        "8ece51d58faedec0429c953508d838562f5d620d59332ae738aee89975898e95",
    ): "a shuffled JPEG copy of quality 75",
}
"""SHA-256 of the pixels and labels, training and test, of known copies that are not exact."""


def read_cifar10(folder: Path) -> Arrays:
    """Read the six files in ``folder``, ``folder/cifar10`` or their usual subfolder there.

    Rows hold the red, green and blue planes one after the other.
    """
    for place in (folder, folder / "cifar10"):
        for sub, suffix in LAYOUTS.items():
            for home in (place / sub, place):
                if (home / f"{BATCHES[0]}{suffix}").is_file():
                    read = _read_binary if suffix else _read_python
                    parts = [_checked(home / f"{name}{suffix}", read) for name in BATCHES]
                    train, train_labels = map(np.concatenate, zip(*parts[:-1], strict=True))
                    return train, train_labels, *parts[-1]
    raise DataError(
        f"no CIFAR-10 in {folder} nor in {folder / 'cifar10'}; put the folder cifar-10-batches-bin "
        "(data_batch_1.bin to data_batch_5.bin and test_batch.bin) or cifar-10-batches-py there"
    )


def origin(arrays: Arrays) -> str:
    """Say whether the pixels are the original ones, and by their digest which they are."""
    found = digests(arrays)
    if (arrays[1][0], *arrays[0][0, : len(FIRST) - 1]) == FIRST:
        return f" (SHA-256 {found[0][:12]})"
    return f", {COPIES.get(found, 'not the original pixels')} (SHA-256 {found[0][:12]})"


def _checked(
    path: Path, read: Callable[[bytes, Path], tuple[Any, Any]]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing beside the other files of CIFAR-10") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST} bytes: it is no file of CIFAR-10")
    images, labels = read(content, path)
    if labels.max() > 9:
        raise DataError(f"{path} holds the label {labels.max()}, expected 0 to 9")
    return images, labels


def _read_binary(content: bytes, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    record = 1 + PIXELS
    if not content or len(content) % record:
        raise DataError(f"{path} has {len(content)} bytes, expected a multiple of {record}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
    return records[:, 1:], records[:, 0]


def _read_python(content: bytes, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    try:
        # A damaged index into the memo would make the unpickler reserve that much memory.
        if any(
            "PUT" in code.name and isinstance(argument, int) and argument > len(content)
            for code, argument, _ in pickletools.genops(content)
        ):
            raise pickle.UnpicklingError("a memo index beyond the file")
        batch = _Unpickler(content).load()
        # The original has keys of bytes; written again by Python 3, they may be text.
        named = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        images, labels = named["data"].array(), named["labels"]
    except Exception as error:  # a damaged pickle can fail in any way, and all mean the same
        reason = f"{type(error).__name__}: {error}"[:200]
        raise DataError(f"{path} is not a batch of CIFAR-10: {reason}") from error
    # Nothing is made of the labels before it is known that they are numbers: lists may be nested.
    classes = isinstance(labels, list) and all(type(k) is int and 0 <= k < 256 for k in labels)
    if not labels or not classes or images.shape != (len(labels), PIXELS):
        raise DataError(
            f"{path} must hold images of shape (n, {PIXELS}) and a list of n labels, got images of "
            f"shape {images.shape}"
        )
    return images, np.array(labels, dtype=np.uint8)


class _Array:
    """Stands in for numpy's array, of which a pickle sets the state."""

    __slots__ = ("state",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """Return the array, if it is one of bytes in C order."""
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, _Dtype) or dtype.name not in ("u1", b"u1") or fortran:
            raise pickle.UnpicklingError("the array is not one of bytes in C order")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


class _Dtype:
    """Stands in for numpy's dtype, of which only the name is read."""

    __slots__ = ("name",)

    def __init__(self, name: str | bytes, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Ignore the rest, which says nothing about bytes."""


class _Unpickler(pickle.Unpickler):
    """Admits what describes an array of bytes, and calls nothing but stand-ins for it.

    Those that are functions are bound methods, whose attributes a pickle cannot set.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.left = len(content)

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        admitted: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): self.reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): self.reconstruct,
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): _Dtype,
            ("_codecs", "encode"): self.encode,
        }
        if (module_name, global_name) not in admitted:
            raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}"[:200])
        return admitted[module_name, global_name]

    def reconstruct(self, *_: object) -> _Array:
        """Return an array without state."""
        return _Array()

    def encode(self, text: str, encoding: str) -> bytes:
        """Return bytes from the text as which Python 3 writes them with an old protocol."""
        self.left -= len(text)
        if self.left < 0:
            raise pickle.UnpicklingError("the same text is encoded again and again")
        return text.encode("latin1") if encoding == "latin1" else b""
