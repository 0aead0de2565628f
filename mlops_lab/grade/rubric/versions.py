"""Lay out models as the store does, and make new versions and new names of them."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab.engines import onnx as engine
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.rubric.images import LABELS, MATERIAL, model
from mlops_lab.grade.sandbox.tree import put

DIGITS = tuple("0123456789")
LAST_LAYER = ((84, 10), (10,))  # shapes of the last layer's numbers in the network for clothes


def publish_clothes(folder: Path, version: int, factor: float = 1.0) -> None:
    """Write a version of clothes whose last layer is multiplied by a factor, as Keras and as ONNX."""
    keras, onnx = _clothes(factor)
    files = {"model.keras": keras, "model.onnx": onnx}
    _publish(folder, Path("models", "clothes"), version, files, LABELS, [28, 28, 1], 1.0)


@cache
def _clothes(factor: float) -> tuple[bytes, bytes]:
    return (
        scaled_keras((MATERIAL / "clothes.keras").read_bytes(), factor),
        scaled_onnx((MATERIAL / "clothes.onnx").read_bytes(), factor),
    )


def publish_digits(folder: Path, inside: str = "models/digits") -> None:
    """Write version 1 of the digits model, under its own name or another, as scikit-learn and as ONNX."""
    files = {f"model.{kind}": (MATERIAL / f"digits.{kind}").read_bytes() for kind in ("skops", "onnx")}
    _publish(folder, Path(inside), 1, files, DIGITS, [64], 16.0)


def _publish(
    folder: Path, inside: Path, version: int, files: dict[str, bytes], labels: tuple[str, ...], shape: list[int],
    high: float,
) -> None:  # fmt: skip
    """Write a version over whatever stands there: also over what a submission brings."""
    size = [28, 28] if len(shape) == 3 else [8, 8]
    name = inside.name
    taken = {"name": "image", "shape": shape, "dtype": "float32", "range": [0.0, high],
             "preprocessing": {"kind": "image", "size": size, "mode": "grey"}}  # fmt: skip
    given = {"name": "output_0", "task": "classification", "shape": [len(labels)], "dtype": "float32",
             "role": "probabilities", "labels": labels}  # fmt: skip
    # As the store writes them today; "input" and "labels" are what it wrote before a model could have several.
    manifest = {
        "format": 2, "name": name, "version": version, "description": f"Classify images: {name}", "inputs": [taken],
        "outputs": [given], "input": taken, "labels": labels,
    }  # fmt: skip
    place = inside / str(version)
    try:
        for file, content in {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}.items():
            put(folder, place / file, content)
    except OSError as error:
        raise Failed(f"No model can be put at {place.as_posix()}: {error.strerror}.") from None


def scaled_onnx(content: bytes, factor: float) -> bytes:
    """Return an ONNX model whose last layer is multiplied by a factor: surer, or less sure, than before."""
    import onnx
    from onnx import numpy_helper

    loaded = onnx.load_from_string(content)
    for tensor in loaded.graph.initializer:
        if tuple(tensor.dims) in LAST_LAYER:
            numbers = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(numbers.astype(np.float32), tensor.name))
    changed: bytes = loaded.SerializeToString()
    return changed


def scaled_keras(content: bytes, factor: float) -> bytes:
    """Return a ``.keras`` file whose last layer is multiplied by a factor."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            part = source.read(name)
            target.writestr(name, _scaled_weights(part, factor) if name == "model.weights.h5" else part)
    return out.getvalue()


def _scaled_weights(content: bytes, factor: float) -> bytes:
    import h5py

    buffer = io.BytesIO(content)

    def scale(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.shape in LAST_LAYER and name.startswith("layers/"):
            item[...] = item[...] * np.float32(factor)

    with h5py.File(buffer, "r+") as weights:
        weights.visititems(scale)
    return buffer.getvalue()


@cache
def _clothes_engine(factor: float) -> engine.OnnxEngine:
    return engine.load(_clothes(factor)[1])


def clothes_answers(images: NDArray[np.uint8], factor: float) -> NDArray[np.float32]:
    """Return what a version of clothes says to images."""
    return _clothes_engine(factor).predict((images / np.float32(255)).astype(np.float32)[..., np.newaxis])


@cache
def digit_pixels() -> NDArray[np.uint8]:
    """Return all digits of scikit-learn, ``(1797, 8, 8)``, as pixels from 0 to 255."""
    from sklearn.datasets import load_digits

    return np.asarray(np.rint(load_digits().images * (255 / 16)), np.uint8)


def digit_images(rng: np.random.Generator, count: int, *, held_out: bool) -> NDArray[np.uint8]:
    """Return images of digits, ``(count, 8, 8)``."""
    images = digit_pixels()
    chosen = images[rng.permutation(len(images))[:count]]
    if held_out:
        chosen = np.clip(chosen.astype(int) + rng.integers(-12, 13, chosen.shape), 0, 255).astype(np.uint8)
    return np.asarray(chosen, np.uint8)


def digit_answers(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the digits model says to images."""
    return model("digits").predict((images.reshape(len(images), 64) * np.float32(16 / 255)).astype(np.float32))
