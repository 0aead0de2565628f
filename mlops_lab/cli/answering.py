"""The commands ``mlops-lab serve`` and ``predict``."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mlops_lab.cli.options import api_key, echo, prints, reads_models, trusts
from mlops_lab.errors import BadRequest, WrongUsage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@click.argument("images", nargs=-1, type=click.Path())
@click.option(
    "--batch",
    nargs=2,
    metavar="IN OUT",
    type=click.Path(),
    help="Instead of images: answer all rows of IN (.npz, .parquet, or a folder of images) and write OUT (.npz,"
    " .parquet or .csv). Run again after an interruption, it goes on where it stopped.",
)
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1), help="Processes that compute a batch."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--name", default="clothes", show_default=True, help="Name of the model.")
@click.option("--version", default="latest", show_default=True, help="Version: v3, an alias, or latest.")
@reads_models
@trusts
@click.option("--url", help="Send the images to the server at this URL instead of loading the model.")
@api_key
@prints
def predict(
    images: tuple[str, ...], name: str, version: str, folder: str, trusted: tuple[str, ...], url: str | None,
    api_key: str | None, batch: tuple[str, str] | None, processes: int, overwrite: bool,
) -> tuple[Any, str]:  # fmt: skip
    """Classify PNG or JPEG images, or all rows of a file."""
    if batch:
        if images or url:
            raise WrongUsage("--batch goes with neither images nor --url.", "Name the rows as IN, and leave --url out.")
        return _predict_batch(*batch, name, version, folder, trusted, processes=processes, overwrite=overwrite)
    if not images:
        raise click.UsageError("Missing argument 'IMAGES...', or the option '--batch IN OUT'.")
    from mlops_lab.client import Client

    if url:
        answer = Client(url, models=folder, api_key=api_key).classify(name, version, images).response
    else:
        from mlops_lab import store

        predictor = store.ModelStore(folder, trusted).load(name, version)
        pixels = [_read_image(path, predictor.input.mode) for path in images]
        predictions = [item.to_dict() for item in predictor.predict(pixels)]
        answer = {"model": name, "version": f"v{predictor.version}", "predictions": predictions}
    found = answer["predictions"]
    lines = [f"{path}: {item['label']} ({item['confidence']:.1%})" for path, item in zip(images, found, strict=True)]
    return {**answer, "files": list(images)}, "\n".join(lines)


def _predict_batch(
    source: str, out: str, name: str, version: str, folder: str, trusted: tuple[str, ...], **options: Any
) -> tuple[Any, str]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from mlops_lab import batch, store

    models = store.ModelStore(folder, trusted)
    number = models.resolve(name, version)  # once, so that every process loads the same
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{name} v{number}", total=None)
        load = partial(models.load, name, number)
        report = batch.predict(
            load, source, out, on_rows=lambda done, total: bar.update(task, completed=done, total=total), **options
        )
    if report.failed:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return report.to_dict(), str(report)


def _read_image(path: str, mode: str) -> NDArray[np.uint8]:
    """Return the pixels of an image file; an error names the file."""
    from mlops_lab.client.encoding import read_file
    from mlops_lab.image import decode

    try:
        return decode(read_file(path), mode)
    except BadRequest as error:
        raise error.about(path) from error


@click.command()
@reads_models
@trusts
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    envvar="PORT",
    help="0 picks a free one; the default can be set by the variable PORT.",
)
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Answer gRPC too; 0 picks a free port.")
@click.option(
    "--access-log",
    is_flag=False,
    flag_value="stdout",
    type=click.Choice(["stdout", "stderr"]),
    help="Log each request as one line of JSON, by default to stdout.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    envvar="MLOPS_LAB_API_KEY",
    help="Require this API key, or one of several. MLOPS_LAB_API_KEY is safer: other users of this machine can read a"
    " command line.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    help="Also answer requests for this host name, as behind a proxy; * answers any. On 127.0.0.1 only the names of"
    " loopback are answered.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    help="Let web pages of this origin, such as http://localhost:3000, read the answers in a browser; * lets all. By"
    " default only the server's own pages may.",
)
@click.option("--chains", help="Folder of the chains; by default 'chains' next to the models folder.")
@click.option("--shadow-log", help="Append the comparisons with a shadow version to this file, as lines of JSON.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Number of worker processes, each with its own copy of the models (Linux and macOS).",
)
@click.option(
    "--batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Maximum batch size of dynamic batching over concurrent requests; 1 turns it off.",
)
@click.option(
    "--batch-wait-ms",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="Maximum time that the first request of a batch waits; 0 batches what arrives during inference.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Change one of the server's limits, such as body_bytes=8388608, batch=512 or request_seconds=60; may be given"
    " several times. docs/operations.md lists them.",
)
@click.option("--log", help="Write each prediction into this SQLite file, or to this postgresql:// address.")
@click.option("--durable", is_flag=True, help="With --log: an answer goes out once its prediction is on the disk.")
@click.option("--log-images", is_flag=True, help="With --log: keep the images too, for seven days.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True, help="End with the program that started this one.")
def serve(folder: str, workers: int, limits: tuple[str, ...], until_stdin_closes: bool, **options: Any) -> None:
    """Serve all models of a folder over HTTP, and optionally gRPC, until SIGTERM or Ctrl-C."""
    from mlops_lab.serve.command import Settings, run

    if until_stdin_closes:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = Settings(folder, workers=workers, limits=dict(map(_read_limit, limits)), **options)
    settings.make_limits()  # a limit that is none is an error before anything is loaded
    warn = partial(echo, err=True)
    if settings.log:
        from mlops_lab.monitor.command import run as run_logged

        return run_logged(settings, echo, warn)
    if settings.durable or settings.log_images:
        raise click.UsageError("--durable and --log-images need --log FILE.")
    if workers == 1:
        return run(settings, _announce, warn)
    from mlops_lab.serve.workers import supervise

    supervise(settings, _announce, warn)


def _end_with_parent() -> None:
    """End as on SIGTERM once the program that holds our standard input open is gone, however it ended."""
    os.read(0, 1)  # it writes nothing
    os.kill(os.getpid(), signal.SIGTERM)


def _announce(lines: str) -> None:
    """Print where the server answers; for people, who sit at a terminal, also what to do there."""
    echo(lines)
    if sys.stdout.isatty():
        url = lines.split()[1]
        click.echo(f"Open {url} in a browser to ask a model, and {url}/docs for the API.")
        click.echo("Ctrl-C stops it; --access-log prints a line for each request.")


def _read_limit(text: str) -> tuple[str, float]:
    """Return the name and the number of ``NAME=NUMBER``."""
    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number.replace("_", ""))
    except ValueError:
        raise WrongUsage(f"The limit {text[:80]!r} is not NAME=NUMBER.", "Such as --limit batch=512.") from None
