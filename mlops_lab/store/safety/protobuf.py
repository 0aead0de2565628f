"""Read the wire format of protocol buffers: field numbers and values, without generated classes.

ONNX and SavedModel files are protocol buffers. A hundred lines are enough to see everything in them, and no library
allocates what a lying length asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_lab.store.safety.report import AuditRefusal

Value = int | memoryview
Field = tuple[int, int, Value]
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 2_000_000


class Message:
    """The fields of one message, read once."""

    def __init__(self, data: memoryview | bytes, where: str = "") -> None:
        self.where = where
        self.fields: dict[int, list[tuple[int, Value]]] = {}
        for number, wire, value in fields(memoryview(data), where):
            self.fields.setdefault(number, []).append((wire, value))

    def messages(self, number: int) -> Iterator[Message]:
        """Yield the messages of a repeated field."""
        for item in self.parts(number):
            yield Message(item, self.where)

    def parts(self, number: int) -> list[memoryview]:
        """Return the bytes of a length-delimited field, each time it comes."""
        values = self.fields.get(number, [])
        if any(wire != BYTES for wire, _ in values):
            raise AuditRefusal("protobuf", f"Field {number} has the wrong wire type.", self.where)
        return [value for _, value in values if isinstance(value, memoryview)]

    def text(self, number: int) -> str:
        """Return the last value of a string field; empty when it is absent."""
        found = self.parts(number)
        return _text(found[-1], self.where) if found else ""

    def texts(self, number: int) -> list[str]:
        """Return every value of a string field."""
        return [_text(item, self.where) for item in self.parts(number)]

    def numbers(self, number: int) -> list[int]:
        """Return the whole numbers of a field, packed or not, as signed 64-bit values."""
        found: list[int] = []
        for wire, value in self.fields.get(number, []):
            if isinstance(value, int):
                found.append(_signed(value))
            elif wire == BYTES:
                found += _packed(value, self.where)
        return found

    def number(self, number: int, default: int = 0) -> int:
        """Return the last value of a whole-number field."""
        found = self.numbers(number)
        return found[-1] if found else default


def _text(raw: memoryview, where: str) -> str:
    try:
        return bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise AuditRefusal("protobuf", "A name is not valid UTF-8.", where) from None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _packed(data: memoryview, where: str) -> list[int]:
    found, at = [], 0
    while at < len(data):
        value, at = _varint(data, at, where)
        found.append(_signed(value))
    return found


def fields(data: memoryview, where: str) -> Iterator[Field]:
    """Yield (number, wire type, value) for every field of a message."""
    at, count, end = 0, 0, len(data)
    while at < end:
        key, at = _varint(data, at, where)
        number, wire = key >> 3, key & 7
        count += 1
        if not number or count > MAX_FIELDS:
            raise AuditRefusal("protobuf", "The message has a field without a number, or far too many fields.", where)
        value: Value
        if wire == VARINT:
            value, at = _varint(data, at, where)
        elif wire in (BYTES, FIXED32, FIXED64):
            size, at = _varint(data, at, where) if wire == BYTES else (4 if wire == FIXED32 else 8, at)
            if size > end - at:
                raise AuditRefusal("protobuf", f"A field declares {size:,} bytes and {end - at:,} are left.", where)
            value = data[at : at + size]
            at += size
        else:
            raise AuditRefusal("protobuf", f"Wire type {wire} is not used by any model.", where)
        yield number, wire, value


def _varint(data: memoryview, at: int, where: str) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
    raise AuditRefusal("protobuf", "The message ends in the middle of a number.", where)
