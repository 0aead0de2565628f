"""Recognise pickles, whatever they are called and however they are packed, without running one opcode."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import zlib
from collections.abc import Callable, Iterator

from mlops_lab.filetype import is_pickle, printable
from mlops_lab.store.safety.report import AuditRefusal

LOOK = 64 * 1024  # how much is unpacked or read to recognise a pickle
OPCODES = 2_000
NUMPY = b"\x93NUMPY"


def judge_pickle(data: bytes) -> None:
    """Refuse bytes that a pickle reader, or joblib's, would run."""
    if is_pickle(data):
        raise AuditRefusal("pickle", f"This is a pickle{_calls(data)}.")
    unpacked = _unpack(data)
    if unpacked and is_pickle(unpacked):
        raise AuditRefusal("pickle_compressed", f"This is a compressed pickle, as joblib writes it{_calls(unpacked)}.")
    if unpacked:
        raise AuditRefusal("unknown_format", "This is a compressed file of no kind that is read here.")


def judge_numpy(data: bytes) -> None:
    """Refuse a NumPy file: as a pickle when it holds objects, as no model otherwise."""
    header = data[:4096]
    if b"'|O'" in header or b"'O'" in header or b'"O"' in header or b'"|O"' in header:
        raise AuditRefusal("numpy_object", "This NumPy file holds Python objects, so reading it runs a pickle.")
    raise AuditRefusal("not_a_model", "This is a NumPy file of numbers.")


def _opcodes(data: bytes) -> Iterator[tuple[str, object]]:
    stream = io.BytesIO(data[:LOOK])
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            yield opcode.name, argument
            if count > OPCODES:
                return
    except Exception:  # not a pickle, or cut off: what was seen so far decides
        return


def _calls(data: bytes) -> str:
    """Return the first functions and classes that the pickle names."""
    names: list[str] = []
    words: list[str] = []
    for name, argument in _opcodes(data):
        if name in ("GLOBAL", "INST"):
            names.append(str(argument).replace(" ", "."))
        elif name == "STACK_GLOBAL" and len(words) > 1:
            names.append(".".join(words[-2:]))
        elif isinstance(argument, str):
            words.append(argument)
    return f" that calls for {printable(', '.join(names[:4]), 120)}" if names else ""


def _unpack(data: bytes) -> bytes:
    """Return the first bytes of a compressed file, or nothing."""
    for start, unpack in UNPACKERS.items():
        if data.startswith(start):
            try:
                return unpack(data)[:LOOK]
            except Exception:  # damaged, or another format with the same first bytes
                return data[:1] if start not in WEAK else b""
    if data.startswith(LZ4):
        return data[:1]
    return b""


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, LOOK)


def _stream(opener: Callable[[io.BytesIO], io.BufferedIOBase]) -> Callable[[bytes], bytes]:
    def unpack(data: bytes) -> bytes:
        with opener(io.BytesIO(data)) as file:
            return file.read(LOOK)

    return unpack


def _old_joblib(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data[21:], LOOK)  # "ZF" and the length in hexadecimal


LZ4 = b"\x04\x22\x4d\x18"
WEAK = (b"\x78", b"\x5d\x00\x00")
UNPACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _stream(lambda raw: gzip.GzipFile(fileobj=raw)),
    b"BZh": _stream(bz2.BZ2File),
    b"\xfd7zXZ": _stream(lzma.LZMAFile),
    b"\x5d\x00\x00": _stream(lzma.LZMAFile),
    b"ZF0x": _old_joblib,
    b"\x78": _inflate,
}
