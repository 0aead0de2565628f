"""Single model files: ``mlops-lab check`` and ``migrate``."""

from __future__ import annotations

import sys
from typing import Any

import click

from mlops_lab.cli.options import prints


@click.command()
@click.argument("file", type=click.Path())
@click.option("--for", "target", help="Another environment: keras==3.4.1 or tensorflow==2.15.1.")
@prints
def check(file: str, target: str | None) -> tuple[Any, str]:
    """Tell whether a model file would load, and whether it is safe. Nothing is loaded."""
    from mlops_lab.store import check

    report = check(file, target)
    if not (report.loads and report.safe):
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return report.to_dict(), str(report)


@click.command()
@click.argument("file", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--for", "target", help="The environment that is to load it: keras==3.4.1 or tensorflow==2.15.1.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is there.")
@prints
def migrate(file: str, out: str, target: str | None, overwrite: bool) -> tuple[Any, str]:
    """Rewrite a .keras file for another version of Keras, where that loses nothing."""
    from mlops_lab.store import migrate

    report = migrate(file, out, target, overwrite=overwrite)
    return report.to_dict(), str(report)
