"""monitor-1: write it down. The recorder is called as a server calls its hook: by eight threads, and on a full disk."""

from __future__ import annotations

import base64
import sqlite3
import time
from contextlib import closing, suppress
from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.concurrent_calls import ADDRESS
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import LABELS
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.shared_folder import SharedFolder
from mlops_lab.grade.wire import prediction_event

exercise = Exercise("monitor-1", "Write it down", names=("Recorder",), section="Notebook 7, section 1", hints=RAISES)
FILE, THREADS, ASKED, AGAIN = "predictions.db", 8, 80, 17
COLUMNS = ("request_id", "time", "version", "class", "confidence", "truth")
STATISTICS = 4
PAGES, MANY = 10, 400  # an SQLite file that is full at 40 kB, and requests that do not fit into it
PATIENCE = 3.0  # seconds that a writer may take behind the caller's back
STEPS = 2_000_000  # of SQLite's machine in reading what a student's file holds
LONG = 600  # bytes of one value: ten probabilities as text need 250, a small image as PNG 700
Rows = list[dict[str, Any]]


def events(case: Case, count: int) -> list[Any]:
    """Return answered requests, each of one image of its own."""
    rng, now = case.rng, 1_800_000_000.0
    images = (rng.random((count, 28, 28)) ** rng.uniform(0.3, 3, (count, 1, 1)) * 255).astype(np.uint8)
    rows = rng.dirichlet(np.full(len(LABELS), 0.2), count).astype(np.float32)
    return [
        prediction_event(rng.bytes(16).hex(), now + place, 0.002, image[None], row[None], "clothes", 3, tuple(LABELS))
        for place, (image, row) in enumerate(zip(images, rows, strict=True))
    ]


def read(shared: SharedFolder, case: Case) -> Rows | None:
    """Return the rows of the table ``predictions``, as another program sees them; ``None`` where there is none."""
    copy = case.scratch / FILE
    for end in ("", "-wal"):
        copy.with_name(FILE + end).unlink(missing_ok=True)
        if (content := shared.read(FILE + end)) is not None:
            copy.with_name(FILE + end).write_bytes(content)
    if not copy.exists():
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(copy)) as database:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA trusted_schema = OFF")
        database.set_progress_handler(lambda: 1, STEPS)  # what the file defines may go on for ever
        return [dict(row) for row in database.execute("SELECT * FROM predictions LIMIT 5000")]
    return None


def _recorded(answer: Answer, case: Case, sent: list[Any], pages: int = 0) -> tuple[Any, list[str], int, SharedFolder]:
    """Let a recorder take what was sent; return it, the errors, how much it says was lost, and where its file is."""
    shared = answer.shared_folder()
    found = answer.Recorder.call_concurrently(shared.path(FILE), given=sent, threads=THREADS, pages=pages)
    lost = found["lost"]
    return found["made"], [error for error in found["errors"] if error], lost if isinstance(lost, int) else -1, shared


def _rows(shared: SharedFolder, case: Case, least: int) -> Rows:
    """Return the rows once there are so many, or after a while."""
    until = time.monotonic() + PATIENCE
    while True:
        rows = read(shared, case)
        if (rows is not None and len(rows) >= least) or time.monotonic() > until:
            case.expect(rows is not None, "There is no table predictions in the file.", hint="table",
                        expected="a table predictions", received=", ".join(shared.files()) or "no file")  # fmt: skip
            return rows or []
        time.sleep(0.1)


RECORDS = {
    "table": Hint("Another program finds no table predictions in the file: {received}.",
                  "Make the table when the recorder is made, and commit."),
    "threads": Hint(
        "{lost} of {count} were lost: {received}.",
        "A server answers from several threads, and a connection of SQLite belongs to the one that opened it.",
        "One connection behind a lock, one for each call, or one thread that writes what the others put in a queue.",
    ),
    "uncommitted": Hint("{count} predictions, and another program reads {found}.",
                        "What is not committed is seen by nobody else, and gone when the server is killed."),
    "columns": Hint("There is no column {absent}.", "request_id, time, version, class, confidence and truth."),
    "values": Hint("{column} is {received} where {expected} was said.",
                   "Read it from the event: event.time, event.predictor.version, event.predictions[0]."),
    "statistics": Hint(
        "{found} columns say what the image looked like; {needed} are asked for.",
        "Without the image, only its statistics can tell later that the world moved.",
    ),
}  # fmt: skip


@exercise.check("threads", "Every answered request is there, from eight threads at once", points=2, held_out=ASKED,
                covers="other requests", timeout=60, hints=RECORDS)  # fmt: skip
def threads(answer: Answer, case: Case) -> None:
    sent = events(case, ASKED)
    _, errors, counted, shared = _recorded(answer, case, sent)
    rows = _rows(shared, case, ASKED)
    ids = {row.get("request_id") for row in rows}
    lost = sum(one.request_id not in ids for one in sent)
    case.expect(not errors, f"It raised for {len(errors)} of {ASKED} requests.", hint="threads", lost=max(lost, 1),
                count=ASKED, expected="no error", received=(errors or [""])[0])  # fmt: skip
    named = bool(rows) and "request_id" not in rows[0]
    case.expect(not named, "The table has no column request_id.", hint="columns", absent="request_id")
    key = "uncommitted" if lost == ASKED and counted < 1 else "threads"
    case.expect(not lost, f"{lost} of {ASKED} requests are not in the file.", hint=key, lost=lost, count=ASKED,
                found=len(rows), expected=ASKED, received=f"{len(ids)} of them")  # fmt: skip


@exercise.check("columns", "A row says when, which version, which class, how sure, and what the image looked like",
                points=1, after="threads", held_out=10, covers="other requests", hints=RECORDS)  # fmt: skip
def columns(answer: Answer, case: Case) -> None:
    sent = events(case, 10)
    _, _, _, shared = _recorded(answer, case, sent)
    rows = {row.get("request_id"): row for row in _rows(shared, case, len(sent))}
    first = rows.get(sent[0].request_id, {})
    absent = next((name for name in COLUMNS if name not in first), "")
    case.expect(not absent, f"There is no column {absent}.", hint="columns", absent=absent, expected=COLUMNS,
                received=list(first))  # fmt: skip
    for one in sent:
        row, said = rows.get(one.request_id, {}), one.predictions[0]
        right = {"time": (one.time,), "version": (3, "3", "v3"), "class": (said.label, int(one.rows[0].argmax()))}
        for column, values in right.items():
            case.expect(_is_one_of(row.get(column), values), f"{column} is another.", hint="values", column=column,
                        expected=values[0], received=row.get(column))  # fmt: skip
        near = isinstance(row["confidence"], float | int) and abs(row["confidence"] - said.confidence) < 0.01
        case.expect(near, "The confidence is another.", hint="values", column="confidence",
                    expected=round(said.confidence, 4), received=row["confidence"])  # fmt: skip
    numbers = [name for name in first if name not in COLUMNS and _is_number(first[name])]
    varied = [name for name in numbers if len({row.get(name) for row in rows.values()}) > 5]
    found = len(numbers) if len(varied) > 1 else len(varied)
    case.expect(found >= STATISTICS, "Too few columns say what the image looked like.", hint="statistics", found=found,
                needed=STATISTICS, expected=f"{STATISTICS} numbers", received=numbers)  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_one_of(value: Any, values: tuple[Any, ...]) -> bool:
    if isinstance(values[0], float):
        return _is_number(value) and abs(value - values[0]) < 0.01
    return value in values


@exercise.check("once", "A request that comes again under the same id is there once", points=1, after="threads",
                timeout=60, hints={
    "twice": Hint("{twice} requests stand there twice.", "A client sends again what was not answered in time.",
                  "Which column makes a request unique? The table can refuse a second one."),
    "again": Hint("It raised when a request came again: {received}.", "A repeated request is no error to its sender."),
})  # fmt: skip
def once(answer: Answer, case: Case) -> None:
    sent = events(case, ASKED)
    _, errors, _, shared = _recorded(answer, case, [*sent, *sent[:AGAIN]])
    rows = _rows(shared, case, ASKED)
    twice = len(rows) - len({row.get("request_id") for row in rows})
    case.expect(not twice, f"{twice} requests stand there twice.", hint="twice", twice=twice, expected=ASKED,
                received=len(rows))  # fmt: skip
    case.expect(not errors, "It raised when a request came again.", hint="again", expected="no error",
                received=(errors or [""])[0])  # fmt: skip


@exercise.check("full", "On a full disk the server answers, and the loss is counted", points=2, after="threads",
                timeout=90, hints={
    "500": Hint(
        "{count} of {asked} customers got 500 because of your notebook: {received}.",
        "Predict first, note if you can, count what you could not.",
    ),
    "uncounted": Hint("{missing} predictions are not there; recorder.lost says {lost}.",
                      "What is lost without a number is never missed. Count it, and show it."),
})  # fmt: skip
def full(answer: Answer, case: Case) -> None:
    sent = events(case, MANY)
    _, errors, lost, shared = _recorded(answer, case, sent, PAGES)
    case.expect(not errors, "It raised on a full disk.", hint="500", count=len(errors), asked=MANY,
                expected="no error", received=(errors or [""])[0])  # fmt: skip
    missing = MANY - len({row.get("request_id") for row in read(shared, case) or []})
    case.expect(missing == lost, "The loss is not counted.", hint="uncounted", missing=missing, lost=lost,
                expected=missing, received=lost)  # fmt: skip


@exercise.check("feedback", "Feedback is noted, and refused for an unknown id", points=1, after="threads", hints={
    "unnoted": Hint("What was right is not in the column truth: {received}.", "feedback(request_id, label) notes it."),
    "silent": Hint(
        "feedback for an id that nobody was given was taken without a word.",
        "An UPDATE that finds no row is no error to SQLite: it says how many rows it changed.",
    ),
    "refused": Hint("feedback for a prediction that is there: {received}.", "Notes what was right, and says nothing."),
})  # fmt: skip
def feedback(answer: Answer, case: Case) -> None:
    sent = events(case, 10)
    recorder, _, _, shared = _recorded(answer, case, sent)
    _rows(shared, case, len(sent))
    one, label = sent[3].request_id, LABELS[int(case.rng.integers(len(LABELS)))]
    refused, why = _refused(recorder, one, label)
    case.expect(not refused, "Feedback on a known prediction was refused.", hint="refused", expected="no error",
                received=why)  # fmt: skip
    truths = {row.get("request_id"): row.get("truth") for row in _rows(shared, case, len(sent))}
    noted = [name for name, truth in truths.items() if truth in (label, LABELS.index(label)) and truth is not None]
    case.expect(noted == [one], "The feedback is not at its prediction.", hint="unnoted", expected=label,
                received=truths.get(one))  # fmt: skip
    unknown = case.rng.bytes(16).hex()
    refused, _ = _refused(recorder, unknown, label)
    grown = len(_rows(shared, case, len(sent))) != len(sent)
    case.expect(refused and not grown, "Feedback for an unknown id was taken.", hint="silent",
                expected="an error, or False", received="nothing")  # fmt: skip


def _refused(recorder: Any, request_id: str, label: str) -> tuple[bool, str]:
    try:
        said = recorder.feedback(request_id, label)
    except Failed as failed:  # raised in the sandbox
        return True, failed.message
    except Exception as error:
        return True, f"{type(error).__name__}: {error}"
    return said is False, repr(said)


@exercise.check("private", "No image and no address is stored", points=1, after="threads", hints={
    "image": Hint(
        "The image of {received} can be read in the file.",
        "What was worn by whom is nobody's business; statistics of the image are enough to see that the world moved.",
    ),
    "address": Hint("The address {received} stands in the file.", "It tells who asked, and nothing about the model."),
})  # fmt: skip
def private(answer: Answer, case: Case) -> None:
    sent = events(case, 5)
    _, _, _, shared = _recorded(answer, case, sent)
    _rows(shared, case, len(sent))
    content = b"".join(shared.read(name) or b"" for name in shared.files())
    case.expect(ADDRESS.encode() not in content, "An address is stored.", hint="address", expected="none",
                received=ADDRESS)  # fmt: skip
    seen = next((one for one in sent if any(form in content for form in _forms(one.images[0]))), None)
    cells = [len(cell) for row in read(shared, case) or [] for cell in row.values() if isinstance(cell, str | bytes)]
    if max(cells, default=0) > LONG:  # packed in some other way: nothing else is so long
        seen = seen or sent[0]
    case.expect(seen is None, "An image is stored.", hint="image", expected="none",
                received=seen.request_id if seen else "")  # fmt: skip


def _forms(image: Any) -> list[bytes]:
    """Return what the middle of an image looks like in a file, however it was written there."""
    row = image[14]
    scaled = [(row / np.float64(255)).astype(kind).tobytes() for kind in (np.float32, np.float64)]
    whole = base64.b64encode(image.tobytes())
    listed = [sep.join(map(str, row.tolist())).encode() for sep in (", ", ",", " ")]
    return [
        row.tobytes(),
        row.astype(np.float32).tobytes(),
        *scaled,
        whole[200:260],
        row.tobytes().hex().encode(),
        *listed,
    ]
