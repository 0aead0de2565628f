"""Check a ``models.config`` of TensorFlow Serving against the folder that is mounted for the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mlops_lab.deploy.serving_messages import parse_config
from mlops_lab.errors import WrongUsage
from mlops_lab.findings import Finding

BASE_PATH = "/models"
RENDER = "Render it again: mlops-lab deploy tfserving."


def check(text: str, name: str, numbers: Sequence[int]) -> Iterator[Finding]:
    """Yield the problems of a ``models.config`` for a model.

    Parameters
    ----------
    text
        The text of the file.
    name
        The name of the model, whose folder is mounted as ``/models/<name>``.
    numbers
        The versions in that folder.

    Raises
    ------
    MissingPackage
        protobuf is not installed.

    Examples
    --------
    >>> list(check("model_config_list { config { name: 'clothes' base_path: '/models/clothes' } }", "clothes", [1]))
    []
    """
    try:
        configs = list(parse_config(text).model_config_list.config)
    except WrongUsage as error:
        yield problem("bad-config", str(error), RENDER)
        return
    if not all(config.name for config in configs):
        yield problem("bad-config", "It contains a config without a name.", RENDER)
        return
    found = [config for config in configs if config.name == name]
    if not found:
        names = ", ".join(config.name for config in configs) or "none"
        yield problem("not-configured", f"It contains no model {name!r}. It contains: {names}.", "Add a config.")
        return
    yield from _check_path(found[-1], name)
    yield from _check_versions(found[-1], numbers)


def problem(rule: str, message: str, hint: str) -> Finding:
    """Return a finding about the file."""
    return Finding(False, message, hint, rule, "models.config")


def _check_path(config: Any, name: str) -> Iterator[Finding]:
    path, mounted = config.base_path.rstrip("/"), f"{BASE_PATH}/{name}"
    if path != mounted:
        message = f"The base_path of {name!r} is {path!r}, and the folder is mounted as {mounted}."
        yield problem("base-path", message, f"Write base_path: '{mounted}', or change the mount.")


def _check_versions(config: Any, numbers: Sequence[int]) -> Iterator[Finding]:
    policy = config.model_version_policy
    for number in sorted(set(policy.specific.versions) - set(numbers)):
        message = f"It loads version {number}, which is not in the folder."
        yield problem("version-missing", message, f"The folder contains: {', '.join(map(str, numbers)) or 'none'}.")
    served = _served(policy, numbers)
    for label in config.version_labels:
        if label.value not in served:
            message = f"The label {label.key!r} is for version {label.value}, which the version policy does not load."
            yield problem("label-unserved", message, f"Add {label.value} to the policy, or remove the label.")


def _served(policy: Any, numbers: Sequence[int]) -> set[int]:
    """Return the versions that a policy loads; by default that is the latest one."""
    if policy.specific.versions:
        return set(policy.specific.versions)
    if policy.HasField("all"):
        return set(numbers)
    return set(sorted(numbers)[-(policy.latest.num_versions or 1) :])
