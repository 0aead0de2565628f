"""Look around and train: ``mlops-lab demo``, ``doctor`` and ``train``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from mlops_lab.cli.options import as_json, in_models, prints
from mlops_lab.errors import WrongUsage


@click.command()
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
@click.option("--out", default="demo", show_default=True, help="The folder for what it makes.")
@as_json
def demo(epochs: int, seed: int, out: str, as_json: bool) -> None:
    """Run the main job: train, save, reload, serve, classify every test image over HTTP."""
    from rich.console import Console

    from mlops_lab.demo import run_demo
    from mlops_lab.train import TrainConfig

    console = Console(stderr=as_json, soft_wrap=True)
    result = run_demo(Path(out), TrainConfig(epochs=epochs, seed=seed), console)
    if as_json:
        click.echo(json.dumps(result.to_dict()))


@click.command()
@in_models
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@prints
def doctor(folder: str, port: int) -> tuple[Any, str]:
    """Find what usually breaks, and say how to mend it."""
    from mlops_lab.doctor import examine

    checkup = examine(folder, port)
    if not checkup.healthy:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return checkup.to_dict(), str(checkup)


@click.command()
@click.option("--data", "dataset", default="fashion-mnist", show_default=True, help="fashion-mnist or digits.")
@click.option("--name", default="clothes", show_default=True, help="Publish under this name.")
@in_models
@click.option("--epochs", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--recipe", type=click.Choice(["lab", "course"]), default="lab", show_default=True)
@click.option("--limit", type=int, help="Train on so many examples only, for a quick try.")
@click.option("--save", type=click.Path(), help="Save a single .keras file too.")
@click.option("--description", default="", help="One sentence for people.")
@prints
def train(
    dataset: str,
    name: str,
    folder: str,
    epochs: int,
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

    check_name(name)  # before the minutes of training, not after them
    if save and (dataset == "digits" or not save.endswith(".keras")):
        raise WrongUsage(f"--save {save}: a single file holds a Keras model.", "Take a path that ends in .keras.")
    images = data.load(dataset, limit=limit, seed=seed)
    models = store.ModelStore(folder)
    models.prepare(name)
    if dataset == "digits":
        run = training.fit_sklearn(images, seed=seed)
    else:
        course = training.TrainConfig.course(epochs, seed)
        config = course if recipe == "course" else training.TrainConfig(epochs=epochs, seed=seed)
        run = training.fit(images, config, progress="--json" not in sys.argv)
    if save:
        store.save_keras(run.model, save)
    published = models.publish(run, name, description=description)
    return {**run.to_dict(), "published": published.to_dict()}, f"{run}\npublished {published} in {published.path}"
