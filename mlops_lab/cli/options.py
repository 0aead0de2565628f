"""Shared options of the commands, and the output of their results."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from mlops_lab import show

Command = TypeVar("Command", bound=Callable[..., Any])


def echo(text: str, *, err: bool = False) -> None:
    """Print text to the terminal; what a foreign file holds cannot control it."""
    click.echo(show.escape_controls(text), err=err)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
# The copy of the shipped models that commands change in a clone, whose own folder models/ is the shipped one.
OWN = "my-models"


def _is_shipped(folder: str) -> bool:
    from mlops_lab.store.shipped import PLACES

    return Path(folder).resolve() in PLACES


def _folder_here() -> str:
    """Return the models folder where none is named: 'models', or in a clone the copy that was made of it."""
    return OWN if Path(OWN).is_dir() and _is_shipped("models") else "models"


in_models = click.option("--models", "folder", default=_folder_here, show_default="models", help="Models folder.")


def to_change(folder: str) -> str:
    """Return the models folder that a command may write into; the shipped one is copied, unless --models names it."""
    source = click.get_current_context().get_parameter_source("folder")
    if source is not ParameterSource.DEFAULT or not _is_shipped(folder):
        return folder
    from mlops_lab.store.shipped import copy_models

    copy_models(Path(folder), Path(OWN))
    echo(f"{folder} came with the lab, and stays as it is: from now on commands take {OWN}, a copy of it.", err=True)
    return OWN


def _or_shipped(context: click.Context, _: click.Parameter, value: str | None) -> str:
    """Return the models folder to read: without --models and a folder 'models' here, the shipped one."""
    if value is not None or Path("models").exists():
        return value or _folder_here()
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
