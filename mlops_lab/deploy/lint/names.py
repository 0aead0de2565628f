"""Rules about references: files can be parsed, and the objects that they name exist.

Each rule is a function of all ``Manifests`` that yields the object, the message and the hint. Its name is the rule's
code, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import KubernetesObject, Manifests, Pod, at, rows, table
from mlops_lab.errors import nearest

Problems = Iterator[tuple[KubernetesObject, str, str]]

DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
DNS_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def not_yaml(manifests: Manifests) -> Problems:
    """A file that is not valid YAML cannot be applied."""
    for path, reason in manifests.broken.items():
        yield (
            KubernetesObject(path, {"kind": "file", "metadata": {"name": posixpath.basename(path)}}),
            f"The file cannot be parsed: {reason}.",
            "Correct the YAML.",
        )


def unknown_file(manifests: Manifests) -> Problems:
    """A kustomization that names a missing file cannot be built."""
    folders = {posixpath.dirname(item.path) for item in manifests.kustomizations}
    for item in manifests.kustomizations:
        for name in _names(item.body):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(item.path), name))
            if path not in manifests.paths | folders:
                yield item, f"It names {name!r}, which does not exist.", "Correct the path, or add the file."


def bad_name(manifests: Manifests) -> Problems:
    """Names become parts of host names and addresses, so the API server rejects other characters."""
    for item in manifests.objects:
        if item.kind == "Service" and not DNS_LABEL.fullmatch(item.name):
            yield (
                item,
                f"{item.name!r} cannot be a host name.",
                "Use at most 63 of a-z, 0-9 and -, starting with a letter.",
            )
        elif not DNS_NAME.fullmatch(item.name):
            yield item, f"{item.name!r} cannot be a name.", "Use at most 253 of a-z, 0-9, - and dots."


def duplicate_object(manifests: Manifests) -> Problems:
    """Two objects of the same kind and name overwrite each other."""
    for index, item in enumerate(manifests.objects):
        twins = [(other.kind, other.name, other.space) for other in manifests.objects[:index]]
        if (item.kind, item.name, item.space) in twins:
            yield item, "Another object has the same kind and name.", "Rename or remove one of them."


def label_not_text(manifests: Manifests) -> Problems:
    """Labels must be text, and YAML reads an unquoted 3 or true as a number or a boolean."""
    for item in manifests.objects:
        chosen = [at(item.body, "metadata", "labels"), at(item.body, "spec", "selector"), item.selector]
        chosen += [pod.labels for pod in manifests.pods if pod.owner is item]
        for key, value in ((key, value) for labels in chosen for key, value in table(labels).items()):
            if not isinstance(value, str | dict | list):
                yield item, f"The label {key} is {value!r}, not text.", f'Write {key}: "{value}".'


def unknown_volume(manifests: Manifests) -> Problems:
    """The API server rejects a pod that mounts an undefined volume."""
    for pod in manifests.pods:
        there = [str(volume.get("name")) for volume in rows(pod.spec, "volumes")]
        for mount in (mount for container in pod.every_container for mount in rows(container, "volumeMounts")):
            if str(mount.get("name")) not in there:
                yield pod.owner, f"There is no volume {mount.get('name')!r}.", nearest(str(mount.get("name")), there)


def unknown_config(manifests: Manifests) -> Problems:
    """A pod that needs a missing ConfigMap or key never starts."""
    for pod in manifests.pods:
        for name, key in _config_wanted(pod):
            known = manifests.named("ConfigMap", name, pod.owner.space)
            if known is None:
                there = [item.name for item in manifests.of("ConfigMap")]
                yield pod.owner, f"There is no ConfigMap {name!r}.", nearest(str(name), there)
            elif key is not None and key not in _keys(known):
                hint = nearest(str(key), _keys(known))
                yield pod.owner, f"The ConfigMap {name} has no key {key!r}.", hint


def unknown_service_account(manifests: Manifests) -> Problems:
    """A pod with a missing ServiceAccount is never created."""
    for pod in manifests.pods:
        name = pod.spec.get("serviceAccountName", "default")
        if name != "default" and manifests.named("ServiceAccount", name, pod.owner.space) is None:
            there = [item.name for item in manifests.of("ServiceAccount")]
            yield pod.owner, f"There is no ServiceAccount {name!r}.", nearest(str(name), there)


RULES = (
    not_yaml,
    unknown_file,
    bad_name,
    duplicate_object,
    label_not_text,
    unknown_volume,
    unknown_config,
    unknown_service_account,
)


def _names(kustomization: dict[str, Any]) -> Iterator[str]:
    """Yield the files and folders that a kustomization names; remote addresses are left out."""
    plain = [kustomization.get(key) for key in ("resources", "components", "bases", "crds", "configurations")]
    yield from (name for names in plain if isinstance(names, list) for name in map(str, names) if "://" not in name)
    yield from (row["path"] for row in rows(kustomization, "patches") if isinstance(row.get("path"), str))


def _keys(config: KubernetesObject) -> list[str]:
    return [str(key) for kind in ("data", "binaryData") for key in table(config.body, kind)]


def _config_wanted(pod: Pod) -> Iterator[tuple[Any, Any]]:
    """Yield each ConfigMap that a pod requires, and the key where it names one."""
    refs = [(table(row, "configMapRef"), None) for box in pod.containers for row in rows(box, "envFrom")]
    for row in (row for box in pod.containers for row in rows(box, "env")):
        ref = table(row, "valueFrom", "configMapKeyRef")
        refs.append((ref, ref.get("key")))
    for ref in (table(volume, "configMap") for volume in rows(pod.spec, "volumes")):
        refs += [(ref, item.get("key")) for item in rows(ref, "items")] or [(ref, None)]
    yield from ((ref.get("name"), key) for ref, key in refs if ref and ref.get("optional") is not True)
