"""A batch from its first row to the file of its answers; one that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlops_lab import show
from mlops_lab.batch.answers import Columns, answer
from mlops_lab.batch.results import Parts, find_format
from mlops_lab.batch.sources import Source, open_source
from mlops_lab.batch.workers import Answered, Load, answer_in
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.files import explained, write_atomically
from mlops_lab.predict import Predictor

PIECE = 64
PART_ROWS = 50_000
PART_SECONDS = 5.0
OnRows = Callable[[int, int], object]


@dataclass(frozen=True)
class BatchReport:
    """The result of a batch: its file, and how many rows were answered or failed.

    Parameters
    ----------
    out
        The file of the answers.
    model, version
        What answered.
    rows, failed
        The number of rows, and of those whose column ``error`` says why they have no answer.
    resumed
        The number of rows that an earlier run had answered.
    seconds
        Time of this run.
    """

    out: str
    model: str
    version: int
    rows: int
    failed: int
    resumed: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second in this run."""
        return (self.rows - self.resumed) / max(self.seconds, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "version": f"v{self.version}", "rate": round(self.rate, 1)}

    def __str__(self) -> str:
        resumed = f" ({self.resumed:,} of them by an earlier run)" if self.resumed else ""
        failed = f"; {self.failed:,} have no answer, see the column error" if self.failed else ""
        done = f"{self.rows:,} rows answered by {self.model} v{self.version}{resumed}{failed}"
        return f"{done}; {self.rate:,.0f} rows/s, written to {self.out}"

    def _repr_html_(self) -> str:
        rows = [("rows", f"{self.rows:,}"), ("without an answer", f"{self.failed:,}"), ("rows/s", f"{self.rate:,.0f}")]
        return show.card(f"{self.out}, by {self.model} v{self.version}", show.table(rows))


def predict(
    load: Load,
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    processes: int = 1,
    piece: int = PIECE,
    part_seconds: float = PART_SECONDS,
    overwrite: bool = False,
    on_rows: OnRows | None = None,
) -> BatchReport:
    """Answer all rows of a file or a folder, and write a file with a row for each.

    What is answered is kept in parts in the folder ``<out>.parts``, which is replaced by ``out`` at the end. A run that
    was killed is continued by the same call.

    Parameters
    ----------
    load
        Returns the model, such as ``functools.partial(models.load, "clothes", 1)``; called in each process.
    source
        An ``.npz`` or ``.parquet`` file whose columns bear the names of the model's inputs, or a folder of PNG and JPEG
        files. A cell of images holds the bytes of a file, or pixels.
    out
        An ``.npz``, ``.parquet`` or ``.csv`` file: the columns of ``source`` that are no images (``file``, for a
        folder), the parts of the answer (``label``, ``class`` and ``confidence``, or ``value``, ``vector`` …, by
        the model's task), and ``error``. A row that the model cannot answer has an error; it does not end the batch.
    processes
        The number of processes that compute. One computes in this process.
    piece
        Rows in one call of the engine.
    part_seconds
        How often a part is written, and so what is lost by a kill.
    overwrite
        Whether an existing ``out`` is replaced.
    on_rows
        Called with the number of rows that are answered, and of all.

    Returns
    -------
    BatchReport

    Raises
    ------
    WrongUsage
        A name has no meaning, a column is missing, ``out`` exists, or it was begun with another model or other rows.
    DataError, StoreError
        Something cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> from functools import partial
    >>> import numpy as np
    >>> from mlops_lab.store import ModelStore
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.savez(folder / "in.npz", image=np.zeros((3, 28, 28), np.uint8))
    >>> report = predict(partial(ModelStore("models").load, "clothes", 1), folder / "in.npz", folder / "out.csv")
    >>> report.rows, (folder / "out.csv").read_text().splitlines()[0]
    (3, 'label,class,confidence,error')
    """
    started = time.perf_counter()
    place = Path(out)
    format = find_format(place)
    if place.exists() and not overwrite:
        raise WrongUsage(f"{place} exists already.", "Choose another name, or replace it: --overwrite, overwrite=True.")
    predictor = load()
    rows = _open(source, predictor)
    folder = place.with_name(f"{place.name}.parts")
    with _held(folder):
        _compare_job(folder / "job.json", _job(predictor, source, rows))
        parts = Parts(folder, format)
        resumed = parts.rows
        pieces = rows.read(resumed, piece)
        here = ((one, answer(predictor, one.inputs)) for one in pieces)
        with closing(here if processes == 1 else answer_in(processes, load, pieces)) as answered:
            _write(answered, parts, part_seconds, lambda done: on_rows and on_rows(done, rows.length))
        parts.join(place)
    shutil.rmtree(folder, ignore_errors=True)
    seconds = time.perf_counter() - started
    return BatchReport(str(place), predictor.name, predictor.version, rows.length, parts.failed, resumed, seconds)


def _open(source: str | PathLike[str], predictor: Predictor) -> Source:
    rows = open_source(source, predictor.signature.inputs)
    if not rows.length:
        raise WrongUsage(f"{source} has no rows.", "Give a file with at least one, or a folder of PNG or JPEG files.")
    return rows


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make the folder of the parts, and keep other processes out of it."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", blocking=False):
            yield
    except Timeout as error:
        raise WrongUsage(f"Another process writes into {folder}.", "Wait for it, or choose another name.") from error


def _job(predictor: Predictor, source: str | PathLike[str], rows: Source) -> dict[str, Any]:
    """Return what must be the same in a run that goes on where another one stopped."""
    about = json.dumps(predictor.about(), sort_keys=True, default=str)
    return {
        "model": f"{predictor.name} v{predictor.version}",
        "sha256": hashlib.sha256(about.encode()).hexdigest(),
        "source": str(Path(source).resolve()),
        "rows": rows.length,
        "identity": rows.identity(),
    }


def _compare_job(place: Path, job: dict[str, Any]) -> None:
    """Begin a job, or make sure that it is the one that was begun."""
    if not place.exists():
        return write_atomically(place, json.dumps(job, indent=1).encode())
    try:
        begun = json.loads(place.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{place} cannot be read: {error}.", f"Remove {place.parent} to begin anew.") from error
    differing = [key for key in job if begun.get(key) != job[key]]
    if differing:
        key = differing[0]
        message = f"{place.parent} was begun with another {key}: {begun.get(key)}, and this is {job[key]}."
        raise WrongUsage(message, "Give what it was begun with, or remove that folder to begin anew.")


def _write(answered: Answered, parts: Parts, part_seconds: float, on_rows: Callable[[int], object]) -> None:
    """Write a part every few seconds, and at the end; whatever ends this, what is answered is kept."""
    pieces: list[Columns] = []
    rows, since = 0, time.monotonic()
    try:
        for one, answers in answered:
            columns = _join_columns(one.kept, answers)
            if not (pieces or parts.rows):
                parts.check(columns)  # that this cannot be written is better said now than after some seconds
            pieces.append(columns)
            rows += one.length
            on_rows(parts.rows + rows)
            if rows >= PART_ROWS or time.monotonic() - since >= part_seconds:
                full, pieces = pieces, []
                parts.append(full, rows)
                rows, since = 0, time.monotonic()
    finally:
        if pieces:
            parts.append(pieces, rows)


def _join_columns(kept: Columns, answers: Columns) -> Columns:
    clash = [name for name in kept if name in answers]
    if clash:
        message = f"The rows have a column {clash[0]!r}, which is a column of the answers."
        raise WrongUsage(message, "Give it another name.")
    return {**kept, **answers}
