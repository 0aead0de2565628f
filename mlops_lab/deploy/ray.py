"""The values of the files that serve a model with Ray: the program in front, and how its machines are started."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec


def context(spec: Spec) -> dict[str, Any]:
    """Return the values of the templates.

    Raises
    ------
    WrongUsage
        The specification is for an application.
    """
    if spec.app:
        raise WrongUsage("Ray serves versions of a model, not an application.", "Remove --app.")
    replicas = {"number": spec.replicas, "most": spec.most, "cpus": spec.cpus, "gpus": spec.gpus, "per_machine": None}
    settings = {
        "models": str(spec.models.resolve()),  # under this path on every machine
        "name": spec.name,
        "host": "127.0.0.1",
        "port": spec.port,
        "replicas": replicas,
    }
    return {"name": spec.name, "settings": json.dumps(settings, indent=2)}
