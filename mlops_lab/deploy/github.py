"""A release as a workflow of GitHub Actions: what its file is to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec


def context(spec: Spec) -> dict[str, Any]:
    """Return what the template fills in; the models folder is named from where its repository begins.

    Raises
    ------
    WrongUsage
        An application of one's own is to be released, which has no versions.
    """
    if spec.app:
        raise WrongUsage("The pipeline releases versions of a model, not an application.", "Leave --app out.")
    models = spec.models.resolve()
    begins = next((folder for folder in models.parents if (folder / ".git").exists()), models.parent)
    return {"name": spec.name, "models": models.relative_to(begins).as_posix()}
