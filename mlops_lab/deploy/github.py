"""The values of the GitHub Actions workflow that releases a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec


def context(spec: Spec) -> dict[str, Any]:
    """Return the values of the template; the models folder is relative to the root of its repository.

    Raises
    ------
    WrongUsage
        The specification is for an application, which has no versions to release.
    """
    if spec.app:
        raise WrongUsage("The pipeline releases versions of a model, not an application.", "Remove --app.")
    models = spec.models.resolve()
    root = next((folder for folder in models.parents if (folder / ".git").exists()), models.parent)
    return {"name": spec.name, "models": models.relative_to(root).as_posix()}
