"""A pool of message descriptors that nobody else registers in."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for known in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    return pool


def register(serialized: bytes) -> dict[str, Any]:
    """Register a serialized ``FileDescriptorProto`` and return the classes of its messages by name."""
    file = _pool().AddSerializedFile(serialized)
    return {name: GetMessageClass(message) for name, message in file.message_types_by_name.items()}
