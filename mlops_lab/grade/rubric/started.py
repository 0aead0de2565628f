"""For one check: start the server of a folder in a sandbox, or define the functions of one of its files there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlops_lab.grade import live, slowdown
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.live import SandboxServer
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.results import UNJUDGED, CheckResult
from mlops_lab.grade.running import Settings
from mlops_lab.store.reading import read_below

MOST = 200_000  # bytes of a program


@contextmanager
def server(
    folder: Path | None, models: Mapping[str, bytes] | None = None, *, always: bool = False
) -> Iterator[SandboxServer]:
    """Give the running ``api.py`` of a folder, copied with what stands beside it.

    Parameters
    ----------
    folder
        Where it is.
    models, always
        As for :func:`mlops_lab.grade.live.started`.

    Raises
    ------
    Failed
        There is none, or it did not start.
    """
    if folder is None or not (folder / "api.py").is_file():
        raise Failed("There is no api.py.", hint="missing", expected="api.py", received="nothing")
    with live.started(folder / "api.py", models, always=always) as started:
        yield started


@contextmanager
def functions(folder: Path | None, file: str, *names: str) -> Iterator[Answer]:
    """Give what a file of a folder defines, called in a sandbox.

    Raises
    ------
    Failed
        There is no such file, or it cannot be run.
    """
    text = text_of(folder, file)
    if folder is None or not text:
        raise Failed(f"There is no {file}.", hint="missing", expected=file, received="nothing")
    with RemoteTarget(folder, [(file, text)]) as target:
        yield Answer(target, names, folder / file)


def settings(case: Case, student: Answer | None = None) -> Settings:
    """Return how the checks of another exercise are run within one.

    Parameters
    ----------
    case
        Of the check that runs them.
    student
        What :func:`functions` gave, whose process is ended where a check takes too long.
    """
    stop = getattr(student.target, "kill", None) if student is not None else None
    secret = case.secret if case.held_out else None
    return Settings(secret, step=3, submission=case.submission, slowdown=slowdown.factor, stop=stop or _nothing)


def _nothing() -> None:
    """Leave it running: it is ended with its context."""


def expect_full(case: Case, results: Sequence[CheckResult], *, hint: str, share: float = 0.0) -> None:
    """Fail with what the checks of other exercises said first, where one of them is not full.

    Parameters
    ----------
    case
        Of the check that ran them.
    results
        What came of them. What could not be tried here, or not be judged, is not held against the student.
    hint
        The key of a hint with places for ``id``, ``why`` and ``advice``.
    share
        The share of the points that is given all the same.
    """
    parts = [part for one in results for part in one.leaves() if not part.full and part.state != "blocked"]
    if not parts:
        return
    wrong = next((part for part in parts if part.state not in UNJUDGED), None)
    if wrong is None:
        case.not_gradable(f"{parts[0].id}: {parts[0].message}")
    case.note(*wrong.evidence[:6])
    case.fail(f"{wrong.id}: {wrong.message}", hint=hint, id=wrong.id, why=wrong.message, advice=wrong.hint,
              share=min(0.9, share), expected=wrong.expected or "passed",
              received=wrong.received or wrong.state)  # fmt: skip


def text_of(folder: Path | None, name: str) -> str:
    """Return the text of a file of a folder; empty where there is no plain file of that name."""
    try:
        return read_below(folder, name, MOST).decode("utf-8", "replace") if folder is not None else ""
    except OSError:
        return ""
