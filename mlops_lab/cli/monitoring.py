"""The command line of stage 7: ``mlops-lab monitor report``, ``drift``, ``dashboard`` and ``reference``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mlops_lab.cli.options import in_models, prints, to_change

LOG = click.option("--log", required=True, help="The prediction log: a file, or a postgresql:// address.")
MODEL = click.option("--model", help="Which model, where the log knows several.")
VERSION = click.option("--version", type=click.IntRange(1), help="Its version; by default the newest in the log.")
HOURS = click.option("--hours", type=click.FloatRange(0, min_open=True), help="Look at the last so many hours only.")


@click.group()
def monitor() -> None:
    """Look at what was answered: whether it has changed, and whether that hurts."""


@monitor.command()
@LOG
@in_models
@MODEL
@VERSION
@HOURS
@prints
def report(log: str, folder: str, model: str | None, version: int | None, hours: float | None) -> tuple[Any, str]:
    """Report on a version, by hour, from its summaries."""
    from mlops_lab import monitor as stage

    found = stage.report(log, folder, model, version, since=_since(hours))
    return found.to_dict(), str(found)


@monitor.command()
@LOG
@in_models
@MODEL
@VERSION
@click.option("--last", default=1000, show_default=True, type=click.IntRange(1), help="The newest so many predictions.")
@prints
def drift(log: str, folder: str, model: str | None, version: int | None, last: int) -> tuple[Any, str]:
    """Compare the newest predictions with the version's reference. Exit 1 if the change is harmful."""
    from mlops_lab import monitor as stage

    verdict = stage.compare_log(log, folder, model, version, last=last)
    if verdict.harmful:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return verdict.to_dict(), str(verdict)


@monitor.command()
@LOG
@in_models
@MODEL
@VERSION
@HOURS
@click.option("--out", default="monitor.html", show_default=True, help="The file to write.")
@prints
def dashboard(
    log: str, folder: str, model: str | None, version: int | None, hours: float | None, out: str
) -> tuple[Any, str]:
    """Write the report as one HTML file."""
    from mlops_lab import monitor as stage

    found = stage.report(log, folder, model, version, since=_since(hours))
    Path(out).write_text(stage.page(found), encoding="utf-8")
    return {**found.to_dict(), "file": out}, f"{out}: {found.verdict.reason}"


@monitor.command()
@click.argument("name")
@in_models
@click.option("--version", default="latest", show_default=True, help="Version: v3, an alias, or latest.")
@click.option("--data", "data_set", help="Data set with held-out test images; by default what it was trained on.")
@prints
def reference(name: str, folder: str, version: str, data_set: str | None) -> tuple[Any, str]:
    """Make the reference of a version from held-out data, or add to it what disturbed images teach; keep it there."""
    from mlops_lab import data, store
    from mlops_lab import monitor as stage

    models = store.ModelStore(to_change(folder))
    if data_set:
        found = stage.store_reference(models, name, version, data.load(data_set).test)
    else:
        found = stage.find_reference(models, name, version)
    words = f"{found.model} v{found.version}: {found.accuracy:.4f} on {found.summary.count:,} held-out examples"
    return found.to_dict(), words


def _since(hours: float | None) -> float:
    import time

    return 0.0 if hours is None else time.time() - 3600 * hours
