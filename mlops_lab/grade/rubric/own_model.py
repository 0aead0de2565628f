"""What a student's own model must answer: computed from their file in the sandbox, never in the grader's process."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.fingerprints import prepared
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric.images import MATERIAL, answers
from mlops_lab.grade.sandbox import Sandbox

KINDS = (".onnx", ".keras", ".h5")
SECONDS = 60.0
HOW = ("right", "not-divided", "divided-twice", "transposed", "inverted", "minus-one-to-one")


def candidates(server: Server, images: NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    """Give what each model that the server may have loaded says to images, by preparation: the shipped one first."""
    yield answers(images)
    for path in _own_models(server.folder):
        found = _computed(path, _digest(path), images.tobytes())
        if found is not None:
            yield found


def _own_models(folder: Path | None) -> list[Path]:
    """Return the model files of a submission that are not the shipped ones."""
    if folder is None:
        return []
    files = [path for path in sorted((folder / "models").rglob("*")) if path.suffix in KINDS and path.is_file()]
    return [path for path in files if _digest(path) not in _shipped()][:4]


@cache
def _shipped() -> frozenset[str]:
    return frozenset(_digest(path) for path in MATERIAL.iterdir() if path.suffix in KINDS)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(8)
def _computed(path: Path, digest: str, pixels: bytes) -> dict[str, Any] | None:
    """Return a model's probabilities by preparation, computed in a sandbox of its own; None where it cannot be."""
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28)
    inputs = {how: batch for how, batch in prepared(images).items() if how in HOW}
    with Sandbox(path.parent) as sandbox:
        np.save(sandbox.folder / "inputs.npy", np.concatenate(list(inputs.values())), allow_pickle=False)
        sandbox.give_to_user()
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        process = sandbox.start({"program": "predicting", "model": path.name, "answer": writing}, (writing,))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            process.wait(SECONDS)
            process.kill()
            text = pipe.read(4_000_000)
    try:
        numbers = np.asarray(json.loads(text), dtype=np.float64)
        split = np.split(numbers, len(inputs))
    except (ValueError, TypeError):
        return None
    return dict(zip(inputs, split, strict=True))
