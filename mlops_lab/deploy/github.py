"""A release as a workflow of GitHub Actions: what its file is to hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec


def context(spec: Spec) -> dict[str, Any]:
    """Return what the template fills in.

    Raises
    ------
    WrongUsage
        The models folder is not below the repository, where the workflow could find it; or an application of one's own
        is to be released, which has no versions.
    """
    if spec.app:
        raise WrongUsage("The pipeline releases versions of a model, not an application.", "Leave --app out.")
    here, models = Path.cwd(), spec.models.resolve()
    if not models.is_relative_to(here):
        message = f"The models folder {spec.models} is not below {here}, where the repository begins."
        raise WrongUsage(message, "Run this in the repository's folder, with --models models.")
    return {"name": spec.name, "models": models.relative_to(here).as_posix()}
