"""The commands for model files: ``mlops-lab check`` and ``migrate``."""

from __future__ import annotations

import sys
from typing import Any

import click

from mlops_lab.cli.options import prints


@click.command()
@click.argument("file", type=click.Path())
@click.option("--for", "target", help="Target environment: keras==3.4.1 or tensorflow==2.15.1.")
@prints
def check(file: str, target: str | None) -> tuple[Any, str]:
    """Check whether a model file is compatible and safe, without loading it. Exit 1 if it is not."""
    from mlops_lab.store import check

    report = check(file, target)
    if not (report.loads and report.safe):
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return report.to_dict(), str(report)


@click.command()
@click.argument("file", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--for", "target", help="Target environment: keras==3.4.1 or tensorflow==2.15.1.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@prints
def migrate(file: str, out: str, target: str | None, overwrite: bool) -> tuple[Any, str]:
    """Convert a .keras file for another version of Keras, if that is possible without loss."""
    from mlops_lab.store import migrate

    report = migrate(file, out, target, overwrite=overwrite)
    return report.to_dict(), str(report)
