"""``mlops-lab pipeline`` with a file: run the loop, show its history, write its workflow; and simulate a day."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mlops_lab.cli.options import as_json, echo
from mlops_lab.cli.releasing import pipeline
from mlops_lab.errors import WrongUsage


def run_file(path: str, until: str, as_json: bool) -> None:
    """Run the loop of a file, and end with 1 where something is wrong."""
    from rich.console import Console

    from mlops_lab.pipeline import ConsoleReporter, run_loop

    done = run_loop(path, ConsoleReporter(Console(stderr=as_json)), until=until)
    echo(json.dumps(done.to_dict(), ensure_ascii=False) if as_json else done.summary)
    if not done.passed:
        sys.exit(1)


def show_file(path: str, html: str | None, as_json: bool) -> None:
    """Show the history of a loop, and end with 1 where something is wrong."""
    from mlops_lab.pipeline import read_history

    found = read_history(path)
    if html:
        _write(html, found.page())
    echo(json.dumps(found.to_dict(), ensure_ascii=False) if as_json else str(found))
    if found.runs and found.runs[-1].state != "running" and not found.runs[-1].passed:
        sys.exit(1)


def only_a_file(context: click.Context, path: str, allowed: tuple[str, ...]) -> None:
    """Raise where an option is given that a file decides.

    Raises
    ------
    WrongUsage
        The message names it.
    """
    source = click.core.ParameterSource.COMMANDLINE
    others = [one for one in context.command.params if one.name and one.name not in allowed]
    given = [one.opts[0] for one in others if context.get_parameter_source(str(one.name)) is source]
    if given:
        raise WrongUsage(f"{given[0]} does not go with {path}, which holds the settings.", f"Set it in {path}.")


def _write(path: str, text: str) -> None:
    from mlops_lab.files import write_atomically

    write_atomically(Path(path), text.encode())


@pipeline.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--out", type=click.Path(file_okay=False), help="Folder to write into; by default it is only shown.")
@as_json
def workflow(file: str, out: str | None, as_json: bool) -> None:
    """Generate a GitHub Actions workflow that runs the loop of FILE."""
    from mlops_lab.pipeline.loop.workflow import render_workflow

    files = render_workflow(file)
    for path, text in files.items():
        if out:
            _write(str(Path(out, path)), text)
    echo(json.dumps(files) if as_json else "\n".join(f"{out}/{path}" if out else text for path, text in files.items()))


@pipeline.command()
@click.option("--fast", is_flag=True, help="Digits and a small network: no TensorFlow.")
@click.option("--out", type=click.Path(file_okay=False), help="Folder to keep models, log and history in.")
@click.option("--html", type=click.Path(dir_okay=False), help="File for the drawing.")
@as_json
def day(fast: bool, out: str | None, html: str | None, as_json: bool) -> None:
    """Simulate two days of production: a shift at noon that is learned, and a broken camera that is not."""
    from mlops_lab import pipeline as stage

    def show_hour(hour: stage.Hour) -> None:
        echo(f"{hour.clock}  {hour.world:10} {hour.accuracy:.2f} right", err=as_json)

    done = stage.day(out, fast=fast, watch=show_hour)
    if html:
        _write(html, done.page())
    echo(json.dumps(done.to_dict(), ensure_ascii=False) if as_json else str(done))
