"""The golden examples of a version: what it was asked when it was published, and what it answered."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact
from mlops_lab.inputs import TEXT, fits
from mlops_lab.signature import Signature

Arrays = dict[str, NDArray[Any]]
GOLDEN_FILE = "golden.npz"
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class Golden:
    """Examples and what the model must answer to them, kept to notice a model that has changed.

    Parameters
    ----------
    arrays
        Returns the examples and the answers by the names of the signature. Examples are as they come before
        preprocessing (images 0–255), so preprocessing is checked too; answers have their activations applied.
    tolerance
        The largest difference that counts as the same: absolute up to 1, relative above.
    """

    arrays: Callable[[], tuple[Arrays, Arrays]] = field(repr=False)
    tolerance: float = TOLERANCE

    @classmethod
    def of(cls, examples: Arrays, answers: Arrays, tolerance: float = TOLERANCE) -> Golden:
        """Return golden examples that are in memory."""
        return cls(lambda: (examples, answers), tolerance)

    @cached_property
    def _read(self) -> tuple[Arrays, Arrays]:
        return self.arrays()

    @property
    def examples(self) -> Arrays:
        """The examples of each input."""
        return self._read[0]

    @property
    def answers(self) -> Arrays:
        """The answers of each output."""
        return self._read[1]

    @property
    def inputs(self) -> NDArray[Any]:
        """The examples of the first input."""
        return next(iter(self.examples.values()))

    @property
    def outputs(self) -> NDArray[Any]:
        """The answers of the first output."""
        return next(iter(self.answers.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return the ``golden`` entry of a manifest; the arrays are in a file beside it."""
        return {"file": GOLDEN_FILE, "tolerance": self.tolerance}

    def to_bytes(self) -> bytes:
        """Return the file of the arrays, numbered in the order of the signature; text as NumPy's fixed-width text."""
        kinds = {"inputs": self.examples, "outputs": self.answers}
        named = {
            f"{kind}.{place}": array for kind, arrays in kinds.items() for place, array in enumerate(arrays.values())
        }
        file = io.BytesIO()
        np.savez(file, **{name: array.astype(str) if array.dtype == object else array for name, array in named.items()})  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_file(cls, signature: Signature, tolerance: float, read: Callable[[str], bytes] | None) -> Golden:
        """Return golden examples that are read from their file when they are wanted.

        Raises
        ------
        DamagedArtifact
            When they are wanted: the file is not one that :meth:`to_bytes` wrote for this signature.
        """

        def arrays() -> tuple[Arrays, Arrays]:
            if read is None:
                raise DamagedArtifact(
                    "The golden examples are in a file that is not at hand.", "Read it with its store."
                )
            try:
                return from_bytes(read(GOLDEN_FILE), signature)
            except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
                message = f"The golden examples cannot be read: {error}."
                raise DamagedArtifact(message, "Publish the version again.") from error

        return cls(arrays, tolerance)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any], signature: Signature) -> Golden:
        """Read the ``golden`` entry of a manifest of format 1, which holds the numbers themselves."""
        if np.dtype(entry["dtype"]).kind not in "uif":
            raise ValueError(f"golden inputs of type {entry['dtype']}")
        inputs = np.array(entry["inputs"], dtype=entry["dtype"])
        outputs = np.array(entry["outputs"], dtype=np.float32)
        if len(inputs) == 0 or outputs.ndim != 2 or len(inputs) != len(outputs):
            raise ValueError(f"{len(inputs)} golden inputs and outputs of shape {outputs.shape}")
        if not np.isfinite(outputs).all():
            raise ValueError("golden outputs that are not finite")
        examples, answers = {signature.inputs[0].name: inputs}, {signature.outputs[0].name: outputs}
        return cls.of(examples, answers, float(entry["tolerance"]))


def from_bytes(data: bytes, signature: Signature) -> tuple[Arrays, Arrays]:
    """Return the examples and the answers in a file, once they are what the signature says.

    Raises
    ------
    ValueError
        The file is compressed, holds something else, or the shapes are not those of the signature.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
            raise ValueError("the arrays are compressed")  # so that none is larger than the file
    kinds = {
        "inputs": [spec.name for spec in signature.inputs],
        "outputs": [spec.name for spec in signature.outputs],
    }
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        loaded = {
            kind: {name: file[f"{kind}.{place}"] for place, name in enumerate(names)} for kind, names in kinds.items()
        }
    if len({len(array) for arrays in loaded.values() for array in arrays.values()} - {0}) != 1:
        raise ValueError("there are none, or not one answer for each example")
    for spec in signature.inputs:
        loaded["inputs"][spec.name] = _checked(loaded["inputs"][spec.name], spec.image_shape or spec.shape, spec.dtype)
    for output in signature.outputs:
        loaded["outputs"][output.name] = _checked(loaded["outputs"][output.name], output.shape, output.dtype)
    return loaded["inputs"], loaded["outputs"]


def _checked(array: NDArray[Any], shape: tuple[int | None, ...], dtype: str) -> NDArray[Any]:
    if not fits(array.shape[1:], shape):
        raise ValueError(f"an array of shape {array.shape} for examples of shape {shape}")
    if (array.dtype.kind == "U") != (dtype == TEXT) or array.dtype.kind not in "Ufiub":
        raise ValueError(f"an array of type {array.dtype.name} for {dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("an array that is not finite")
    return array.astype(object) if dtype == TEXT else array
