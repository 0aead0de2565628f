"""The commands ``mlops-lab start`` and ``course``: a student's folder, and the notebooks that it comes from."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mlops_lab.cli.options import prints


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@prints
def start(folder: Path) -> tuple[Any, str]:
    """Make FOLDER: the notebooks, models of your own, and an api.py and a Dockerfile to go on with."""
    from mlops_lab import course as room

    started = room.start(folder)
    return started.to_dict(), str(started)


@click.group()
def course() -> None:
    """Build the notebooks from their sources, and make assignments of them; in a clone of the project."""


@course.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a notebook is not what its source gives.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the notebooks; by default the clone's.")
@click.option(
    "--pages",
    type=click.Path(path_type=Path),
    help="Also run them, which takes minutes, and write the pages of the site into this folder.",
)
@click.option("--full", is_flag=True, help="Keep the cells that take minutes; give --out as well.")
@prints
def build(check: bool, out: Path | None, pages: Path | None, full: bool) -> tuple[Any, str]:
    """Write the student's notebook and the solution of every source."""
    from mlops_lab import course as room
    from mlops_lab.errors import WrongUsage

    if full and out is None:
        raise WrongUsage("--full needs --out: the notebooks of the clone are the fast ones.", "Add --out FOLDER.")
    built = room.build(out=out, check=check, full=full)
    if pages is not None and not check:
        built = replace(built, files=(*built.files, *room.build_pages(pages, report=_say).files))
    if check and built.stale:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    word = "is not what its source gives: run mlops-lab course build" if check else "written"
    lines = [f"{path.name} {word}" for path in built.stale] or [f"{len(built.files)} files are up to date"]
    return built.to_dict(), "\n".join(lines)


def _say(line: str) -> None:
    click.echo(line, err=True)


@course.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "kind",
    default="plain",
    show_default=True,
    type=click.Choice(["otter", "nbgrader", "plain"]),
    help="The grader that takes it.",
)
@click.option("--only", default="", help="Notebooks, with commas: 01_data,03_store.")
@click.option("--secret", type=click.Path(path_type=Path, exists=True), help="Draw held-out cases from this file.")
@click.option("--rubric", type=click.Path(path_type=Path, exists=True), help="A folder of exercises of your own.")
@prints
def release(out: Path, kind: str, only: str, secret: Path | None, rubric: Path | None) -> tuple[Any, str]:
    """Write assignments into OUT: for students, and what only you may have."""
    from mlops_lab import course as room

    chosen = [word.strip() for word in only.split(",") if word.strip()]
    released = room.release(out, kind, only=chosen, secret=secret, rubric=rubric)
    return released.to_dict(), str(released)
