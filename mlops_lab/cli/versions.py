"""The commands ``mlops-lab models``: published versions, aliases and traffic."""

from __future__ import annotations

from typing import Any

import click

from mlops_lab.cli.options import in_models, prints
from mlops_lab.show import plain


@click.group()
def models() -> None:
    """Inspect published models, and manage their aliases and traffic."""


@models.command("list")
@in_models
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
@click.argument("name")
@click.argument("version", default="latest")
@in_models
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
