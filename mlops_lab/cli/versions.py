"""The commands ``mlops-lab models``: published versions, aliases and traffic."""

from __future__ import annotations

from typing import Any, get_args

import click

from mlops_lab.cli.options import in_models, prints, reads_models
from mlops_lab.errors import WrongUsage
from mlops_lab.show import plain
from mlops_lab.signature import Task


@click.group()
def models() -> None:
    """Inspect published models, and manage their aliases and traffic."""


@models.command("list")
@reads_models
@prints
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
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--name", required=True, help="Name of the model.")
@click.option("--data", type=click.Path(exists=True, dir_okay=False), help="Test data: an .npz file with x and y.")
@click.option("--examples", type=click.Path(exists=True, dir_okay=False), help="Some inputs: an .npy or .npz file.")
@click.option("--labels", default="", help="Names of the classes, in the order of the output: cat,dog.")
@click.option("--task", type=click.Choice(get_args(Task)), help="Task, where the answers do not show it.")
@click.option("--description", default="", help="One sentence for people.")
@click.option("--trust", is_flag=True, help="Skip the trial of the file: you know who made it.")
@in_models
@prints
def publish(
    file: str, name: str, data: str | None, examples: str | None, labels: str, task: Task | None, description: str,
    trust: bool, folder: str,
) -> tuple[Any, str]:  # fmt: skip
    """Publish a FILE of a model (.onnx, .keras, .skops or .py) as a new version."""
    from mlops_lab.store import ModelStore

    names = [label.strip() for label in labels.split(",")] if labels else None
    given: dict[str, Any] = {"data": data, "examples": read_arrays(examples), "labels": names, "task": task}
    found = ModelStore(folder).publish(file, name, **given, description=description, trust=trust)
    return found.to_dict(), f"published {found} in {found.path}\n\n{(found.path / 'README.md').read_text('utf-8')}"


@models.command()
@click.argument("name")
@click.argument("version", default="latest")
@reads_models
@prints
def show(name: str, version: str, folder: str) -> tuple[Any, str]:
    """Show the metadata of one version."""
    from mlops_lab.store import ModelStore

    facts = ModelStore(folder).get(name, version).to_dict()
    return facts, "\n".join(f"{key}: {plain(value)}" for key, value in facts.items())


@models.command()
@click.argument("name")
@click.argument("version")
@click.option("--alias", default="production", show_default=True, help="Alias to move.")
@click.option("--why", default="", help="Reason, for the history.")
@click.option("--force", is_flag=True, help="Promote even where a gate failed; needs --why.")
@in_models
@prints
def promote(name: str, version: str, alias: str, why: str, force: bool, folder: str) -> tuple[Any, str]:
    """Point an alias at a version, unless it was validated and a gate failed."""
    from mlops_lab.store import ModelStore

    number = ModelStore(folder).promote(name, version, alias, why=why, force=force)
    return {"name": name, "alias": alias, "version": f"v{number}"}, f"{alias} of {name} is v{number} now"


@models.command()
@click.argument("name")
@click.option("--alias", default="production", show_default=True, help="Alias to move.")
@click.option("--why", default="", help="Reason, for the history.")
@in_models
@prints
def rollback(name: str, alias: str, why: str, folder: str) -> tuple[Any, str]:
    """Point an alias at its previous version."""
    from mlops_lab.store import ModelStore

    number = ModelStore(folder).rollback(name, alias, why=why)
    return {"name": name, "alias": alias, "version": f"v{number}"}, f"{alias} of {name} is v{number} again"


@models.command()
@click.argument("name")
@click.argument("shares", nargs=-1)
@click.option("--why", default="", help="Reason, for the history.")
@in_models
@prints
def split(name: str, shares: tuple[str, ...], why: str, folder: str) -> tuple[Any, str]:
    """Split the traffic of the default version: v1=90 v2=10. Without shares, all of it goes to production."""
    from mlops_lab.store import ModelStore
    from mlops_lab.store.routing import read_shares, split_traffic

    settings = split_traffic(ModelStore(folder), name, read_shares(shares), why=why).to_dict()
    targets = " ".join(shares) or "production only"
    return {"name": name, **settings}, f"traffic of {name}: {targets}"


@models.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--why", default="", help="Reason, for the history.")
@in_models
@prints
def shadow(name: str, version: str | None, why: str, folder: str) -> tuple[Any, str]:
    """Send a copy of each request to a shadow version, for comparison. Without a version, stop that."""
    from mlops_lab.store import ModelStore
    from mlops_lab.store.routing import shadow_traffic

    settings = shadow_traffic(ModelStore(folder), name, version, why=why).to_dict()
    return {"name": name, **settings}, f"shadow version of {name}: {settings.get('shadow', 'none')}"


@models.command()
@click.argument("name")
@in_models
@prints
def history(name: str, folder: str) -> tuple[Any, str]:
    """Show the history: who published, promoted and rolled back."""
    from mlops_lab.store import ModelStore

    entries = ModelStore(folder).history(name)
    return {"history": entries}, "\n".join(
        " ".join(f"{key}={plain(value)}" for key, value in entry.items()) for entry in entries
    )


def read_arrays(path: str | None) -> Any:
    """Return the array of an ``.npy`` file, or the arrays of an ``.npz`` file by their names, the only one alone."""
    if path is None:
        return None
    import numpy as np

    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise WrongUsage(f"{path} is no file of NumPy arrays: {error}.", "Save it with np.save(path, X).") from error
    if isinstance(found, np.ndarray):
        return found
    with found as file:
        arrays = {name: file[name] for name in file.files}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
