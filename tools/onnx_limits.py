"""Ask the installed ONNX Runtime for the newest operator set and file version that it takes.

The answers of many releases are ``ONNX_LIMITS`` in ``mlops_lab/store/compat/other_formats.py``. For another release:
``uv run --no-project --with onnxruntime==1.33.0 python tools/onnx_limits.py``.
"""

from __future__ import annotations

import contextlib

import onnxruntime


def varint(number: int) -> bytes:
    """Return a number as a protocol buffer writes it."""
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def number(field: int, value: int) -> bytes:
    """Return a field that is a number."""
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes) -> bytes:
    """Return a field that is text or a message."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def smallest(ir_version: int, opset: int) -> bytes:
    """Return a model of one Identity, with those version numbers."""
    kind = block(2, block(1, number(1, 1) + block(2, block(1, number(1, 2)))))
    node = block(1, block(1, b"x") + block(2, b"y") + block(4, b"Identity"))
    ends = block(11, block(1, b"x") + kind) + block(12, block(1, b"y") + kind)
    return number(1, ir_version) + block(7, node + block(2, b"g") + ends) + block(8, block(1, b"") + number(2, opset))


def takes(ir_version: int, opset: int) -> bool:
    """Return whether the runtime loads such a model."""
    with contextlib.suppress(Exception):
        onnxruntime.InferenceSession(smallest(ir_version, opset), providers=["CPUExecutionProvider"])
        return True
    return False


if __name__ == "__main__":
    onnxruntime.set_default_logger_severity(4)
    newest_opset = max(opset for opset in range(7, 64) if takes(3, opset))
    newest_ir = max(ir for ir in range(3, 48) if takes(ir, 13))
    print(f"onnxruntime {onnxruntime.__version__}: operator set {newest_opset}, file version {newest_ir}")
