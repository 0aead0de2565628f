"""What a capstone holds: its name and classes, its images, and the versions that its ``train.py`` leaves."""

from __future__ import annotations

import ast
import hashlib
import io
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import strict_json
from mlops_lab.grade import programs
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Hint
from mlops_lab.grade.rubric.started import text_of
from mlops_lab.grade.sandbox.tree import plain_files
from mlops_lab.store.reading import read_below

MOST_DATA = 64_000_000  # bytes of one array
NAME = re.compile(r"[A-Za-z][\w-]{0,40}")
OWN_PATH = re.compile(r"(/home/|/Users/|/root/|/mnt/|[A-Za-z]:\\\\?[A-Za-z])[^\s\"']*")
TRAIN_SECONDS = 120.0
# What reading a zip, or an array in it, may raise.
UNREADABLE = (ValueError, KeyError, TypeError, EOFError, OSError, SyntaxError, RuntimeError, MemoryError, zlib.error,
              zipfile.BadZipFile)  # fmt: skip

HINTS = {
    "no-file": Hint("There is no {name}.", "A whole life has all its parts: the exercise names the files."),
    "form": Hint("{name} cannot be read: {why}", "What it must hold stands with the exercise."),
    "own-path": Hint("`{path}` in {name}: it starts only where you sit.",
                     "Paths begin at the file itself, or come from outside."),
}  # fmt: skip


@dataclass(frozen=True)
class Images:
    """Images with their labels.

    Parameters
    ----------
    images
        ``(n, height, width)`` uint8.
    labels
        ``(n,)``.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Capstone:
    """What is known of a capstone without running it.

    Parameters
    ----------
    folder
        Where it is.
    name
        The model's.
    classes
        In the order of the labels.
    train, held_out
        Its images.
    """

    folder: Path
    name: str
    classes: tuple[str, ...]
    train: Images
    held_out: Images

    def route(self, version: int = 1) -> str:
        """Return the address of a version."""
        return f"/models/{self.name}/v{version}"


def read(case: Case, folder: Path | None) -> Capstone:
    """Return a capstone, or fail the check with what cannot be read."""
    case.expect(folder is not None and folder.is_dir(), "There is no folder.", hint="no-file", name="capstone")
    folder = folder or Path()
    text = text_of(folder, "capstone.json")
    case.expect(text, "There is no capstone.json.", hint="no-file", name="capstone.json")
    try:
        said = strict_json.loads(text.encode())
        name, classes = str(said["name"]), tuple(str(one) for one in said["classes"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        case.fail("capstone.json cannot be read.", hint="form", name="capstone.json", why=f"{type(error).__name__}")
    right = NAME.fullmatch(name) and 2 <= len(set(classes)) == len(classes) <= 100
    case.expect(right, "capstone.json names no model, or no classes.", hint="form", name="capstone.json",
                why="a name of letters, and at least two different classes", received=f"{name}: {classes}")  # fmt: skip
    train, held_out = (_images(case, folder, f"data/{one}.npz", len(classes)) for one in ("train", "heldout"))
    case.expect(train.images.shape[1:] == held_out.images.shape[1:], "The images have two sizes.", hint="form",
                name="data/heldout.npz", why="its images are of another size than those of data/train.npz")  # fmt: skip
    case.expect(len(held_out.images) >= 40, "Too few images are held out.", hint="form", name="data/heldout.npz",
                why="at least 40 images", received=len(held_out.images))  # fmt: skip
    return Capstone(folder, name, classes, train, held_out)


def _images(case: Case, folder: Path, name: str, classes: int) -> Images:
    try:
        content = read_below(folder, name, MOST_DATA)
    except OSError:
        case.fail(f"There is no {name}.", hint="no-file", name=name)
    try:
        images, labels = arrays(content, "images"), arrays(content, "labels")
        whole = images.dtype == np.uint8 and images.ndim == 3 and labels.shape == images.shape[:1] and len(images) > 0
        whole = whole and labels.dtype.kind in "iu" and 0 <= int(labels.min()) <= int(labels.max()) < classes
        why = f"images {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape} for {classes} classes"
    except UNREADABLE as error:
        whole, why = False, type(error).__name__
    case.expect(whole, f"{name} holds no images with their labels.", hint="form", name=name, why=why,
                expected="images (n, height, width) uint8, labels (n,)", received=why)  # fmt: skip
    return Images(images, labels.astype(np.int64))


def arrays(content: bytes, name: str) -> NDArray[Any]:
    """Return an array of an ``.npz`` file that somebody else wrote: no larger than it says, and never unpickled.

    Raises
    ------
    ValueError
        It is larger than 64 MB, or not what its header says.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(f"{name}.npy") as member:
        data = member.read(MOST_DATA + 1)
    if len(data) > MOST_DATA or data[:6] != b"\x93NUMPY":
        raise ValueError("too large, or no array")
    start = 10 if data[6] == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if length > 1000:
        raise ValueError("too long a header")
    header = ast.literal_eval(data[start : start + length].decode("latin-1"))
    dtype, shape = np.dtype(header["descr"]), tuple(map(int, header["shape"]))
    if dtype.kind not in "iu" or header["fortran_order"] or min(shape, default=0) < 0:
        raise ValueError("not whole numbers in rows")
    body = data[start + length :]
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise ValueError("another number of bytes than the header says")
    return np.frombuffer(body, dtype).reshape(shape)


def portable(case: Case, folder: Path, *names: str) -> None:
    """Fail where a file names a path of one's own machine."""
    for name in names:
        found = OWN_PATH.search(text_of(folder, name))
        case.expect(found is None, f"{name} names a path of your own machine.", hint="own-path", name=name,
                    path=found[0] if found else "", expected="a path beside the file",
                    received=found[0] if found else "")  # fmt: skip


def leaked(one: Capstone) -> int:
    """Return how many held-out images stand in the training data, pixel for pixel."""
    known = {image.tobytes() for image in one.train.images}
    return sum(image.tobytes() in known for image in one.held_out.images)


@dataclass(frozen=True)
class Trained:
    """What ``train.py`` did for one version.

    Parameters
    ----------
    ended
        How it ended.
    files
        The files of the version, by their paths in ``models``.
    """

    ended: programs.ProgramResult
    files: dict[str, bytes]


def weights(files: dict[str, bytes]) -> frozenset[str]:
    """Return what a version consists of: a digest of each part that is no text, so that a new number alone is none."""
    return frozenset(_parts(files))


def _parts(files: dict[str, bytes]) -> list[str]:
    found = []
    for name, content in files.items():
        if not name.endswith((".json", ".md", ".txt", ".toml", ".yaml")):
            # Of a zip the members: the time of writing is part of it, and no weight.
            found += (_members(content) if content[:2] == b"PK" else []) or [_digest_of(content)]
    return found


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _members(content: bytes) -> list[str]:
    """Return a digest of each member of a zip; nothing where it cannot be read, or unfolds to more than 64 MB."""
    found, left = [], MOST_DATA
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for one in archive.infolist():
                with archive.open(one) as file:
                    data = file.read(left + 1)
                left -= len(data)
                if left < 0:
                    return []
                if not one.filename.endswith(".json"):
                    found.append(_digest_of(data))
    except UNREADABLE:
        return []
    return found


def trained(one: Capstone, version: int) -> Trained:
    """Return what ``train.py`` leaves for a version; run once for the same files."""
    return _trained(one.folder, _digest(one.folder), one.name, version)


@lru_cache(4)
def _trained(folder: Path, digest: str, name: str, version: int) -> Trained:
    ended, files = programs.leaves(folder, "train.py", "models", arguments=(str(version),), seconds=TRAIN_SECONDS,
                                   settings={"FAST": "1"})  # fmt: skip
    place = f"{name}/{version}/"
    return Trained(ended, {path: content for path, content in files.items() if path.startswith(place)})


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in plain_files(folder):
        content = b""
        try:
            content = read_below(folder, path.as_posix(), MOST_DATA)
        except OSError:
            continue
        whole.update(path.as_posix().encode() + b"\0" + hashlib.sha256(content).digest())
    return whole.hexdigest()


def delivered(one: Capstone, version: int = 1) -> dict[str, bytes]:
    """Return the files of a version that was handed in, by their paths in ``models``."""
    place = f"{one.name}/{version}"
    found = {}
    for path in plain_files(one.folder / "models" / place):
        try:
            content = read_below(one.folder, f"models/{place}/{path.as_posix()}", MOST_DATA)
        except OSError:
            continue
        found[f"{place}/{path.as_posix()}"] = content
    return found
