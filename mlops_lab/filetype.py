"""Recognise a file by its content, whatever it is called, and say it in words a person understands.

A file that bears the name of a model or an image is often something else: a Git LFS pointer, the web page of a
sign-in, the error text of a download service, an image of another format. Every reader of models that refuses a file
asks :func:`identify` first, so that its message names the real content. Nothing is decoded or unpacked here.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 64 * 1024
MAX_NAMES = 5  # of an archive's members in a sentence
MAX_MEMBERS = 10_000
AGAIN = "The download went wrong: download the file itself, signed in where that is needed."
AS_IMAGE = "Save it as PNG or JPEG, for example with Pillow: Image.open(name).convert('RGB').save('image.png')."
UNPACK = "Unpack it first, and use the file inside."


@dataclass(frozen=True)
class FileType:
    """The type of a file, by its content.

    Parameters
    ----------
    name
        A stable word that programs compare, such as ``"git-lfs-pointer"`` or ``"webp"``.
    title
        The type in words, with its article: ``"a WebP image"``.
    hint
        What to do where another type was expected; empty where there is no general one.
    """

    name: str
    title: str
    hint: str = ""

    def __str__(self) -> str:
        return self.title

    def _repr_html_(self) -> str:
        from mlops_lab import show

        return show.card("File type", show.table([("it is", self.title), ("hint", self.hint or "none")]))


# Fixed bytes at a fixed place: (offset, bytes, name). The first row that fits counts.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", "git-lfs-pointer"),
    (0, b"version https://hawser.github.com/spec/", "git-lfs-pointer"),
    (0, b"/annex/objects/", "git-annex-pointer"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"), (0, b"\x93NUMPY", "numpy"), (4, b"TFL3", "tflite"), (0, b"GGUF", "gguf"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (0, b"GIF87a", "gif"), (0, b"GIF89a", "gif"),
    (8, b"WEBP", "webp"), (0, b"II*\0", "tiff"), (0, b"MM\0*", "tiff"), (0, b"\0\0\x01\0", "ico"),
    (0, b"\0\0\0\x0cJXL ", "jpeg-xl"), (0, b"\xff\x0a", "jpeg-xl"), (0, b"\0\0\0\x0cjP  ", "jpeg-2000"),
    (0, b"8BPS", "psd"), (0, b"%PDF-", "pdf"), (0, b"\x7fELF", "program"), (0, b"MZ", "program"),
    (0, b"\xcf\xfa\xed\xfe", "program"), (0, b"\x1f\x8b", "gzip"), (0, b"BZh", "bzip2"), (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstandard"), (0, b"\x04\x22\x4d\x18", "lz4"), (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"), (257, b"ustar", "tar"),
)  # fmt: skip
# The brands of ISO media files, which stand behind "ftyp".
BRANDS = {b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"msf1": "heic", b"avif": "avif", b"avis": "avif"}
TYPES = {
    kind.name: kind
    for kind in (
        FileType("empty", "an empty file", AGAIN),
        FileType("git-lfs-pointer", "a Git LFS pointer, not the file itself", "Fetch the file itself: git lfs pull."),
        FileType("git-annex-pointer", "a git-annex pointer, not the file itself", "Fetch it: git annex get FILE."),
        FileType("web-page", "a web page (HTML)", AGAIN),
        FileType("service-error", "the error message of a download service", AGAIN),
        FileType("xml", "an XML text", AGAIN),
        FileType("json", "a JSON text"),
        FileType("notebook", "a Jupyter notebook"),
        FileType("data-url", "the text of a data URL", "Decode the part behind the comma from base64."),
        FileType("base64-image", "the base64 text of an image", 'Decode it, or send it as JSON: {"image": "…"}.'),
        FileType("text", "a text"),
        FileType("hdf5", "an HDF5 file"),
        FileType("onnx", "an ONNX file"),
        FileType("keras", "a .keras archive"),
        FileType("skops", "a skops archive"),
        FileType("pytorch", "a PyTorch file, which is a pickle inside", "Export the model to ONNX: torch.onnx.export."),
        FileType("pickle", "a pickle", "Save it as ONNX, skops or .keras: loading a pickle runs code."),
        FileType("safetensors", "a safetensors file, which holds weights without a model", "Export the model to ONNX."),
        FileType("gguf", "a GGUF file, which holds a language model"),
        FileType("tflite", "a TensorFlow Lite model", "Save the model before it was converted: model.save()."),
        FileType("numpy", "a NumPy file of one array"),
        FileType("npz", "a NumPy archive of arrays"),
        FileType("zip-of-models", "a zip archive that holds models", UNPACK),
        FileType("zip-of-images", "a zip archive of images", UNPACK),
        FileType("office", "an Office document"),
        FileType("zip", "a zip archive", UNPACK),
        FileType("png", "a PNG image"),
        FileType("jpeg", "a JPEG image"),
        FileType("gif", "a GIF image", AS_IMAGE),
        FileType("webp", "a WebP image", AS_IMAGE),
        FileType("heic", "a HEIC photo, as phones take them", "Export it as JPEG, or set the camera to JPEG."),
        FileType("avif", "an AVIF image", AS_IMAGE),
        FileType("bmp", "a BMP image", AS_IMAGE),
        FileType("tiff", "a TIFF image", AS_IMAGE),
        FileType("ico", "an icon (ICO)", AS_IMAGE),
        FileType("jpeg-xl", "a JPEG XL image", "Save it as PNG or JPEG."),
        FileType("jpeg-2000", "a JPEG 2000 image", AS_IMAGE),
        FileType("psd", "a Photoshop document", "Export it as PNG."),
        FileType("svg", "an SVG drawing", "Export it as PNG: an SVG has no pixels."),
        FileType("netpbm", "a Netpbm image (PBM, PGM or PPM)", AS_IMAGE),
        FileType("video", "a video", "Save one frame of it as PNG or JPEG."),
        FileType("pdf", "a PDF document", "Save the page as PNG."),
        FileType("program", "a program"),
        FileType("gzip", "a gzip-compressed file", UNPACK),
        FileType("bzip2", "a bzip2-compressed file", UNPACK),
        FileType("xz", "an xz-compressed file", UNPACK),
        FileType("zstandard", "a Zstandard-compressed file", UNPACK),
        FileType("lz4", "an LZ4-compressed file", UNPACK),
        FileType("7z", "a 7-Zip archive", UNPACK),
        FileType("rar", "a RAR archive", UNPACK),
        FileType("tar", "a tar archive", UNPACK),
        FileType("unknown", "a file of an unknown type"),
    )
}
MODELS = (
    ".h5",
    ".hdf5",
    ".keras",
    ".onnx",
    ".skops",
    ".pb",
    ".tflite",
    ".pt",
    ".pth",
    ".safetensors",
    ".pkl",
    ".joblib",
)
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
PAGE = re.compile(rb"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]|<script[\s>]", re.IGNORECASE)
# What PNG, JPEG, GIF and WebP begin with once they are base64.
BASE64_STARTS = (b"iVBORw0KGgo", b"/9j/", b"_9j_", b"R0lGOD", b"UklGR")
# The whole text, or nearly, of services that answer a wrong address or a missing right.
SERVICE = re.compile(
    rb"\W*(entry not found|not found|404|403|401|access denied|accessdenied|forbidden|unauthorized"
    rb"|invalid (username|cred)|repository not found|file not found|bad credentials|rate limit|too many requests"
    rb"|quota|error\b|\{\"(error|message|detail)"
    rb"|<\?xml[^>]*>\s*<error>|<error>)",
    re.IGNORECASE,
)  # fmt: skip


def identify(data: bytes) -> FileType:
    r"""Return the type of a file's bytes.

    Parameters
    ----------
    data
        The whole file; for other types than zip archives its first 64 KiB are enough.

    Examples
    --------
    >>> identify(b"version https://git-lfs.github.com/spec/v1\noid sha256:0").name
    'git-lfs-pointer'
    >>> print(identify(b"RIFF\x24\x02\0\0WEBPVP8 "))
    a WebP image
    """
    if not data:
        return TYPES["empty"]
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip(data)
    return TYPES[_signature(data[:512]) or _structure(data) or _text(data[:HEAD_BYTES]) or "unknown"]


def identify_file(path: str | Path) -> FileType:
    """Return the type of a file on disk; a zip archive's directory is read, its members are not.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
            return identify(head)
        try:
            with zipfile.ZipFile(file) as archive:
                return _archive(archive.namelist()[:MAX_MEMBERS])
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return TYPES["zip"]


def _signature(head: bytes) -> str:
    for offset, magic, name in SIGNATURES:
        if head.startswith(magic, offset) and (name != "webp" or head.startswith(b"RIFF")):
            return name
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12], "video")
    if head.startswith(b"BM") and len(head) > 18 and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return "netpbm" if re.match(rb"P[1-6]\s+[\d#]", head) else ""


def _structure(data: bytes) -> str:
    """Return the type of a file that has no fixed first bytes but a grammar."""
    if is_onnx(data):
        return "onnx"
    if is_pickle(data):
        return "pytorch" if b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" in data[:64] else "pickle"
    size = int.from_bytes(data[:8], "little")
    return "safetensors" if len(data) > 9 and data[8:10] in (b'{"', b"{}") and 2 <= size < 2**27 else ""


def is_onnx(data: bytes) -> bool:
    r"""Return whether bytes begin as every ONNX file does: with a small format number, then a known field.

    Examples
    --------
    >>> is_onnx(b"\x08\x08\x12\x07tf2onnx")
    True
    """
    known = {0x12, 0x1A, 0x22, 0x2A, 0x3A, 0x42, 0x28, 0x72}
    return len(data) > 3 and data[0] == 0x08 and 1 <= data[1] <= 64 and data[2] in known


LOOK = 64 * 1024
OPCODES = 2_000
ENOUGH = 8  # that many opcodes in a row are no accident
TEXT_STARTS = b"(]}[lcdIFLNSVUXKMJGBC\x8c)"


def is_pickle(data: bytes) -> bool:
    """Return whether bytes are a pickle of any protocol. No opcode is run.

    Examples
    --------
    >>> import pickle
    >>> is_pickle(pickle.dumps([1, 2])), is_pickle(b"a text")
    (True, False)
    """
    if len(data) > 2 and data[0] == 0x80 and data[1] <= 5:
        return True
    if not data or data[0] not in TEXT_STARTS:
        return False
    count = 0
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(io.BytesIO(data[:LOOK])), 1):
            if opcode.name == "STOP":
                return count > 1
            if count > OPCODES:
                break
    except Exception:  # not a pickle, or cut off: what was seen so far decides
        return count >= ENOUGH
    return count >= ENOUGH


def _text(head: bytes) -> str:
    """Return the type of a text; empty for bytes that are none."""
    try:
        text = head.decode("utf-8") if len(head) < HEAD_BYTES else head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return ""
    if any(ord(character) < 32 and character not in "\t\n\r\f\x1b" for character in text):
        return ""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if PAGE.match(start) or (start.startswith(b"<!--") and PAGE.search(start[:2048])):
        return "web-page"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start[:2048]):
        return "svg"
    if start.startswith(b"<?xml") and PAGE.search(start[:2048]):
        return "web-page"
    if len(start) < 4096 and SERVICE.match(start):
        return "service-error"
    return _markup(start)


def _markup(start: bytes) -> str:
    if start.startswith(b"<?xml"):
        return "xml"
    if start.startswith(b"data:") and b"," in start[:200]:
        return "data-url"
    if start.startswith(BASE64_STARTS):
        return "base64-image"
    if start.startswith((b"{", b"[")):
        return "notebook" if b'"nbformat"' in start and b'"cells"' in start else "json"
    return "text"


def _zip(data: bytes) -> FileType:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _archive(archive.namelist()[:MAX_MEMBERS])
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return TYPES["zip"]


def _archive(names: Sequence[str]) -> FileType:
    """Return the type of a zip archive by the names of its members."""
    held = set(names)
    if held & {"model.weights.h5", "model.weights.npz"}:
        return TYPES["keras"]
    if "schema.json" in held:
        return TYPES["skops"]
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in held):
        return TYPES["pytorch"]
    if "[Content_Types].xml" in held:
        return TYPES["office"]
    if held and all(name.endswith(".npy") for name in held):
        return TYPES["npz"]
    for kind, suffixes in (("zip-of-models", MODELS), ("zip-of-images", IMAGES)):
        if found := sorted(name for name in held if name.lower().endswith(suffixes)):
            return _with_members(TYPES[kind], found)
    return _with_members(TYPES["zip"], sorted(held))


def _with_members(kind: FileType, names: Sequence[str]) -> FileType:
    """Return a type whose title and hint name some of the members."""
    if not names:
        return kind
    shown = [printable(name) for name in names[:MAX_NAMES]]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    hint = f"Unpack it first, and use {shown[0]}." if kind.name == "zip-of-models" else kind.hint
    return FileType(kind.name, f"{kind.title}: {', '.join(shown)}{more}", hint)


def printable(text: str, limit: int = 80) -> str:
    r"""Return text from a file as something that can be printed on one line.

    Examples
    --------
    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in short)
