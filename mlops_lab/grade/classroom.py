"""Grade a whole class: in parallel, resumable, with a dashboard and a table for spreadsheets."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from mlops_lab.errors import LabError, NotFound
from mlops_lab.files import write_atomically
from mlops_lab.grade import secret
from mlops_lab.grade.dashboard import class_page
from mlops_lab.grade.exercises import Exercise
from mlops_lab.grade.report import Report
from mlops_lab.grade.results import amount
from mlops_lab.grade.runner import Grading, digest, grade_submission, refused
from mlops_lab.grade.sandbox import choose

SECRET = ".secret"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
RETRIES = 2


def submissions(root: Path) -> list[Path]:
    """Return the folders of a class, one for each submission.

    Raises
    ------
    NotFound
        There are none.
    """
    found = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")) \
        if root.is_dir() else []  # fmt: skip
    if not found:
        raise NotFound(f"There is no submission in {root}.", "Give a folder with one folder for each submission.")
    return found


def grade_class(
    root: str | Path, out: str | Path, grading: Grading, *, workers: int = 0,
    on_done: Callable[[Report], None] = lambda report: None,
) -> list[Report]:  # fmt: skip
    """Grade every folder of a class.

    What was graded already with the same secret, files, sandbox and points is not graded again, so a class that was
    interrupted goes on where it stood.

    Parameters
    ----------
    root
        The folder of the class.
    out
        Where ``NAME.json``, ``NAME.html``, ``index.html`` and ``grades.csv`` are written.
    grading
        How; a random secret is kept in ``out`` for the next run.
    workers
        How many at a time; by default one for each core.
    on_done
        Called with each report.
    """
    root, out = Path(root), Path(out)
    folders = submissions(root)
    out.mkdir(parents=True, exist_ok=True)
    workers = workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or 1
    reports = {}
    waiting = []
    for folder in folders:
        before = _graded_before(out, folder, grading)
        if before is None:
            waiting.append(folder)
        else:
            reports[folder] = before
            on_done(before)
    for folder, report in _run(waiting, grading, workers):
        _save(report, out, folder)
        reports[folder] = report
        on_done(report)
    all_reports = [reports[folder] for folder in folders]
    write_summary(all_reports, folders, out, grading.exercises())
    return all_reports


def class_secret(out: Path) -> bytes:
    """Return the secret of a class: the one kept beside its reports, or a new one."""
    path = out / SECRET
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret.read(None))
    return secret.read(path)


def file_name(folder: Path) -> str:
    """Return the name of a submission's report: letters that every file system and browser takes.

    Examples
    --------
    >>> file_name(Path("ann")), file_name(Path("a b"))[:4], len(file_name(Path("x" * 250))) < 80
    ('ann', 'a_b-', True)
    """
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in folder.name)[:60]
    if plain == folder.name:
        return plain
    return f"{plain}-{hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:8]}"


def _graded_before(out: Path, folder: Path, grading: Grading) -> Report | None:
    try:
        values = json.loads((out / f"{file_name(folder)}.json").read_text(encoding="utf-8"))
        report = Report.from_dict(values)
        files = digest(folder)
    except (OSError, ValueError, LabError):
        return None
    exercises = grading.exercises()
    same = report.secret == secret.digest(grading.secret) and list(report.asked) == [one.id for one in exercises]
    same = same and report.sandbox.get("name") == choose(grading.sandbox, docker=grading.docker).name
    # With Docker, or after a change of the rubric, an exercise has other points.
    worth = {one.id: one.max_points for one in exercises}
    same = same and all(worth.get(one.id) == one.max_points for one in report.exercises())
    if not (same and report.sha256 and report.sha256 == files):
        return None
    return replace(report, core=frozenset(one.id for one in exercises if one.core))  # the file does not hold it


def _save(report: Report, out: Path, folder: Path) -> None:
    """Write a report, each file in one step; the JSON last, because it says that the submission is graded."""
    name = file_name(folder)
    for suffix in (".html", ".json"):
        write_atomically(out / f"{name}{suffix}", report.text(suffix).encode())


def _run(folders: list[Path], grading: Grading, workers: int) -> Iterator[tuple[Path, Report]]:
    """Grade in processes of their own; one that dies takes no other submission with it.

    After a death the submissions are graded one by one until it is known whose it was: only deaths alone count.
    """
    tries = dict.fromkeys(folders, 0)
    alone = False
    while tries:
        try:
            yield from _round(list(tries), grading, 1 if alone else workers, tries)
        except BrokenProcessPool:
            known = [one for one, tried in tries.items() if tried > RETRIES]
            alone = not known
            for folder in known:
                del tries[folder]
                yield folder, refused(folder, grading, LabError("The grader's process died several times."))


def _round(
    folders: list[Path], grading: Grading, workers: int, tries: dict[Path, int]
) -> Iterator[tuple[Path, Report]]:
    context = get_context("spawn")
    cores = context.Queue()
    for core in range(workers):
        cores.put(core)
    with ProcessPoolExecutor(workers, context, _pin, (cores,)) as pool:
        running: dict[Future[Report], Path] = {}
        left = list(folders)
        while left or running:
            while left and len(running) < workers:
                folder = left.pop(0)
                tries[folder] += workers == 1
                running[pool.submit(grade_submission, folder, grading)] = folder
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                folder = running.pop(done)
                report = done.result()
                tries.pop(folder, None)
                yield folder, report


def _pin(cores: object) -> None:
    """Keep each worker, and what it starts, on a core of its own: two submissions do not slow each other."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        number = cores.get()  # type: ignore[attr-defined]
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})


def write_summary(reports: list[Report], folders: list[Path], out: Path, exercises: list[Exercise]) -> None:
    """Write the dashboard and the table."""
    names = [file_name(folder) for folder in folders]
    (out / "index.html").write_text(class_page(reports, names, exercises), encoding="utf-8")
    with open(out / "grades.csv", "w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(["submission", "score", "max_score", "passed", "unjudged", *(one.id for one in exercises)])
        for report in reports:
            points = {one.id: one.points for one in report.exercises()}
            row = [report.submission, amount(report.score), amount(report.max_score),
                   "yes" if report.passed else "no", amount(report.unjudged)]  # fmt: skip
            table.writerow([safe(one) for one in row] + [amount(points.get(one.id, 0.0)) for one in exercises])


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> safe("=HYPERLINK(1)"), safe("Ann")
    ("'=HYPERLINK(1)", 'Ann')
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell
