"""Bytes of HTTP/2 for a gRPC call that has begun and does not go on: head, and the start of a message."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def begun_call(path: str, stream: int = 1) -> bytes:
    """Return the head of a call, and three bytes of its message of a hundred."""
    fields = [
        *((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")),
        *(("content-type", "application/grpc"), ("te", "trailers")),
    ]
    head = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields
    )
    message = b"\0" + struct.pack(">I", 100) + b"abc"
    return frame(1, 4, stream, head) + frame(0, 0, stream, message)


def begun_connection(path: str) -> bytes:
    """Return what opens a connection, and begins a call on it."""
    return PREFACE + frame(4, 0, 0, b"") + begun_call(path)
