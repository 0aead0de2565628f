"""Decide what a file is by its content, never by its name, and pass it to the module that judges that format."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mlops_lab.filetype import identify, is_onnx
from mlops_lab.store.safety import archive, onnx_file, pickles, weights
from mlops_lab.store.safety.codes import CODES, hint_for
from mlops_lab.store.safety.folder import judge_folder
from mlops_lab.store.safety.keras_file import judge_keras, judge_legacy
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal, AuditReport, finding
from mlops_lab.store.safety.skops_file import MAX_MEMBERS, judge_skops
from mlops_lab.store.safety.source import Source

OTHER_ZIPS = {"zip-of-models", "zip-of-images", "office", "npz"}
NEEDS_PIN = {"legacy-h5", "saved-model", "pickle"}


def judge(source: Source) -> AuditReport:
    """Return the verdict on bytes that were read once."""
    with ThreadPoolExecutor(1) as pool:  # the digest of a large file takes as long as judging it
        digest = pool.submit(lambda: source.sha256)
        kind, found = _judged(source)
        return report(source.path, kind, found, digest.result())


def _judged(source: Source) -> tuple[str, list[AuditFinding]]:
    kind = "unknown"
    try:
        kind = "folder" if source.folder else form(source.data)
        if source.folder:
            kind, found = judge_folder(source.files, judge_bytes)
        else:
            found = _judge_as(kind, source.data)
    except AuditRefusal as refused:
        found = [refused.finding]
    except (MemoryError, RecursionError, Exception) as error:  # a verdict always: what we cannot judge, we refuse
        found = [finding("audit_failed", f"The audit stopped at {type(error).__name__}: {error}.")]
    return kind, found


def report(path: str, kind: str, found: list[AuditFinding], sha256: str) -> AuditReport:
    """Return a report; the first finding gives the code."""
    found = [_with_hint(item, kind) for item in found]
    code = found[0].code if found else "ok"
    return AuditReport(path, kind, not found, code, tuple(found), kind in NEEDS_PIN, sha256)


def _with_hint(found: AuditFinding, kind: str) -> AuditFinding:
    """Return a finding whose hint fits the format, where it has no hint of its own."""
    return replace(found, hint=hint_for(found.code, kind)) if found.hint == CODES[found.code] else found


def form(data: bytes) -> str:
    """Return the format that a reader would take these bytes for."""
    if data.startswith(weights.SIGNATURE):
        return "legacy-h5"
    if data.startswith(pickles.NUMPY):
        return "numpy"
    if archive.looks_zipped(data):
        return _zip_form(data)
    if is_onnx(data):
        return "onnx"
    try:
        pickles.judge_pickle(data)
    except AuditRefusal as refused:
        return "pickle" if refused.finding.code.startswith("pickle") else "unknown"
    return "unknown"


def _zip_form(data: bytes) -> str:
    if b"schema.json" in data[:256] + data[-65536:] and b"config.json" not in data[-65536:]:
        return "skops"
    return "zip" if identify(data).name in OTHER_ZIPS else "keras"


def judge_bytes(data: bytes) -> list[AuditFinding]:
    """Return what is wrong with one file's bytes."""
    return _judge_as(form(data), data)


def _judge_as(kind: str, data: bytes) -> list[AuditFinding]:
    if not data:
        raise AuditRefusal("empty", "The file is empty.")
    if kind == "legacy-h5":
        return judge_legacy(data)
    if kind == "numpy":
        pickles.judge_numpy(data)
    if kind in ("keras", "skops", "zip"):
        return _zipped(data, kind)
    if kind == "onnx":
        return onnx_file.judge_onnx(data)
    pickles.judge_pickle(data)
    return [_unknown(data)]


def _unknown(data: bytes) -> AuditFinding:
    """Return a finding that names what a file really is."""
    kind = identify(data)
    if kind.name == "unknown":
        return finding("unknown_format", "This is no kind of model file that is read here.")
    return finding("unknown_format", f"This is {kind.title}.", hint=kind.hint)


def _zipped(data: bytes, kind: str) -> list[AuditFinding]:
    members = archive.read_members(data, max_members=MAX_MEMBERS if kind == "skops" else archive.MAX_MEMBERS)
    if any(name.endswith(".pkl") for name in members):
        raise AuditRefusal("pickle_in_zip", "The archive holds a pickle, as PyTorch writes it.")
    if kind == "skops" and "schema.json" in members:
        return judge_skops(data, members)
    if kind == "zip":
        return [_unknown(data)]
    return judge_keras(data, members)
