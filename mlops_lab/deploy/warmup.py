"""Warm-up requests for TensorFlow Serving, so that the first client does not wait.

When TensorFlow Serving loads a version, it reads ``assets.extra/tf_serving_warmup_requests`` in its folder and
runs the requests in it. These are the golden examples of the manifest: the first one alone, then all in one batch. The
file is in the version's folder and not in the deployment's, because the server reads no other place, and nothing can be
mounted into a folder that is mounted read-only. The files that the manifest lists do not change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab.deploy.serving_messages import message_class
from mlops_lab.errors import DamagedArtifact
from mlops_lab.files import write_atomically
from mlops_lab.image import to_input
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.store.version import ModelVersion

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
# The server rejects a request that is larger than its batches, and the version with it.
MAX_EXAMPLES = 32
DTYPES = {"float32": 1, "float64": 2, "float16": 19}


def write_warmup(version: ModelVersion) -> Path:
    """Write the warm-up requests into the folder of a version; an identical file is left as it is.

    Raises
    ------
    StoreError
        The folder cannot be written.
    MissingPackage
        protobuf is not installed.
    """
    path, content = version.path / FILE, to_records(requests(version.manifest))
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)
    return path


def requests(manifest: ModelManifest) -> list[bytes]:
    """Return the golden examples as requests: the first alone, then all in one batch.

    Each is the bytes of a ``PredictionLog`` that holds a ``PredictRequest``.
    """
    batch = to_input(manifest.golden.inputs[:MAX_EXAMPLES], manifest.input)
    batches = [batch[:1], batch] if len(batch) > 1 else [batch]
    return [_prediction_log(manifest.name, manifest.input.name, tensor) for tensor in batches]


def _prediction_log(model: str, name: str, tensor: NDArray[np.floating]) -> bytes:
    log = message_class("PredictionLog")()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model, "serving_default"
    value = request.inputs.add(key=name).value
    value.dtype = DTYPES[tensor.dtype.name]
    for side in tensor.shape:
        value.tensor_shape.dim.add(size=side)
    value.tensor_content = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()
    return bytes(log.SerializeToString(deterministic=True))


def to_records(records: list[bytes]) -> bytes:
    """Return the bytes of a TFRecord file: each record follows its length, and a checksum follows each of the two.

    Examples
    --------
    >>> list(read_records(to_records([b"one", b"two"])))
    [b'one', b'two']
    """
    framed = []
    for record in records:
        length = struct.pack("<Q", len(record))
        framed += [length, _checksum(length), record, _checksum(record)]
    return b"".join(framed)


def read_records(content: bytes) -> Iterator[bytes]:
    """Return the records of a TFRecord file.

    Raises
    ------
    DamagedArtifact
        The file is truncated, or a checksum does not match.
    """
    start = 0
    while start < len(content):
        length = content[start : start + 8]
        end = start + 12 + int.from_bytes(length, "little")
        record = content[start + 12 : end]
        if content[start + 8 : start + 12] != _checksum(length) or content[end : end + 4] != _checksum(record):
            message = f"The TFRecord file is damaged: the record at byte {start} does not match its checksum."
            raise DamagedArtifact(message, "Write it again: mlops-lab deploy tfserving.")
        yield record
        start = end + 4


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of the TFRecord format."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    """Return the lookup table of CRC-32C."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)
