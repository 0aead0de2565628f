"""Read a folder of images: one subfolder for each class, and above them, if there are several, one for each split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlops_lab.errors import DataError, LabError
from mlops_lab.image import decode

SPLITS = ("train", "validation", "val", "test")
ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ImageFile:
    """One file of a folder: its pixels, or the reason why there are none."""

    name: str
    split: str
    label: str
    pixels: NDArray[Any] | None
    reason: str = ""


def read_folder(folder: Path, mode: str = "grey") -> list[ImageFile]:
    """Return every image file below a folder, damaged ones included.

    Parameters
    ----------
    folder
        ``folder/<class>/*.png``, or ``folder/train/<class>/*.png`` and ``folder/test/<class>/*.png``; JPEG files are
        read too. Other files, and hidden files and folders (their name begins with a dot), are left out.
    mode
        ``"grey"`` or ``"rgb"``.

    Raises
    ------
    DataError
        The folder cannot be read, or holds no image.
    """
    try:
        found = [_read(folder / inside, inside, mode) for inside in image_files(folder)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.", "Make it readable.") from error
    if not found:
        layout = "Put the images of each class into a folder of its name: images/Bag/1.png."
        raise DataError(f"{folder} holds no PNG or JPEG file.", layout)
    return found


def image_files(folder: Path) -> list[Path]:
    """Return the paths of the PNG and JPEG files below a folder, relative to it and sorted.

    What is hidden is left out: macOS writes ``._photo.png`` beside ``photo.png``, and Jupyter copies of what was open
    into ``.ipynb_checkpoints``.
    """
    files = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    inside = (path.relative_to(folder) for path in files)
    return sorted(path for path in inside if not any(part.startswith(".") for part in path.parts))


def _read(path: Path, inside: Path, mode: str) -> ImageFile:
    parts = inside.parts[:-1]
    split = parts[0] if parts and parts[0].lower() in SPLITS else ""
    label = "/".join(parts[1:] if split else parts)
    name = inside.as_posix()
    try:
        return ImageFile(name, split or "all", label, decode(path.read_bytes(), mode))
    except LabError as error:
        return ImageFile(name, split or "all", label, None, error.message)
