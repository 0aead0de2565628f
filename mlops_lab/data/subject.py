"""The data set under check: its splits as arrays, from any form in which a data set is passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import Dataset, Split
from mlops_lab.data.folder import ImageFile, read_folder
from mlops_lab.errors import WrongUsage


@dataclass(frozen=True, eq=False)
class Part:
    """One split under test: images of one shape, their labels, and the files that could not be used."""

    name: str
    images: NDArray[Any]
    labels: NDArray[Any]
    names: Sequence[str] = ()
    misfits: tuple[tuple[str, str], ...] = ()
    damaged: tuple[tuple[str, str], ...] = ()

    def name_of(self, place: int) -> str:
        """Return how an image is called: its file, or its place in the split."""
        return self.names[place] if self.names else f"{self.name}[{place}]"


@dataclass(frozen=True)
class Subject:
    """The data set under check: the splits, the classes, and the shape that an image should have."""

    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    light_ground: bool = False


def read_subject(subject: Any, labels: Any, classes: tuple[str, ...], mode: str) -> tuple[str, Subject]:
    """Return the name of a data set, and its splits; see :func:`mlops_lab.data.check` for what it may be."""
    if isinstance(subject, str | PathLike):
        return str(subject), _of_files(read_folder(Path(subject), mode), classes)
    if isinstance(subject, Dataset):
        parts = tuple(
            _part(name, getattr(subject, name).images, getattr(subject, name).labels) for name in ("train", "test")
        )
        return subject.name, Subject(parts, classes or subject.classes, subject.input.image_shape)
    if isinstance(subject, Split):
        subject, labels, name = subject.images, subject.labels, "split"
    else:
        name = "images"
    if labels is None:
        raise WrongUsage("Images without labels cannot be checked.", "Pass the labels too: data.check(images, labels).")
    part = _part(name, subject, labels)
    whole = part.labels[np.isfinite(part.labels)] if part.labels.dtype.kind in "iuf" else np.array([])
    known = classes or tuple(str(label) for label in range(int(max(whole.max(initial=-1), -1)) + 1))
    return name, Subject((part,), known, part.images.shape[1:])


def _part(name: str, images: Any, labels: Any, names: Sequence[str] = ()) -> Part:
    """Return a split whose images are one array; those of another shape than most are kept by name."""
    array = images if isinstance(images, np.ndarray) and images.dtype != object else None
    if array is None:
        shapes = [np.shape(image) for image in images]
        called = names or [f"{name}[{place}]" for place in range(len(shapes))]
        common = Counter(shapes).most_common(1)[0][0] if shapes else (0, 0)  # of equally many, the first
        usable = [place for place, shape in enumerate(shapes) if shape == common]
        array = np.array([images[place] for place in usable]).reshape(len(usable), *common)
        others = [place for place, shape in enumerate(shapes) if shape != common]
        misfits = tuple((called[place], sides(shapes[place])) for place in others)
        kept = [called[place] for place in usable]
        labels = np.asarray(labels)[usable] if len(labels) == len(shapes) else labels
        return Part(name, array, np.asarray(labels), kept, misfits)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    return Part(name, array, np.asarray(labels), names)


def _of_files(files: list[ImageFile], classes: tuple[str, ...]) -> Subject:
    splits = sorted({file.split for file in files}, key=lambda name: (name != "train", name))
    first = [file for file in files if file.split == splits[0] and file.label]
    known = classes or tuple(sorted({file.label for file in first}))
    place = {name: index for index, name in enumerate(known)}
    parts = []
    for split in splits:
        usable = [file for file in files if file.split == split and file.pixels is not None]
        numbers = np.array([place.get(file.label, -1) for file in usable], dtype=np.int64)
        part = _part(split, [file.pixels for file in usable], numbers, [file.name for file in usable])
        damaged = tuple((f.name, f.reason) for f in files if f.split == split and f.pixels is None)
        parts.append(Part(split, part.images, part.labels, part.names, part.misfits, damaged))
    filled = [part for part in parts if len(part.images)]
    return Subject(tuple(parts), known, filled[0].images.shape[1:] if filled else (0, 0))


def sides(shape: tuple[int, ...]) -> str:
    """Return a shape as one says it.

    Examples
    --------
    >>> sides((28, 28))
    '28×28'
    """
    return "×".join(map(str, shape)) or "a single number"
