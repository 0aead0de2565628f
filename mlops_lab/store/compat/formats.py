"""Recognise a model file and read what it says about itself, without the library that wrote it.

Only descriptions are read, never weights: ``config.json`` of a ``.keras`` archive, two attributes of an ``.h5`` file,
a few numbers of a protocol buffer. Sizes are limited, because the file may be hostile.
"""

from __future__ import annotations

import json
import mmap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab import filetype
from mlops_lab.errors import DamagedArtifact, StoreError

MAX_CONFIG = 8 * 2**20
# Field numbers in TensorFlow's saved_model.proto, meta_graph.proto and graph.proto.
META_GRAPH, META_INFO, TENSORFLOW_VERSION, GRAPH, GRAPH_VERSIONS = 2, 1, 5, 2, 4
WEIGHTS = ("model.weights.h5", "model.weights.npz")


@dataclass(frozen=True)
class ModelFile:
    """The description that a model file holds."""

    path: Path
    format: str
    """``keras``, ``h5``, ``saved_model``, ``version``, ``onnx``, ``skops``."""
    written_by: dict[str, str] = field(default_factory=dict)
    """Package to version, as far as the file says it."""
    config: dict[str, Any] = field(default_factory=dict)
    """The description: ``config.json``, ``model_config``, ``manifest.json``, …"""
    training: dict[str, Any] = field(default_factory=dict)
    """``training_config`` of an ``.h5`` file."""
    container: str = "file"
    """``zip``, ``h5`` or ``folder``: how a Keras model is packed, whatever its name."""


def read(path: str | Path) -> ModelFile:
    """Return the description that a model file holds.

    Raises
    ------
    StoreError
        There is nothing to read there, or nothing that is a model.
    DamagedArtifact
        It looks like a model file and cannot be read as one.
    """
    path = Path(path)
    try:
        return _folder(path) if path.is_dir() else _file(path)
    except StoreError:
        raise
    except (OSError, EOFError) as error:
        raise StoreError(f"{path.name} cannot be read: {error}.", "Look at the path.") from error
    except Exception as error:  # the file may be hostile; whatever its readers raise, it is not a model
        raise _damaged(path, f"{type(error).__name__}: {str(error)[:200]}") from error


def _folder(path: Path) -> ModelFile:
    if (path / "manifest.json").is_file():
        manifest = _json_object(_limited(path / "manifest.json"))
        versions = {str(k): str(v) for k, v in dict(manifest.get("versions", {})).items()}
        return ModelFile(path, "version", versions, manifest)
    if (path / "saved_model.pb").is_file():
        return _saved_model(path)
    if (path / "config.json").is_file() and any((path / name).is_file() for name in WEIGHTS):
        return _unzipped(path)
    message = f"{path} is a folder without a manifest.json, a saved_model.pb, or a config.json and its weights."
    raise StoreError(message, "Name a model file.")


def _unzipped(path: Path) -> ModelFile:
    """Read a model that ``save(zipped=False)`` wrote, as the Hugging Face Hub keeps them."""
    config = _json_object(_limited(path / "config.json"))
    metadata = path / "metadata.json"
    written = _stamp(_limited(metadata)) if metadata.is_file() else {}
    return ModelFile(path, "keras", written, config, container="folder")


def _file(path: Path) -> ModelFile:
    if not path.is_file():
        raise StoreError(f"There is no file {path}.", "Look at the path.")
    kind = filetype.identify_file(path)
    if kind.name == "hdf5":
        return _h5(path)
    if kind.name in ("keras", "skops"):
        return _zip(path, kind.name)
    if kind.name == "onnx" or (path.suffix == ".onnx" and kind.name == "unknown"):
        return _onnx(path)
    known = "Known are .keras, .h5, .onnx and .skops files, SavedModel folders and version folders."
    raise StoreError(f"{path.name} is not a model file that is known here, but {kind.title}.", kind.hint or known)


def _zip(path: Path, kind: str) -> ModelFile:
    with zipfile.ZipFile(path) as archive:
        if kind == "keras":
            return _keras(path, archive)
        schema = _json_object(_member(archive, "schema.json"))
        version = schema.get("_skops_version")
        return ModelFile(
            path, "skops", {"skops": str(version)} if version else {}, {"protocol": schema.get("protocol")}
        )


def _keras(path: Path, archive: zipfile.ZipFile) -> ModelFile:
    names = set(archive.namelist())
    config = _json_object(_member(archive, "config.json"))
    written = _stamp(_member(archive, "metadata.json")) if "metadata.json" in names else {}
    if not names & set(WEIGHTS):
        raise _damaged(path, f"the archive holds no {WEIGHTS[0]}")
    return ModelFile(path, "keras", written, config, container="zip")


def _stamp(text: bytes) -> dict[str, str]:
    """Return the versions of a ``metadata.json``; none where it is nonsense, because Keras never reads it either."""
    try:
        metadata = _json_object(text)
    except (ValueError, RecursionError):
        return {}
    return {key.removesuffix("_version"): str(value) for key, value in metadata.items() if key.endswith("_version")}


def _h5(path: Path) -> ModelFile:
    import h5py

    with h5py.File(path, "r") as file:
        attributes = file.attrs
        config, training = attributes.get("model_config"), attributes.get("training_config")
        version = attributes.get("keras_version", file.get("model_weights", file).attrs.get("keras_version"))
    if config is None:
        raise _damaged(path, "it holds weights only, no model_config")
    read_training = _json_object(_bytes(training)) if training is not None else {}
    written = {"keras": _bytes(version).decode()} if version is not None else {}
    return ModelFile(path, "h5", written, _json_object(_bytes(config)), read_training, container="h5")


def _saved_model(path: Path) -> ModelFile:
    graph = _first(mapped(path / "saved_model.pb"), META_GRAPH)
    info = _first(graph, META_INFO)
    version = _text(_first(info, TENSORFLOW_VERSION))
    if not version:
        raise _damaged(path, "saved_model.pb states no TensorFlow version")
    versions = dict(fields(_first(_first(graph, GRAPH), GRAPH_VERSIONS)))
    return ModelFile(path, "saved_model", {"tensorflow": version}, {"graph_versions": versions})


def _onnx(path: Path) -> ModelFile:
    numbers: dict[int, int] = {}
    written: list[str] = []
    opsets: dict[str, int] = {}
    for number, value in fields(mapped(path)):
        if number == 8 and isinstance(value, memoryview):
            pair = dict(fields(value))
            opsets[_text(pair.get(1, "")) or "ai.onnx"] = int(pair.get(2, 1))
        elif number in (2, 3) and isinstance(value, memoryview):
            written.append(_text(value))
        elif isinstance(value, int):
            numbers[number] = value
    if 1 not in numbers or not opsets:
        raise _damaged(path, "it states no ONNX version")
    # The version alone: tf2onnx writes the commit behind it, and "None" where it does not know that.
    by = {written[0]: " ".join(written[1:]).split(" ")[0] or "unknown"} if written and written[0] else {}
    return ModelFile(path, "onnx", by, {"ir_version": numbers[1], "opsets": opsets})


def mapped(path: Path) -> memoryview:
    """Return the bytes of a file without reading them: weights may follow, and only a few numbers are wanted."""
    with path.open("rb") as stream:
        if not path.stat().st_size:
            raise _damaged(path, "it is empty")
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the field numbers and values of a protocol buffer message; its whole grammar is five cases."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if not tag >> 3:  # a file of zeros would be read for ever
            raise ValueError("not a protocol buffer message")
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}.get(kind, -1)
        if size < 0 or at + size > end:
            raise ValueError("not a protocol buffer message")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("not a protocol buffer message")
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        shift += 7
        if byte < 128:
            return value, at


def _first(message: memoryview, number: int) -> memoryview:
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
            return value
    return memoryview(b"")


def _text(value: Any) -> str:
    return bytes(value[:200]).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)


def _bytes(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else str(value).encode()
    if len(data) > MAX_CONFIG:
        raise ValueError(f"its description has {len(data):,} bytes; the limit is {MAX_CONFIG:,}")
    return data


def _limited(path: Path) -> bytes:
    if path.stat().st_size > MAX_CONFIG:
        raise _damaged(path, f"it has {path.stat().st_size:,} bytes; the limit is {MAX_CONFIG:,}")
    return path.read_bytes()


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_CONFIG:
        raise ValueError(f"{name} has {archive.getinfo(name).file_size:,} bytes; the limit is {MAX_CONFIG:,}")
    with archive.open(name) as stream:
        return stream.read(MAX_CONFIG)


def _json_object(text: bytes) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, received {type(found).__name__}")
    return found


def _damaged(path: Path, why: str) -> DamagedArtifact:
    return DamagedArtifact(f"{path.name} cannot be read as a model: {why}.", "Save the model again.")
