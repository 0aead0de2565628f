"""Answers: ``mlops-lab serve`` gives them over HTTP, ``predict`` asks for one."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from mlops_lab.cli.options import api_key, in_models, prints


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--name", default="clothes", show_default=True, help="Of the model.")
@click.option("--version", default="latest", show_default=True, help="v3, an alias, or latest.")
@in_models
@click.option("--url", help="Ask the server at this address instead of loading the model.")
@api_key
@prints
def predict(
    images: tuple[str, ...], name: str, version: str, folder: str, url: str | None, api_key: str | None
) -> tuple[Any, str]:
    """Classify images, PNG or JPEG."""
    from mlops_lab.serve import codec
    from mlops_lab.serve.client import Client
    from mlops_lab.serve.client.packing import read_image

    if url:
        answer = Client(url, models=folder, api_key=api_key).classify(name, version, images).response
    else:
        from mlops_lab import store

        predictor = store.ModelStore(folder).load(name, version)
        pixels = [read_image(path, predictor.input.mode) for path in images]
        answer = codec.encode(name, predictor.version, predictor.predict(pixels))
    found = answer["predictions"]
    lines = [f"{path}: {item['label']} ({item['confidence']:.1%})" for path, item in zip(images, found, strict=True)]
    return {**answer, "files": list(images)}, "\n".join(lines)


@click.command()
@in_models
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    envvar="PORT",
    help="0 picks a free one; else the variable PORT counts, which platforms set.",
)
@click.option("--grpc-port", type=click.IntRange(0, 65535), help="Answer gRPC too; 0 picks a free port.")
@click.option(
    "--access-log",
    is_flag=False,
    flag_value="stdout",
    type=click.Choice(["stdout", "stderr"]),
    help="Write one line of JSON for each request; to stdout unless told otherwise.",
)
@click.option(
    "--api-key",
    "api_keys",
    multiple=True,
    envvar="MLOPS_LAB_API_KEY",
    help="Refuse whoever does not send this key, or one of several. Better set MLOPS_LAB_API_KEY: others on this"
    " machine can read a command line.",
)
@click.option("--chains", help="The folder of the chains; by default 'chains' beside the models.")
@click.option("--shadow-log", help="Append each comparison with a shadow version to this file, as a line of JSON.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that answer, each with the models in its memory; for Linux and macOS.",
)
@click.option(
    "--batch-size",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Compute up to so many images of requests that come together in one call of the model; 1 is off.",
)
@click.option(
    "--batch-wait-ms",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="How long the first request of a batch waits for others; 0: a batch is what came while the model computed.",
)
def serve(folder: str, workers: int, **options: Any) -> None:
    """Serve every model of a folder over HTTP, and gRPC if asked, until SIGTERM or Ctrl-C."""
    from mlops_lab.serve.command import Settings, run

    settings = Settings(folder, workers=workers, **options)
    warn = partial(click.echo, err=True)
    if workers == 1:
        return run(settings, click.echo, warn)
    from mlops_lab.serve.workers import supervise

    supervise(settings, click.echo, warn)
