"""Hostile zip archives around a good model, and stamps that lie."""

from __future__ import annotations

import bz2
import io
import json
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from hostile_base import METADATA, Case, Member, config_bytes, deflate, keras, parts, zipped

DIRECTORY_MODE, LINK_MODE, PIPE_MODE = 0o040755 << 16, 0o120777 << 16, 0o010600 << 16


def cases() -> list[Case]:
    """Return the archives."""
    return [*_members(), *_names(), *_outside(), *_headers(), *_bombs(), *_damage(), *_stamps(), *_special()]


def _with(name: str, code: str, *extra: Member, **options: object) -> Case:
    return Case(f"zip_{name}.keras", code, zipped([*parts(), *extra], **options))  # type: ignore[arg-type]


def _written(make: Callable[[], bytes]) -> Callable[[Path], object]:
    """Return content that is made when the file is written: what takes long to make is not made for its name alone."""
    return lambda path: path.write_bytes(make())


def _members() -> list[Case]:
    other = config_bytes().replace(b"softmax", b"sigmoid")
    assets = Member("assets/vocabulary.txt", b"a\nb\n")
    return [
        _with("duplicate_config", "zip_duplicate", Member("config.json", other)),
        _with("duplicate_weights", "zip_duplicate", Member("model.weights.h5", b"")),
        _with("case_variant", "zip_case", Member("Config.JSON", other)),
        _with("extra_python", "zip_unexpected_member", Member("sitecustomize.py", b"import os")),
        _with("extra_asset", "zip_unexpected_member", assets),
        _with("symlink", "zip_symlink", Member("assets/x", b"/etc/hostname", mode=LINK_MODE)),
        _with("directory", "zip_directory", Member("assets/", b"", mode=DIRECTORY_MODE | 0x10)),
        _with("named_pipe", "zip_special", Member("assets/x", b"", mode=PIPE_MODE)),
        _with("encrypted", "zip_encrypted", Member("assets/x", b"secret", flags=1)),
        _with("strong_encryption", "zip_encrypted", Member("assets/x", b"secret", flags=0x41)),
        _with("data_descriptor", "zip_flags", Member("assets/x", b"", flags=8)),
        _with("patch_data", "zip_flags", Member("assets/x", b"", flags=0x20)),
        _with("bzip2", "zip_compression", Member("assets/x", b"x", method=12, raw=bz2.compress(b"x"))),
        _with("lzma", "zip_compression", Member("assets/x", b"x", method=14, raw=b"\x09\x04\x05\0]\0\0\0\4x")),
        _with("method_99", "zip_compression", Member("assets/x", b"x", method=99)),
        _with("extra_field", "zip_extra", Member("assets/x", b"x", extra=b"up\x05\0\x01\0\0\0\0")),
        _with("extra_cut_short", "zip_extra", Member("assets/x", b"x", extra=b"UT\x09\0\x01")),
        Case("zip_60000_members.keras", "zip_members", _written(lambda: _many(60_000))),
        Case("zip_100000_members.keras", "zip_zip64", _written(lambda: _many_by_python(100_000))),
        Case("zip_65_members.keras", "zip_members", _many(65)),
        Case("zip_no_config.keras", "zip_missing_member", zipped([parts()[0], parts()[2]])),
        Case("zip_no_weights.keras", "zip_missing_member", zipped(parts()[:2])),
        Case("zip_empty_archive.keras", "zip_missing_member", zipped([])),
    ]


def _many(count: int) -> bytes:
    return zipped([Member(f"a{i}", b"") for i in range(count)])


def _many_by_python(count: int) -> bytes:
    """More members than the plain format can count, so Python's writer turns to zip64."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(count):
            archive.writestr(zipfile.ZipInfo(f"a{index}"), b"")
    return buffer.getvalue()


def _names() -> list[Case]:
    bad = {
        "absolute": ("/etc/cron.d/x", "zip_path"),
        "parent": ("../x", "zip_path"),
        "deep_parent": ("assets/../../x", "zip_path"),
        "dot": ("./config.json", "zip_path"),
        "double_slash": ("assets//x", "zip_path"),
        "backslash": ("..\\x", "zip_path"),
        "drive": ("C:x", "zip_path"),
        "nul": ("config.json\0.txt", "zip_name"),
        "newline": ("config.json\n", "zip_name"),
        "unicode": ("ⅽonfig.json", "zip_name"),
        "empty": ("", "zip_name"),
    }
    return [_with(f"name_{key}", code, Member(name, b"x")) for key, (name, code) in bad.items()]


def _outside() -> list[Case]:
    script = b"#!/bin/sh\nexit 0\n"
    good = keras()
    return [
        _with("prefix_script", "zip_prefix", prefix=script),
        _with("prefix_unshifted", "zip_prefix", prefix=script, shift=0),
        Case("zip_prefix_elf.keras", "zip_prefix", b"\x7fELF" + bytes(60) + good),
        _with("suffix", "zip_trailing", suffix=b"more"),
        _with("suffix_html", "zip_trailing", suffix=b"<script>1</script>"),
        _with("comment", "zip_comment", comment=b"hello"),
        _with("comment_64k", "zip_comment", comment=bytes(65_535)),
        _with("gap", "zip_gap", gap=b"hidden"),
        Case("zip_two_archives.keras", "zip_gap", good + keras(config=config_bytes().replace(b"relu", b"tanh"))),
    ]


def _headers() -> list[Case]:
    def lying(**change: object) -> list[Member]:
        first, second, third = parts()
        return [first, Member(second.name, second.data, **change), third]  # type: ignore[arg-type]

    good, size = zipped(parts()), len(config_bytes())
    first = 30 + len("metadata.json") + len(METADATA)
    zip64 = struct.pack("<HHQQ", 1, 16, size, size)
    locator = b"PK\x06\x07" + bytes(16)
    return [
        Case("zip_local_name.keras", "zip_header", zipped(lying(local=("konfig.json", 0, 0)))),
        Case("zip_local_crc.keras", "zip_header", zipped(lying(local=("config.json", 1, 0)))),
        Case("zip_local_size.keras", "zip_header", zipped(lying(local=("config.json", 0, 7)))),
        Case("zip_offset_outside.keras", "zip_header", zipped(parts(), offsets={1: 2**31})),
        Case("zip_overlap_same.keras", "zip_header", zipped(parts(), offsets={1: 0})),
        Case("zip_overlap_fifield.keras", "zip_overlap", _fifield()),
        Case("zip_zip64_size.keras", "zip_zip64", zipped(lying(size=0xFFFFFFFF, extra=zip64))),
        Case("zip_zip64_locator.keras", "zip_zip64", good[:-22] + locator + good[-22:]),
        Case("zip_zip64_count.keras", "zip_zip64", zipped(parts(), count=0xFFFF)),
        Case("zip_count_low.keras", "zip_gap", zipped(parts(), count=2)),
        Case("zip_count_high.keras", "zip_header", zipped(parts(), count=4)),
        Case("zip_second_disk.keras", "zip_header", good[:-18] + b"\x01\0" + good[-16:]),
        Case("zip_declares_less.keras", "zip_size", zipped(lying(size=10))),
        Case("zip_declares_more.keras", "zip_size", zipped(lying(size=size + 10, method=8))),
        Case("zip_deflate_junk.keras", "zip_deflate", zipped(lying(method=8, raw=b"\xff" * 60))),
        Case("zip_no_first_header.keras", "zip_prefix", b"XXXX" + good[4:]),
        Case("zip_bad_second_header.keras", "zip_header", good[:first] + b"XXXX" + good[first + 4 :]),
    ]


def _fifield() -> bytes:
    """Two members share one stream: the first one's data begins with the second's header (David Fifield, 2019)."""
    inner = zipped([Member("b", b"x" * 40)])[: 30 + 1 + 40]
    return zipped([Member("a", inner), Member("b", b"x" * 40)], offsets={1: 31})[:]


def _bombs() -> list[Case]:
    first, second, third = parts()
    spaces = config_bytes() + b" " * 9_000_000

    def large_config() -> bytes:
        return zipped([first, Member("config.json", spaces + b" " * 191_000_000, method=8), third])

    def large_weights() -> bytes:
        return zipped([first, second, Member("model.weights.h5", bytes(100_000_000), method=8)])

    def large_asset() -> bytes:
        asset = Member("assets/x", bytes(200), raw=deflate(bytes(200_000_000)), method=8)
        return zipped([*parts(), asset])

    return [
        Case("zip_bomb_config_200mb.keras", "zip_member_size", _written(large_config)),
        Case(
            "zip_bomb_config_7mb.keras",
            "zip_bomb",
            zipped([first, Member("config.json", spaces[:7_000_000], method=8), third]),
        ),
        Case("zip_bomb_weights.keras", "zip_bomb", _written(large_weights)),
        Case(
            "zip_bomb_metadata.keras",
            "zip_member_size",
            zipped([Member("metadata.json", METADATA + b" " * 10**6, 8), second, third]),
        ),
        Case(
            "zip_bomb_lies_small.keras",
            "zip_size",
            zipped([first, Member("config.json", spaces[:9_000_000], 8, size=9_000), third]),
        ),
        Case("zip_bomb_asset_200mb.keras", "zip_unexpected_member", _written(large_asset)),
    ]


def _damage() -> list[Case]:
    good, chance = keras(), random.Random(3)
    cuts = sorted(chance.randrange(1, len(good) - 1) for _ in range(19))
    cases = [Case(f"zip_cut_{index:02}.keras", "zip_truncated", good[:cut]) for index, cut in enumerate(cuts)]
    flipped = bytearray(good)
    flipped[good.index(b"softmax")] ^= 1
    return [
        *cases,
        Case("zip_cut_19.keras", "zip_truncated", good[:-1]),
        Case("zip_flipped_bit.keras", "zip_crc", bytes(flipped)),
        Case("empty.keras", "empty", b""),
    ]


def _stamps() -> list[Case]:
    newer = config_bytes().replace(b'"units": 120', b'"units": 120, "quantization_config": null')
    stamp = {
        "junk": (b"junk", "json_syntax"),
        "empty": (b"", "json_syntax"),
        "list": (b"[]", "metadata"),
        "no_version": (b"{}", "metadata"),
        "number": (b'{"keras_version": 3}', "metadata"),
        "words": (b'{"keras_version": "../../3"}', "metadata"),
        "future": (b'{"keras_version": "99.0.0"}', "metadata_version"),
        "duplicate_key": (b'{"keras_version": "3.15.1", "keras_version": "2.15.0"}', "json_duplicate_key"),
        "large": (b'{"keras_version": "3.15.1", "x": "' + b"x" * 5000 + b'"}', "zip_member_size"),
    }
    lie = keras(metadata=b'{"keras_version": "3.4.1"}', config=newer)
    return [
        *(Case(f"stamp_{name}.keras", code, keras(metadata=data)) for name, (data, code) in stamp.items()),
        Case("stamp_missing.keras", "zip_missing_member", zipped(parts()[1:])),
        Case("stamp_lie.keras", "metadata_lie", lie),
        Case(
            "stamp_utf16.keras",
            "json_encoding",
            keras(metadata=json.dumps({"keras_version": "3.1.0"}).encode("utf-16")),
        ),
    ]


def _special() -> list[Case]:
    def directory(path: Path) -> None:
        path.mkdir()

    def link(path: Path) -> None:
        path.symlink_to("/etc/hostname")

    def linked(path: Path) -> None:
        path.mkdir()
        (path / "config.json").symlink_to("/etc/hostname")

    found = [
        Case("directory.keras", "unknown_format", directory),
        Case("symlink.keras", "unknown_format", link),  # the caller's own link is followed, to a text
        Case("folder_of_links", "symlink", linked),
    ]
    if hasattr(os, "mkfifo"):
        found.append(Case("fifo.keras", "not_a_file", lambda path: os.mkfifo(path)))
    return found
