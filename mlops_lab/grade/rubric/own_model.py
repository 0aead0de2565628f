"""What a student's own model must answer: computed from their file in the sandbox, never in the grader's process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade import folders
from mlops_lab.grade.fingerprints import prepared
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric.images import MATERIAL, answers
from mlops_lab.grade.sandbox import Sandbox
from mlops_lab.grade.sandbox.tree import MAX_BYTES, plain_files
from mlops_lab.store.reading import read_below

KINDS = (".onnx", ".keras", ".h5")
SECONDS, MOST = 60.0, 4_000_000  # of computing, and bytes of what is told
HOW = ("right", "not-divided", "divided-twice", "transposed", "inverted", "minus-one-to-one")


def candidates(server: Server, images: NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    """Give what each model that the server may have loaded says to images, by preparation: the shipped one first."""
    yield answers(images)
    folder = server.folder
    for inside, digest in _own_models(folder) if folder is not None else ():
        found = _computed(folder, inside, digest, images.tobytes())
        if found is not None:
            yield found


def _own_models(folder: Path) -> list[tuple[Path, str]]:
    """Return the model files of a submission that are not the shipped ones, each with its digest."""
    found = []
    for path in plain_files(folder / "models"):
        if path.suffix in KINDS:
            with suppress(OSError):
                found.append((path, _digest(_read(folder, path))))
    return [(path, digest) for path, digest in found if digest not in _shipped()][:4]


@cache
def _shipped() -> frozenset[str]:
    return frozenset(_digest(path.read_bytes()) for path in MATERIAL.iterdir() if path.suffix in KINDS)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(folder: Path, inside: Path) -> bytes:
    """Return a file of ``models``. The submission's code has run there: it may have become a link since it was seen."""
    return read_below(folder, f"models/{inside.as_posix()}", MAX_BYTES)


def _copy_beside(folder: Path, inside: Path, target: Path) -> None:
    """Copy a model with the files that stand beside and below it, such as the weights that ONNX keeps apart."""
    left = MAX_BYTES
    for path in plain_files(folder / "models"):
        if path.is_relative_to(inside.parent):
            with suppress(OSError):
                content = _read(folder, path)
                left -= len(content)
                if left < 0:
                    return
                copy = target / path.relative_to(inside.parent)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)


@lru_cache(8)
def _computed(folder: Path, inside: Path, digest: str, pixels: bytes) -> dict[str, Any] | None:
    """Return a model's probabilities by preparation, computed in a sandbox of its own; None where it cannot be."""
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28)
    inputs = prepared(images, HOW)
    with folders.temporary() as copy:
        _copy_beside(folder, inside, copy)
        text = _predicted(copy, inside.name, np.concatenate(list(inputs.values())))
    try:
        numbers = np.asarray(json.loads(text), dtype=np.float64)
        split = np.split(numbers, len(inputs))
    except (ValueError, TypeError):
        return None
    return dict(zip(inputs, split, strict=True))


def _predicted(copy: Path, model: str, inputs: NDArray[Any]) -> bytes:
    """Return what a model in a folder says to inputs, as the sandbox wrote it."""
    with Sandbox(copy) as sandbox:
        np.save(sandbox.folder / "inputs.npy", inputs, allow_pickle=False)
        sandbox.give_to_user()
        return sandbox.ask({"program": "predicting", "model": model}, SECONDS, MOST)[0]
