"""What a data set is: four tensors and where they come from."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor


class DataError(ValueError):
    """A data file is missing, corrupt or of the wrong kind; the message names the file."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification data set, flattened and normalised.

    Attributes
    ----------
    name : str
        What :func:`otlmc.data.load` was asked for.
    train_inputs, test_inputs : Tensor of float32, shape (n, d)
        One flattened example per row.
    train_labels, test_labels : Tensor of int64, shape (n,)
        Classes 0, 1, ..., ``classes - 1``.
    classes : int
        Number of classes.
    provenance : str
        Source and normalisation, for manifests and captions.

    Raises
    ------
    ValueError
        If shapes disagree, an input is not finite or a label is no class.
    """

    name: str
    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: Tensor
    classes: int
    provenance: str

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            inputs, labels = getattr(self, f"{split}_inputs"), getattr(self, f"{split}_labels")
            if inputs.ndim != 2 or labels.shape != inputs.shape[:1] or not len(inputs):
                raise ValueError(
                    f"`{split}_inputs` and `{split}_labels` must have shapes (n, d) and (n,) with "
                    f"n >= 1, got {tuple(inputs.shape)} and {tuple(labels.shape)}"
                )
            if inputs.dtype != torch.float32 or labels.dtype != torch.int64:
                raise ValueError(
                    f"`{split}_inputs` and `{split}_labels` must be float32 and int64, "
                    f"got {inputs.dtype} and {labels.dtype}"
                )
            if not torch.isfinite(inputs).all():
                raise ValueError(f"`{split}_inputs` holds NaN or infinite entries")
            if labels.min() < 0 or labels.max() >= self.classes:
                raise ValueError(
                    f"`{split}_labels` must lie in 0..{self.classes - 1}, "
                    f"got {int(labels.min())}..{int(labels.max())}"
                )
        if self.train_inputs.shape[1] != self.test_inputs.shape[1]:
            raise ValueError(
                f"`test_inputs` has dimension {self.test_inputs.shape[1]}, "
                f"`train_inputs` {self.train_inputs.shape[1]}"
            )

    @property
    def input_dim(self) -> int:
        """Dimension of one flattened example."""
        return self.train_inputs.shape[1]

    @property
    def output_dim(self) -> int:
        """Outputs that a network needs: one logit for two classes, else one per class."""
        return 1 if self.classes == 2 else self.classes

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same data on another device."""
        tensors = {
            f.name: getattr(self, f.name).to(device)
            for f in dataclasses.fields(self)
            if f.name.endswith(("_inputs", "_labels"))
        }
        return dataclasses.replace(self, **tensors)
