"""Shared options of the commands, and the output of their results."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from mlops_lab import show

Command = TypeVar("Command", bound=Callable[..., Any])


def echo(text: str, *, err: bool = False) -> None:
    """Print text to the terminal; what a foreign file holds cannot control it."""
    click.echo(show.harmless(text), err=err)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
in_models = click.option("--models", "folder", default="models", show_default=True, help="Models folder.")


def _or_shipped(context: click.Context, _: click.Parameter, value: str | None) -> str:
    """Return the models folder to read: without --models and a folder 'models' here, the shipped one."""
    if value is not None or Path("models").exists():
        return value or "models"
    from mlops_lab.store.shipped import shipped_models

    echo(
        "There is no folder 'models' here: these are the shipped models. mlops-lab start FOLDER makes your own.",
        err=True,
    )
    return str(shipped_models())


reads_models = click.option(
    "--models", "folder", callback=_or_shipped, show_default="models, else the shipped ones", help="Models folder."
)
network = click.option(
    "--network", help="Docker network for the build, such as 'host' where builds have no network access."
)
trusts = click.option(
    "--trust",
    "trusted",
    multiple=True,
    metavar="DIGEST",
    help="Load the version with this digest although it is Python code, which runs when it is loaded; may be given"
    " several times, or as MLOPS_LAB_TRUST.",
)
api_key = click.option(
    "--api-key", envvar="MLOPS_LAB_API_KEY", help="API key of the server; safer in the environment variable."
)


def prints(function: Command) -> Command:
    """Add ``--json``, and print the result of a command, which is a pair of plain values and text."""

    @as_json
    @wraps(function)
    def command(*arguments: Any, as_json: bool, **options: Any) -> None:
        values, text = function(*arguments, **options)
        if as_json:
            echo(json.dumps(values, ensure_ascii=False))
        elif text:
            echo(text)

    return command  # type: ignore[return-value]
