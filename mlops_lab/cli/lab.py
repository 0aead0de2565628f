"""The commands ``mlops-lab demo``, ``doctor`` and ``train``."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from mlops_lab.cli.options import as_json, echo, in_models, prints, to_change
from mlops_lab.errors import WrongUsage


@click.command()
@click.option("--epochs", default=4, show_default=True, type=click.IntRange(1), help="Number of epochs.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option("--out", default="demo", show_default=True, help="Output folder.")
@as_json
def demo(epochs: int, seed: int, out: str, as_json: bool) -> None:
    """Run the demonstration: train, save, reload, serve, and classify every test image over HTTP."""
    from rich.console import Console

    from mlops_lab.demo import run_demo
    from mlops_lab.train import TrainConfig

    console = Console(stderr=as_json, soft_wrap=True)
    result = run_demo(Path(out), TrainConfig(epochs=epochs, seed=seed), console)
    if as_json:
        echo(json.dumps(result.to_dict()))


@click.command()
@in_models
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to check.")
@prints
def doctor(folder: str, port: int) -> tuple[Any, str]:
    """Diagnose common problems of the environment. Exit 1 if a check fails."""
    from mlops_lab.doctor import examine

    checkup = examine(folder, port)
    if not checkup.passed:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return checkup.to_dict(), str(checkup)


@click.command()
@click.option(
    "--data", "dataset", default="fashion-mnist", show_default=True, help="Data set: fashion-mnist or digits."
)
@click.option("--name", default="clothes", show_default=True, help="Name of the published model.")
@in_models
@click.option(
    "--epochs", type=click.IntRange(1), show_default="4; 20 for the course's recipe", help="Number of epochs."
)
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@click.option(
    "--recipe", type=click.Choice(["lab", "course"]), default="lab", show_default=True, help="Training configuration."
)
@click.option("--limit", type=int, help="Number of training examples, for a quick run.")
@click.option("--save", type=click.Path(), help="Also save the model as a .keras file.")
@click.option("--description", default="", help="Description of the model.")
@prints
def train(
    dataset: str,
    name: str,
    folder: str,
    epochs: int | None,
    seed: int,
    recipe: str,
    limit: int | None,
    save: str | None,
    description: str,
) -> tuple[Any, str]:
    """Train a model and publish it as a new version."""
    from mlops_lab import data, store
    from mlops_lab import train as training
    from mlops_lab.store.names import check_name

    check_name(name)  # before minutes of training
    if save and (dataset == "digits" or not save.endswith(".keras")):
        raise WrongUsage(
            f"--save {save}: only a Keras model can be saved as a file.", "Pass a path that ends in .keras."
        )
    images = data.load(dataset, limit=limit, seed=seed)
    models = store.ModelStore(to_change(folder))
    models.prepare(name)
    if dataset == "digits":
        run = training.fit_sklearn(images, seed=seed)
    else:
        config = training.TrainConfig.course() if recipe == "course" else training.TrainConfig()
        config = dataclasses.replace(config, seed=seed, epochs=epochs or config.epochs)
        run = training.fit(images, config, progress="--json" not in sys.argv)
    if save:
        store.save_keras(run.model, save)
    published = models.publish(run, name, description=description)
    return {**run.to_dict(), "published": published.to_dict()}, f"{run}\npublished {published} in {published.path}"
