"""The commands ``mlops-lab serve`` and ``predict``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from mlops_lab.cli.options import api_key, in_models, prints
from mlops_lab.errors import BadRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--name", default="clothes", show_default=True, help="Name of the model.")
@click.option("--version", default="latest", show_default=True, help="Version: v3, an alias, or latest.")
@in_models
@click.option("--url", help="Send the images to the server at this URL instead of loading the model.")
@api_key
@prints
def predict(
    images: tuple[str, ...], name: str, version: str, folder: str, url: str | None, api_key: str | None
) -> tuple[Any, str]:
    """Classify PNG or JPEG images."""
    from mlops_lab.client import Client

    if url:
        answer = Client(url, models=folder, api_key=api_key).classify(name, version, images).response
    else:
        from mlops_lab import store

        predictor = store.ModelStore(folder).load(name, version)
        pixels = [_read_image(path, predictor.input.mode) for path in images]
        predictions = [item.to_dict() for item in predictor.predict(pixels)]
        answer = {"model": name, "version": f"v{predictor.version}", "predictions": predictions}
    found = answer["predictions"]
    lines = [f"{path}: {item['label']} ({item['confidence']:.1%})" for path, item in zip(images, found, strict=True)]
    return {**answer, "files": list(images)}, "\n".join(lines)


def _read_image(path: str, mode: str) -> NDArray[np.uint8]:
    """Return the pixels of an image file; an error names the file."""
    from mlops_lab.client.encoding import read_file
    from mlops_lab.image import decode

    try:
        return decode(read_file(path), mode)
    except BadRequest as error:
        raise error.about(path) from error


@click.command()
@in_models
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
@click.option("--log", help="Write each prediction into this SQLite file, or to this postgresql:// address.")
@click.option("--durable", is_flag=True, help="With --log: an answer goes out once its prediction is on the disk.")
@click.option("--log-images", is_flag=True, help="With --log: keep the images too, for seven days.")
def serve(folder: str, workers: int, **options: Any) -> None:
    """Serve all models of a folder over HTTP, and optionally gRPC, until SIGTERM or Ctrl-C."""
    from mlops_lab.serve.command import Settings, run

    settings = Settings(folder, workers=workers, **options)
    warn = partial(click.echo, err=True)
    if settings.log:
        from mlops_lab.monitor.command import run as run_logged

        return run_logged(settings, click.echo, warn)
    if settings.durable or settings.log_images:
        raise click.UsageError("--durable and --log-images need --log FILE.")
    if workers == 1:
        return run(settings, click.echo, warn)
    from mlops_lab.serve.workers import supervise

    supervise(settings, click.echo, warn)
