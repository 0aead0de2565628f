"""A good LeNet-5 file made by hand, and the knife that makes it hostile: a zip writer that can lie."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Content = bytes | dict[str, bytes] | Callable[[Path], object]
SHAPES = {
    "conv2d": ((5, 5, 1, 6), (6,)),
    "conv2d_1": ((5, 5, 6, 16), (16,)),
    "dense": ((256, 120), (120,)),
    "dense_1": ((120, 84), (84,)),
    "dense_2": ((84, 10), (10,)),
}
METADATA = b'{"keras_version": "3.15.1", "date_saved": "2026-11-23@05:18:04"}'
FILE_MODE = 0o100600 << 16


@dataclass(frozen=True)
class Case:
    """One hostile file: what it is called, which code must refuse it, and its content."""

    name: str
    code: str
    content: Content

    def write(self, folder: Path) -> Path:
        """Write the file, folder or special file, and return its path."""
        path = folder / self.name
        if callable(self.content):
            self.content(path)
        elif isinstance(self.content, dict):
            for name, data in self.content.items():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_bytes(data)
        else:
            path.write_bytes(self.content)
        return path


def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
    """Return a layer as Keras 3 writes it."""
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}, "registered_name": None}


def lenet_layers() -> list[dict[str, Any]]:
    """Return LeNet-5's layers."""
    conv = {"kernel_size": [5, 5], "strides": [1, 1], "padding": "valid", "activation": "relu", "use_bias": True}
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
    return [
        layer("InputLayer", "input_layer", batch_shape=[None, 28, 28, 1], dtype="float32"),
        layer("Conv2D", "conv2d", filters=6, **conv),
        layer("AveragePooling2D", "average_pooling2d", **pool),
        layer("Conv2D", "conv2d_1", filters=16, **conv),
        layer("AveragePooling2D", "average_pooling2d_1", **pool),
        layer("Flatten", "flatten"),
        layer("Dense", "dense", units=120, activation="relu", use_bias=True),
        layer("Dense", "dense_1", units=84, activation="relu", use_bias=True),
        layer("Dense", "dense_2", units=10, activation="softmax", use_bias=True),
    ]


def model(layers: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a Sequential model's configuration."""
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "lenet", "layers": list(layers), **more},
        "registered_name": None,
    }


def config_bytes(config: Any = None) -> bytes:
    """Return a configuration as JSON; LeNet-5's own by default."""
    text = getattr(config, "text", None)  # JSON that was too deep for json.dumps
    return text.encode() if text else json.dumps(model(lenet_layers()) if config is None else config).encode()


def h5(edit: Callable[[h5py.File], None] | None = None, **options: Any) -> bytes:
    """Return LeNet-5's weights file, edited."""
    buffer = io.BytesIO()
    random = np.random.default_rng(0)
    with h5py.File(buffer, "w", **options) as file:
        for name, shapes in SHAPES.items():
            group = file.create_group(f"layers/{name}/vars")
            for index, shape in enumerate(shapes):
                group[str(index)] = random.normal(0, 0.1, shape).astype("float32")
        for name in ("flatten", "average_pooling2d", "average_pooling2d_1"):
            file.create_group(f"layers/{name}/vars")
        file["optimizer/vars/0"] = np.int64(1)
        if edit:
            edit(file)
    return buffer.getvalue()


@cache
def good_h5() -> bytes:
    """Return LeNet-5's weights file as it is, made once for all the files that hold it."""
    return h5()


@dataclass
class Member:
    """A member of an archive; every header field can be made to lie."""

    name: str
    data: bytes
    method: int = 0
    flags: int = 0
    mode: int = FILE_MODE
    crc: int | None = None
    size: int | None = None
    packed: int | None = None
    local: tuple[str, int, int] | None = None
    """The local header's own (name, crc offset, size offset)."""
    extra: bytes = b""
    raw: bytes | None = None


def deflate(data: bytes) -> bytes:
    """Return the bytes as zip's method 8 stores them."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


def zipped(
    members: Sequence[Member],
    *,
    prefix: bytes = b"",
    suffix: bytes = b"",
    comment: bytes = b"",
    gap: bytes = b"",
    shift: int | None = None,
    offsets: dict[int, int] | None = None,
    count: int | None = None,
) -> bytes:
    """Return an archive; ``shift`` is added to offsets (the prefix's length by default), ``offsets`` overrides some."""
    body, central, shift = bytearray(), bytearray(), len(prefix) if shift is None else shift
    for index, item in enumerate(members):
        raw = item.raw if item.raw is not None else deflate(item.data) if item.method == 8 else item.data
        crc = zlib.crc32(item.data) if item.crc is None else item.crc
        size = len(item.data) if item.size is None else item.size
        packed = len(raw) if item.packed is None else item.packed
        start = len(body) + shift
        where = (offsets or {}).get(index, start)
        name, crc_off, size_off = item.local or (item.name, 0, 0)
        how, title = (item.flags, item.method, 0, 33), item.name.encode()
        sizes = (crc ^ crc_off, packed, size + size_off, len(name.encode()), len(item.extra))
        body += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, *how, *sizes) + name.encode() + item.extra + raw + gap
        rest = (crc, packed, size, len(title), len(item.extra), 0, 0, 0, item.mode, where)
        central += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 0x0314, 20, *how, *rest) + title + item.extra
    total = len(members) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, total, total, len(central), len(body) + shift, len(comment))
    return prefix + bytes(body) + bytes(central) + end + comment + suffix


def parts(*, metadata: bytes = METADATA, config: bytes | None = None, weights: bytes | None = None) -> list[Member]:
    """Return the three members of a ``.keras`` file."""
    return [
        Member("metadata.json", metadata),
        Member("config.json", config_bytes() if config is None else config),
        Member("model.weights.h5", good_h5() if weights is None else weights),
    ]


def keras(*, metadata: bytes = METADATA, config: bytes | None = None, weights: bytes | None = None) -> bytes:
    """Return a ``.keras`` file: the good LeNet-5, with one part replaced."""
    return zipped(parts(metadata=metadata, config=config, weights=weights))
