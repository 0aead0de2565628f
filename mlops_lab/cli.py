"""The command line. Thin: every command calls one function of the package and prints what it returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click

import mlops_lab
from mlops_lab.cli_deploy import deploy
from mlops_lab.cli_pipeline import measure, pipeline, validate
from mlops_lab.errors import LabError, NotFound, WrongUsage
from mlops_lab.show import plain

Command = TypeVar("Command", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
in_models = click.option("--models", "folder", default="models", show_default=True, help="The models folder.")


class InOrder(click.Group):
    """Shows the commands in the order of a model's life, not of the alphabet."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names in the order in which they were added."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mlops_lab.__version__, prog_name="mlops-lab")
def commands() -> None:
    """Learn MLOps by doing it: train, store, serve, classify, on one laptop, offline."""


def main() -> None:
    """Run the command line; errors are sentences, never tracebacks."""
    try:
        commands(standalone_mode=False)
    except click.exceptions.Exit as exit:
        sys.exit(exit.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except LabError as error:
        sys.exit(_report(error))


def _report(error: LabError) -> int:
    """Say an error the way the command was asked to speak; return the exit status."""
    if "--json" in sys.argv:
        click.echo(json.dumps(error.to_dict(), ensure_ascii=False))
    else:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"  try: {error.hint}", err=True)
    return 2 if isinstance(error, WrongUsage | NotFound) else 1


def _prints(function: Command) -> Command:
    """Add ``--json``, and print the value that a command returns: a pair of plain values and text."""

    @as_json
    @wraps(function)
    def command(*arguments: Any, as_json: bool, **options: Any) -> None:
        values, text = function(*arguments, **options)
        if as_json:
            click.echo(json.dumps(values, ensure_ascii=False))
        elif text:
            click.echo(text)

    return command  # type: ignore[return-value]


@commands.command()
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


@commands.command()
@in_models
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@_prints
def doctor(folder: str, port: int) -> tuple[Any, str]:
    """Find what usually breaks, and say how to mend it."""
    from mlops_lab.doctor import examine

    checkup = examine(folder, port)
    if not checkup.healthy:
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return checkup.to_dict(), str(checkup)


@commands.command()
@click.option("--data", "dataset", default="fashion-mnist", show_default=True, help="fashion-mnist or digits.")
@click.option("--name", default="clothes", show_default=True, help="Publish under this name.")
@in_models
@click.option("--epochs", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--recipe", type=click.Choice(["lab", "course"]), default="lab", show_default=True)
@click.option("--limit", type=int, help="Train on so many examples only, for a quick try.")
@click.option("--save", type=click.Path(), help="Save a single .keras file too.")
@click.option("--description", default="", help="One sentence for people.")
@_prints
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
    from mlops_lab.store.aliases import check_name

    check_name(name)  # before the minutes of training, not after them
    if save and (dataset == "digits" or not save.endswith(".keras")):
        raise WrongUsage(f"--save {save}: a single file holds a Keras model.", "Take a path that ends in .keras.")
    pictures = data.load(dataset, limit=limit, seed=seed)
    models = store.ModelStore(folder)
    models.prepare(name)
    if dataset == "digits":
        run = training.fit_sklearn(pictures, seed=seed)
    else:
        course = training.TrainConfig.course(epochs, seed)
        config = course if recipe == "course" else training.TrainConfig(epochs=epochs, seed=seed)
        run = training.fit(pictures, config, progress="--json" not in sys.argv)
    if save:
        store.save_keras(run.model, save)
    published = models.publish(run, name, description=description)
    return {**run.to_dict(), "published": published.to_dict()}, f"{run}\npublished {published} in {published.path}"


@commands.command()
@click.argument("file", type=click.Path())
@click.option("--for", "target", help="Another environment: keras==3.4.1 or tensorflow==2.15.1.")
@_prints
def check(file: str, target: str | None) -> tuple[Any, str]:
    """Tell whether a model file would load, and whether it is safe. Nothing is loaded."""
    from mlops_lab.store import check

    report = check(file, target)
    if not (report.loads and report.safe):
        click.get_current_context().call_on_close(lambda: sys.exit(1))
    return report.to_dict(), str(report)


@commands.command()
@click.argument("file", type=click.Path())
@click.argument("out", type=click.Path())
@click.option("--for", "target", help="The environment that is to load it: keras==3.4.1 or tensorflow==2.15.1.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is there.")
@_prints
def migrate(file: str, out: str, target: str | None, overwrite: bool) -> tuple[Any, str]:
    """Rewrite a .keras file for another version of Keras, where that loses nothing."""
    from mlops_lab.store import migrate

    report = migrate(file, out, target, overwrite=overwrite)
    return report.to_dict(), str(report)


@commands.command()
@click.argument("images", nargs=-1, required=True, type=click.Path())
@click.option("--name", default="clothes", show_default=True, help="Of the model.")
@click.option("--version", default="latest", show_default=True, help="v3, an alias, or latest.")
@in_models
@click.option("--url", help="Ask the server at this address instead of loading the model.")
@click.option("--api-key", envvar="MLOPS_LAB_API_KEY", help="For a server that asks for one; better in the variable.")
@_prints
def predict(
    images: tuple[str, ...], name: str, version: str, folder: str, url: str | None, api_key: str | None
) -> tuple[Any, str]:
    """Classify pictures, PNG or JPEG."""
    from mlops_lab.serve import codec
    from mlops_lab.serve.client import Client
    from mlops_lab.serve.packing import read_picture

    if url:
        answer = Client(url, models=folder, api_key=api_key).classify(name, version, images).response
    else:
        from mlops_lab import store

        predictor = store.ModelStore(folder).load(name, version)
        pictures = [read_picture(path, predictor.input.mode) for path in images]
        answer = codec.encode(name, predictor.version, predictor.predict(pictures))
    found = answer["predictions"]
    lines = [f"{path}: {item['label']} ({item['confidence']:.1%})" for path, item in zip(images, found, strict=True)]
    return {**answer, "files": list(images)}, "\n".join(lines)


@commands.command()
@in_models
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one.")
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
    help="Compute up to so many pictures of requests that come together in one call of the model; 1 is off.",
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


@commands.group()
def models() -> None:
    """Look at published models, and move the names that point at them."""


@models.command("list")
@in_models
@_prints
def list_models(folder: str) -> tuple[Any, str]:
    """List models, versions and aliases."""
    from mlops_lab.store import ModelStore

    store = ModelStore(folder)
    found: list[dict[str, Any]] = []
    lines = []
    for name in store.names():
        versions = [f"v{number}" for number in store.versions(name)]
        aliases = {alias: f"v{number}" for alias, number in store.aliases(name).items()}
        found.append({"name": name, "versions": versions, "aliases": aliases})
        lines.append("; ".join([f"{name}: {plain(versions)}", *map(" is ".join, aliases.items())]))
    return {"models": found}, "\n".join(lines) or f"There are no models in {folder}."


@models.command()
@click.argument("name")
@click.argument("version", default="latest")
@in_models
@_prints
def show(name: str, version: str, folder: str) -> tuple[Any, str]:
    """Show what one version is."""
    from mlops_lab.store import ModelStore

    facts = ModelStore(folder).get(name, version).to_dict()
    return facts, "\n".join(f"{key}: {plain(value)}" for key, value in facts.items())


@models.command()
@click.argument("name")
@click.argument("version")
@click.option("--alias", default="production", show_default=True)
@click.option("--why", default="", help="A sentence for the history.")
@in_models
@_prints
def promote(name: str, version: str, alias: str, why: str, folder: str) -> tuple[Any, str]:
    """Point an alias at a version."""
    from mlops_lab.store import ModelStore

    number = ModelStore(folder).promote(name, version, alias, why=why)
    return {"name": name, "alias": alias, "version": f"v{number}"}, f"{alias} of {name} is v{number} now"


@models.command()
@click.argument("name")
@click.option("--alias", default="production", show_default=True)
@click.option("--why", default="", help="A sentence for the history.")
@in_models
@_prints
def rollback(name: str, alias: str, why: str, folder: str) -> tuple[Any, str]:
    """Point an alias at the version it pointed to before."""
    from mlops_lab.store import ModelStore

    number = ModelStore(folder).rollback(name, alias, why=why)
    return {"name": name, "alias": alias, "version": f"v{number}"}, f"{alias} of {name} is v{number} again"


@models.command()
@click.argument("name")
@click.argument("shares", nargs=-1)
@click.option("--why", default="", help="A sentence for the history.")
@in_models
@_prints
def split(name: str, shares: tuple[str, ...], why: str, folder: str) -> tuple[Any, str]:
    """Share the default address among versions: v1=90 v2=10. Without shares, production answers alone again."""
    from mlops_lab.store import ModelStore
    from mlops_lab.store.routing import read_shares, split_traffic

    settings = split_traffic(ModelStore(folder), name, read_shares(shares), why=why).to_dict()
    said = " ".join(shares) or "production alone"
    return {"name": name, **settings}, f"the default address of {name} is answered by {said} now"


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--why", default="", help="A sentence for the history.")
@in_models
@_prints
def shadow(name: str, version: str | None, why: str, folder: str) -> tuple[Any, str]:
    """Let a version answer copies of the requests, only to compare. Without a version, end that."""
    from mlops_lab.store import ModelStore
    from mlops_lab.store.routing import shadow_traffic

    settings = shadow_traffic(ModelStore(folder), name, version, why=why).to_dict()
    return {"name": name, **settings}, f"the shadow of {name} is {settings.get('shadow', 'none')} now"


@models.command()
@click.argument("name")
@in_models
@_prints
def history(name: str, folder: str) -> tuple[Any, str]:
    """Show who published, promoted and rolled back."""
    from mlops_lab.store import ModelStore

    entries = ModelStore(folder).history(name)
    return {"history": entries}, "\n".join(
        " ".join(f"{key}={plain(value)}" for key, value in entry.items()) for entry in entries
    )


for command in (validate, measure, deploy, pipeline):
    commands.add_command(command)
