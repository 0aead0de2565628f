"""Refuse a hostile model file before Keras, ONNX Runtime or scikit-learn see it.

A model file is not only numbers: it names the classes to build, and in the worst case holds code. The audit reads the
bytes once, decides by content what they are, and accepts only what is on a list. It needs no TensorFlow and no Keras::

    report = safety.inspect("from_the_internet.keras")    # a verdict, whatever the file holds
    report = safety.audit("from_the_internet.keras")      # the same, or UnsafeFile with a code, a message and a hint

    source = safety.read("clothes.keras")                 # the bytes, read once …
    safety.audit(source)                                  # … judged …
    load(source.data)                                     # … and loaded: nobody can swap the file in between

The modules: ``source`` reads; ``verdict`` decides the format; ``archive`` (zip), ``strict_json``, ``config`` (classes),
``graph`` and ``shapes`` (sizes) and ``weights`` (HDF5) judge Keras files; ``onnx_file``, ``saved_model``,
``skops_file``, ``pickles`` and ``folder`` the others; ``allowed`` is the list; ``codes`` the words.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from mlops_lab.errors import NotFound, UnsafeFile
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal, AuditReport
from mlops_lab.store.safety.source import COURSE_LIMIT, HARD_LIMIT, Source, read_source
from mlops_lab.store.safety.verdict import judge, report

__all__ = [
    "COURSE_LIMIT",
    "HARD_LIMIT",
    "AuditFinding",
    "AuditReport",
    "Source",
    "audit",
    "inspect",
    "read",
    "require_pin",
]

ModelFile = str | os.PathLike[str] | bytes | Source


def read(path: ModelFile, *, max_bytes: int = COURSE_LIMIT) -> Source:
    """Read a file or folder once, so that what is judged is what is loaded.

    A link that you name is followed; one inside a folder is refused.

    Raises
    ------
    NotFound
        There is nothing at that path.
    UnsafeFile
        When it is not a regular file, holds a link, or is larger than ``max_bytes``.

    Examples
    --------
    >>> read(b"abc").sha256[:8]
    'ba7816bf'
    """
    if isinstance(path, str | os.PathLike) and not os.path.lexists(path):
        raise NotFound(f"There is no file {os.fspath(path)}.", "Look at the path.")
    try:
        return read_source(path, max_bytes)
    except AuditRefusal as refused:
        raise _unsafe(refused.finding) from None


def inspect(path: ModelFile, *, max_bytes: int = COURSE_LIMIT) -> AuditReport:
    """Judge a model file and return the verdict, whatever the file holds.

    Parameters
    ----------
    path
        A path, the bytes themselves, or what :func:`read` returned.
    max_bytes
        The largest file that is read; never more than 512 MiB.

    Examples
    --------
    >>> inspect(b"not a model").code
    'unknown_format'
    """
    try:
        source = read_source(path, max_bytes)
    except AuditRefusal as refused:
        name = "<bytes>" if isinstance(path, bytes | Source) else os.fspath(path)
        return report(name, "unknown", [refused.finding], "")
    return judge(source)


def audit(path: ModelFile, *, max_bytes: int = COURSE_LIMIT) -> AuditReport:
    """Judge a model file, and raise when it is not safe.

    Raises
    ------
    UnsafeFile
        With the finding's code word, message and hint.

    Examples
    --------
    >>> audit(b"")
    Traceback (most recent call last):
        ...
    mlops_lab.errors.UnsafeFile: The file is empty. Get the file again from its author, or save the model again with model.save('name.keras').
    """  # noqa: E501 - the message is one line
    verdict = inspect(path, max_bytes=max_bytes)
    if not verdict.safe:
        raise _unsafe(verdict.findings[0])
    return verdict


def _unsafe(finding: AuditFinding) -> UnsafeFile:
    where = f" ({finding.where})" if finding.where else ""
    return UnsafeFile(f"{finding.message}{where}", finding.hint, code=finding.code)


def require_pin(data: bytes, *, trust: bool = False, sha256: str | None = None) -> None:
    """Raise unless the caller trusts these very bytes: legacy ``.h5``, pickle and joblib load no other way.

    Parameters
    ----------
    data
        The bytes that will be loaded.
    trust
        Whether the caller says that the author is trusted.
    sha256
        The digest that the author gave; it must be the digest of ``data``.

    Examples
    --------
    >>> require_pin(b"abc", trust=True, sha256=hashlib.sha256(b"abc").hexdigest())
    >>> require_pin(b"abc")
    Traceback (most recent call last):
        ...
    mlops_lab.errors.UnsafeFile: This format can run code when it is loaded, and the file is not trusted. Pass trust=True and sha256= with the digest that its author gave you.
    """  # noqa: E501 - the message is one line
    if trust is not True or not sha256:
        raise UnsafeFile(
            "This format can run code when it is loaded, and the file is not trusted.",
            "Pass trust=True and sha256= with the digest that its author gave you.",
            code="needs_pin",
        )
    found = hashlib.sha256(data).hexdigest()
    if not hmac.compare_digest(found.encode(), sha256.strip().lower().encode()):
        raise UnsafeFile(
            f"The file is not the one you trust: its SHA-256 is {found}.",
            "Get the file again from its author, and compare the digests.",
            code="wrong_pin",
        )
