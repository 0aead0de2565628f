"""``mlops-lab grade``: one submission, a class, or one check again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from mlops_lab.cli.options import as_json, echo
from mlops_lab.errors import WrongUsage


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--only", default="", help="Stages or exercises, with commas: serve,deploy or serve-2.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write the report as a page of HTML.")
@click.option(
    "--docker",
    is_flag=True,
    help="Use Docker: build, run, ask and stop what the files describe; students' code runs in containers.",
)
@click.option("--secret", "secret_file", type=click.Path(path_type=Path), help="Draw held-out cases from this file.")
@click.option("--rubric", type=click.Path(path_type=Path), help="A folder of exercises of your own.")
@click.option("--sandbox", default="", help="docker, bubblewrap or limits; by default the highest.")
@click.option("--class", "root", type=click.Path(path_type=Path), help="Grade every folder of this one.")
@click.option("--out", type=click.Path(path_type=Path), help="With --class: where the reports are written.")
@click.option("--workers", default=0, type=click.IntRange(0), help="With --class: how many at a time.")
@click.option("--replay", nargs=2, default=None, metavar="REPORT CHECK", help="Repeat one check of a report.")
@click.option(
    "--export",
    type=click.Choice(["otter", "nbgrader", "gradescope"]),
    help="Write the checks for another grader.",
)
@click.option(
    "--install",
    default="mlops-lab",
    show_default=True,
    metavar="WHAT",
    help="With --export gradescope: what pip installs there; the file of a wheel is packed.",
)
@click.option("--list", "list_them", is_flag=True, help="List the exercises and their points.")
@as_json
def grade(
    folder: Path | None, only: str, page: Path | None, docker: bool, secret_file: Path | None, rubric: Path | None,
    sandbox: str, root: Path | None, out: Path | None, workers: int, replay: tuple[str, str] | None, export: str | None,
    install: str, list_them: bool, as_json: bool,
) -> None:  # fmt: skip
    """Grade the submission in FOLDER. Exit 0 where every core exercise that was attempted is full, else 1."""
    from mlops_lab.grade import secret
    from mlops_lab.grade.runner import Grading

    chosen = tuple(word.strip() for word in only.split(",") if word.strip())
    options: dict[str, Any] = {"only": chosen, "rubric": rubric, "docker": docker, "sandbox": sandbox}
    if list_them:
        return _list(Grading(**options), as_json)
    if export is not None:
        return _export(export, out, install, Grading(**options, secret=secret.read(secret_file)))
    if replay is not None:
        return _replay(replay, folder, secret_file, options, as_json)
    if root is not None:
        if out is None or folder is not None:
            raise WrongUsage("--class needs --out, and no other folder.", "mlops-lab grade --class ROOT --out REPORTS")
        return _class(root, out, secret_file, workers, options, as_json)
    if folder is None:
        raise WrongUsage("There is nothing to grade.", "mlops-lab grade FOLDER")
    _one(folder, page, Grading(**options, secret=secret.read(secret_file)), as_json)


def _list(grading: Any, as_json: bool) -> None:
    exercises = grading.exercises()
    if as_json:
        rows = [{"id": one.id, "title": one.title, "max_points": one.max_points} for one in exercises]
        echo(json.dumps({"exercises": rows}, ensure_ascii=False))
        return
    for one in exercises:
        echo(f"{one.id:12} {one.max_points:4g}  {one.title}" + ("" if one.core else " (stretch)"))


def _export(kind: str, out: Path | None, install: str, grading: Any) -> None:
    from mlops_lab.grade.exporters import gradescope, nbgrader, otter

    if out is None:
        raise WrongUsage("--export needs --out.", "mlops-lab grade --export otter --out FOLDER")
    exercises, rubric = grading.exercises(), str(grading.rubric) if grading.rubric else None
    out.mkdir(parents=True, exist_ok=True)
    if kind == "otter":
        otter.write(out / "autograder" / "tests", otter.files(exercises, secret=grading.secret, rubric=rubric))
        otter.write(out / "student" / "tests", otter.files(exercises, rubric=rubric))
    elif kind == "nbgrader":
        text = json.dumps(nbgrader.notebook(exercises, secret=grading.secret, rubric=rubric), indent=1)
        (out / "exercises.ipynb").write_text(text, encoding="utf-8")
    else:
        gradescope.autograder(out / "autograder.zip", grading.only, grading.secret, requirement=install, rubric=rubric)
    echo(f"{len(exercises)} exercises written to {out} for {kind}.")


def _one(folder: Path, page: Path | None, grading: Any, as_json: bool) -> None:
    from mlops_lab.grade import secret
    from mlops_lab.grade.runner import grade_submission

    report = grade_submission(folder, grading)
    secret.keep(grading.secret, folder)
    if page is not None:
        try:
            report.save(page.with_suffix(".html") if page.suffix != ".html" else page)
        except OSError as error:
            raise WrongUsage(f"{page} cannot be written: {error.strerror}.", "Give the path of a new file.") from error
    echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if as_json else str(report))
    sys.exit(0 if report.passed else 1)


def _class(
    root: Path, out: Path, secret_file: Path | None, workers: int, options: dict[str, Any], as_json: bool
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mlops_lab.grade import secret
    from mlops_lab.grade.classroom import class_secret, grade_class, submissions
    from mlops_lab.grade.report import Report
    from mlops_lab.grade.runner import Grading

    folders = submissions(root)
    drawn = secret.read(secret_file) if secret_file is not None else class_secret(out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("grading", total=len(folders))

        def done(report: Report) -> None:
            bar.update(task, advance=1, description=report.submission[:30].ljust(30))

        reports = grade_class(root, out, Grading(**options, secret=drawn), workers=workers, on_done=done)
    for folder in folders:
        secret.keep(drawn, folder)
    rows = [{"submission": one.submission, "score": one.score, "max_score": one.max_score, "passed": one.passed}
            for one in reports]  # fmt: skip
    summary = f"{len(reports)} submissions graded; open {out / 'index.html'}, or {out / 'grades.csv'}."
    echo(json.dumps({"reports": rows, "out": str(out)}, ensure_ascii=False) if as_json else summary)
    sys.exit(0)


def _replay(
    replay: tuple[str, str], folder: Path | None, secret_file: Path | None, options: dict[str, Any], as_json: bool
) -> None:
    from mlops_lab.grade import secret
    from mlops_lab.grade.report import Report
    from mlops_lab.grade.runner import Grading, grade_submission

    path, check = replay
    try:
        before = Report.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{path} is not a report: {error}.", "Give a file that grade --json wrote.") from error
    old = next((leaf for leaf in before.checks if leaf.id == check), None)
    if old is None:
        raise WrongUsage(f"{path} has no check {check!r}.", f"It has: {', '.join(one.id for one in before.checks)}.")
    drawn, place = (secret.read(secret_file), "") if secret_file else secret.find(before.secret, before.submission)
    if folder is None and not place:
        raise WrongUsage("It is not known where the submission stands.", "Give its folder first.")
    options["only"] = (check.split(".")[0],)
    again = grade_submission(folder or place, Grading(**options, secret=drawn, check=check, step=3))
    if before.sha256 and again.sha256 != before.sha256:
        echo("The submission's files are not those that the report was written about.", err=True)
    new = next(leaf for leaf in again.checks if leaf.id == check)
    if as_json:
        echo(json.dumps({"before": old.to_dict(), "again": new.to_dict()}, indent=1, ensure_ascii=False))
    else:
        echo("\n".join([f"before: {old}", f"again:  {new}", *new.evidence]))
    sys.exit(0 if new.full else 1)
