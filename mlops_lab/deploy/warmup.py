"""Requests that TensorFlow Serving answers to itself before anybody else's, so that the first visitor does not wait.

It looks for them in the folder of a version, in ``assets.extra/tf_serving_warmup_requests``, when it loads the version.
Ours are the golden examples of the manifest: one alone, then all together. The file lies in the version's folder and
not in the deployment's: the server looks nowhere else, and into a folder that is mounted read-only no other can be
mounted. What the manifest lists stays as it is; like the card, the file stands beside it.

The file is small and its form is old and fixed, so it is written here: deploying needs neither TensorFlow nor protobuf.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact
from mlops_lab.image import to_input
from mlops_lab.store.disk import write_atomically
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.store.version import ModelVersion

FILE = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
# A request larger than the server's batches would be refused, and the version with it.
MAX_EXAMPLES = 32
DTYPES = {"float32": 1, "float64": 2, "float16": 19}


def write_warmup(version: ModelVersion) -> Path:
    """Write the warm-up requests of a version beside what its manifest lists; the same again changes nothing.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    path, content = version.path / FILE, to_records(requests(version.manifest))
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)
    return path


def requests(manifest: ModelManifest) -> list[bytes]:
    """Return the golden examples as requests: the first alone, as most are, then all in one batch.

    Each is a ``PredictionLog`` with a ``PredictRequest`` in it, as protobuf writes them.
    """
    batch = to_input(manifest.golden.inputs[:MAX_EXAMPLES], manifest.input)
    batches = [batch[:1], batch] if len(batch) > 1 else [batch]
    return [_prediction_log(manifest.name, manifest.input.name, tensor) for tensor in batches]


def _prediction_log(model: str, name: str, tensor: NDArray[np.floating]) -> bytes:
    # The numbers are those of tensorflow_serving/apis/{prediction_log,predict,model}.proto and tensor.proto.
    sides = b"".join(_field(2, _field(1, side)) for side in tensor.shape)
    little = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
    value = _field(1, DTYPES[tensor.dtype.name]) + _field(2, sides) + _field(4, little.tobytes())
    spec = _field(1, model.encode()) + _field(3, b"serving_default")
    request = _field(1, spec) + _field(2, _field(1, name.encode()) + _field(2, value))
    return _field(6, _field(1, request))


def _field(number: int, value: int | bytes) -> bytes:
    """Return one field of a protobuf message: a whole number, or bytes with their length before them."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def to_records(records: list[bytes]) -> bytes:
    """Return a TFRecord file: before each record its length, and a checksum after both.

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
        It is cut short, or a checksum does not fit.
    """
    start = 0
    while start < len(content):
        length = content[start : start + 8]
        end = start + 12 + int.from_bytes(length, "little")
        record = content[start + 12 : end]
        if content[start + 8 : start + 12] != _checksum(length) or content[end : end + 4] != _checksum(record):
            message = f"The TFRecord file is damaged: the record at byte {start} does not fit its checksum."
            raise DamagedArtifact(message, "Write it again: mlops-lab deploy tfserving.")
        yield record
        start = end + 4


def _checksum(data: bytes) -> bytes:
    """Return the CRC-32C of bytes, turned and shifted as TFRecord wants it so that checksums can be checksummed."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    """Return what each byte does to a CRC-32C."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)
