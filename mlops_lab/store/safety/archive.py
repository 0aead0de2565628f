"""Read a zip archive so strictly that every reader would see the same members.

``zipfile`` forgives: bytes before and after the archive, two members of one name, headers that contradict each other.
Each is a way to show a scanner one model and Keras another. Here the archive must be exactly its members, one after
the other, then the central directory, then its end.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass

from mlops_lab.filetype import printable
from mlops_lab.store.safety.report import AuditRefusal

MAX_MEMBERS = 64
MAX_RATIO = 20
FREE_RATIO = 2**20  # a member this small may compress as well as it likes
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
LOCATOR64 = b"PK\x06\x07"
# Extra fields that only date a member or name its owner, as zip programs write them: Unix and NTFS.
HARMLESS_EXTRAS = {0x5455, 0x5855, 0x7855, 0x7875, 0x000A}
FORBIDDEN_FLAGS = 0xFFFF & ~(0x0800 | 0x0006)  # a UTF-8 name and deflate's level are all that may be set


@dataclass(frozen=True)
class Member:
    """One file inside the archive."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    start: int
    """The offset of its first byte."""


def looks_zipped(data: bytes) -> bool:
    """Return whether some zip reader would find an archive in these bytes."""
    return data[:4] in (LOCAL, END) or END in data[-(22 + 65535) :]


def read_members(data: bytes, *, max_members: int = MAX_MEMBERS) -> dict[str, Member]:
    """Return the members by name, or refuse the archive."""
    count, size, offset = _end(data)
    if count > max_members:
        raise AuditRefusal("zip_members", f"The archive has {count:,} members; the limit is {max_members}.")
    raw = _central(data, count, size, offset)
    _names(raw)
    members = [_local(data, member, offset) for member in raw]
    _layout(members, offset)
    return {member.name: member for member in members}


def _end(data: bytes) -> tuple[int, int, int]:
    if data[:4] not in (LOCAL, END):
        raise AuditRefusal("zip_prefix", f"The archive starts with other bytes: {printable(repr(data[:12]))}.")
    at = data.rfind(END)
    if at < 0 or len(data) < at + 22:
        raise AuditRefusal("zip_truncated", "The archive has no end: the file was cut short.")
    disk, first, here, count, size, offset, comment = struct.unpack("<4H2IH", data[at + 4 : at + 22])
    if comment:
        raise AuditRefusal("zip_comment", f"The archive carries a comment of {comment:,} bytes.")
    if at + 22 != len(data):
        raise AuditRefusal("zip_trailing", f"{len(data) - at - 22:,} bytes follow the end of the archive.")
    if data[at - 20 : at - 16] == LOCATOR64 or 0xFFFF in (here, count) or 0xFFFFFFFF in (size, offset):
        raise AuditRefusal("zip_zip64", "The archive uses zip64, which no file this small needs.")
    if disk or first or here != count:
        raise AuditRefusal("zip_header", "The end of the archive contradicts itself.")
    _directory(at, size, offset)
    return count, size, offset


def _directory(end: int, size: int, offset: int) -> None:
    if offset + size < end:
        raise AuditRefusal("zip_gap", "There are hidden bytes between the directory of the archive and its end.")
    if offset + size > end:
        raise AuditRefusal("zip_header", "The directory of the archive would reach past its end.")


def _central(data: bytes, count: int, size: int, offset: int) -> list[Member]:
    members = []
    at, end = offset, offset + size
    for _ in range(count):
        if at + 46 > end or data[at : at + 4] != CENTRAL:
            raise AuditRefusal("zip_header", "The directory of the archive is damaged.")
        (_, made, _, flags, method, _, _, crc, packed, length, names, extra, comment, disk, _, mode, start) = (
            struct.unpack("<4s6H3I5H2I", data[at : at + 46])
        )
        name = _name(data[at + 46 : at + 46 + names])
        fields = data[at + 46 + names : at + 46 + names + extra]
        _entry(name, flags, method, mode, made >> 8, disk, fields, comment, (packed, length, start))
        members.append(Member(name, method, crc, packed, length, start, 0))
        at += 46 + names + extra + comment
    if at != end:
        raise AuditRefusal("zip_gap", "There are hidden bytes in the directory of the archive.")
    return members


def _name(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise AuditRefusal("zip_name", "A member's name is not plain ASCII.", printable(repr(raw))) from None


def _entry(
    name: str,
    flags: int,
    method: int,
    mode: int,
    system: int,
    disk: int,
    extra: bytes,
    comment: int,
    sizes: tuple[int, ...],
) -> None:
    if flags & 0x2041:
        raise AuditRefusal("zip_encrypted", "A member is encrypted, so it cannot be judged.", name)
    if flags & FORBIDDEN_FLAGS or disk:
        raise AuditRefusal("zip_flags", f"A member has the unusual flags 0x{flags:04x}.", name)
    if method not in (0, 8):
        raise AuditRefusal(
            "zip_compression", f"A member is compressed by method {method}; stored and deflate are read.", name
        )
    if 0xFFFFFFFF in sizes:
        raise AuditRefusal("zip_zip64", "A member uses zip64, which no file this small needs.", name)
    if comment or not _harmless(extra):
        raise AuditRefusal("zip_extra", "A member carries a comment, or extra fields other than its times.", name)
    kind = stat.S_IFMT(mode >> 16) if system == 3 else 0
    if kind == stat.S_IFLNK:
        raise AuditRefusal("zip_symlink", "A member is a symbolic link.", name)
    if name.endswith("/") or kind == stat.S_IFDIR or mode & 0x10:
        raise AuditRefusal("zip_directory", "A member is a folder; Keras writes none.", name)
    if kind not in (0, stat.S_IFREG):
        raise AuditRefusal("zip_special", "A member is not a regular file.", name)


def _harmless(extra: bytes) -> bool:
    """Return whether extra fields are whole and hold only times and owners."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind not in HARMLESS_EXTRAS:
            return False
        at += 4 + size
    return at == len(extra)


def _names(members: list[Member]) -> None:
    seen: set[str] = set()
    lowered: set[str] = set()
    for name in (member.name for member in members):
        if not name or any(ord(c) < 32 or ord(c) == 127 for c in name):
            raise AuditRefusal("zip_name", "A member's name is empty or holds control characters.", name)
        if "\\" in name or ":" in name or name.startswith("/"):
            raise AuditRefusal("zip_path", "A member's name is an absolute or foreign path.", name)
        if any(part in ("", ".", "..") for part in name.split("/")):
            raise AuditRefusal("zip_path", "A member's name climbs out of the archive.", name)
        if name in seen:
            raise AuditRefusal("zip_duplicate", "Two members have one name, so two readers would see two models.", name)
        if name.lower() in lowered:
            raise AuditRefusal("zip_case", "Two members' names differ only by case.", name)
        seen.add(name)
        lowered.add(name.lower())


def _local(data: bytes, member: Member, directory: int) -> Member:
    at = member.offset
    if at + 30 > directory or data[at : at + 4] != LOCAL:
        raise AuditRefusal("zip_header", "A member does not begin where the directory says.", member.name)
    _, _, flags, method, _, _, crc, packed, size, names, extra = struct.unpack("<4s5H3I2H", data[at : at + 30])
    name = data[at + 30 : at + 30 + names]
    if 0xFFFFFFFF in (packed, size):
        raise AuditRefusal("zip_zip64", "A member uses zip64, which no file this small needs.", member.name)
    if (name, method, crc, packed, size) != (
        member.name.encode(),
        member.method,
        member.crc,
        member.packed,
        member.size,
    ):
        raise AuditRefusal("zip_header", "A member's own header contradicts the directory.", member.name)
    fields = data[at + 30 + names : at + 30 + names + extra]
    if flags & FORBIDDEN_FLAGS or len(fields) != extra or not _harmless(fields):
        raise AuditRefusal("zip_header", "A member's own header contradicts the directory.", member.name)
    return Member(member.name, method, crc, packed, size, at, at + 30 + names + extra)


def _layout(members: list[Member], directory: int) -> None:
    at = 0
    for member in sorted(members, key=lambda m: m.offset):
        if member.offset < at:
            raise AuditRefusal("zip_overlap", "Two members share the same bytes.", member.name)
        if member.offset > at:
            raise AuditRefusal("zip_gap", "There are hidden bytes between the members.", member.name)
        at = member.start + member.packed
    if at > directory:
        raise AuditRefusal("zip_overlap", "A member reaches into the directory of the archive.")
    if at < directory:
        raise AuditRefusal("zip_gap", "There are hidden bytes before the directory of the archive.")


def extract(data: bytes, member: Member, limit: int) -> bytes:
    """Return a member's bytes, never more than it declares, with its checksum verified."""
    if member.size > limit:
        raise AuditRefusal(
            "zip_member_size", f"The member declares {member.size:,} bytes; the limit is {limit:,}.", member.name
        )
    if member.size > FREE_RATIO and member.size > MAX_RATIO * max(member.packed, 1):
        message = f"{member.packed:,} bytes would become {member.size:,}: a decompression bomb."
        raise AuditRefusal("zip_bomb", message, member.name)
    raw = data[member.start : member.start + member.packed]
    content = raw if member.method == 0 else _inflate(raw, member)
    if len(content) != member.size:
        raise AuditRefusal("zip_size", "A member is not as long as it declares.", member.name)
    if zlib.crc32(content) != member.crc:
        raise AuditRefusal("zip_crc", "A member does not match its checksum: the file is damaged.", member.name)
    return content


def _inflate(raw: bytes, member: Member) -> bytes:
    machine = zlib.decompressobj(-15)
    try:
        content = machine.decompress(raw, member.size + 1)
    except zlib.error:
        raise AuditRefusal("zip_deflate", "A member's compressed bytes are damaged.", member.name) from None
    if not machine.eof or machine.unused_data or machine.unconsumed_tail:
        raise AuditRefusal("zip_size", "A member is not as long as it declares.", member.name)
    return content
