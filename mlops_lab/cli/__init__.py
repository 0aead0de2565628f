"""The command line: every command calls one function of the package and prints its result."""

from __future__ import annotations

import json
import sys

import click

import mlops_lab
from mlops_lab.cli.answering import predict, serve
from mlops_lab.cli.deploying import deploy
from mlops_lab.cli.files import check, migrate
from mlops_lab.cli.grading import grade
from mlops_lab.cli.lab import demo, doctor, train
from mlops_lab.cli.looping import pipeline
from mlops_lab.cli.monitoring import monitor
from mlops_lab.cli.options import echo
from mlops_lab.cli.releasing import measure, validate
from mlops_lab.cli.teaching import course, start
from mlops_lab.cli.versions import models
from mlops_lab.errors import LabError, NotFound, WrongUsage


class InOrder(click.Group):
    """Lists the commands in the order of the model lifecycle, not alphabetically."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they were added."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mlops_lab.__version__, prog_name="mlops-lab")
def commands() -> None:
    """Learn MLOps by doing it: train, store, serve, classify, on one laptop, offline."""


def main() -> None:
    """Run the command line; errors are printed as messages, not as tracebacks."""
    try:
        commands(standalone_mode=False)
    except click.exceptions.Exit as exit:
        sys.exit(exit.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except LabError as error:
        sys.exit(_report(error))


def _report(error: LabError) -> int:
    """Print an error as text or JSON, and return the exit status."""
    if "--json" in sys.argv:
        echo(json.dumps(error.to_dict(), ensure_ascii=False))
    else:
        echo(f"error: {error.message}", err=True)
        if error.hint:
            echo(f"  try: {error.hint}", err=True)
    return 2 if isinstance(error, WrongUsage | NotFound) else 1


for command in (
    start,
    demo,
    doctor,
    train,
    check,
    migrate,
    predict,
    serve,
    models,
    validate,
    measure,
    deploy,
    monitor,
    pipeline,
    grade,
    course,
):
    commands.add_command(command)
