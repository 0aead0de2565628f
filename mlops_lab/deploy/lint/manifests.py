"""The objects of Kubernetes files, each with its place, and the pods that they start.

A file may hold any structure, so every access goes through ``at``, ``table``, ``rows`` or ``things``, which return an
empty value where the path does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

POD_AT = {
    "Deployment": ("spec", "template"), "StatefulSet": ("spec", "template"), "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"), "Job": ("spec", "template"), "Pod": (),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}  # fmt: skip
"""The path of the pod template in each kind of object that starts pods."""


def at(node: Any, *keys: str) -> Any:
    """Return the value under the keys, or ``None`` where a key is missing.

    >>> at({"spec": {"replicas": 2}}, "spec", "replicas")
    2
    >>> at({"spec": []}, "spec", "replicas") is None
    True
    """
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def table(node: Any, *keys: str) -> dict[str, Any]:
    """Return the dictionary under the keys; an empty one where there is none."""
    found = at(node, *keys)
    return found if isinstance(found, dict) else {}


def rows(node: Any, *keys: str) -> list[dict[str, Any]]:
    """Return the dictionaries of the list under the keys; none where there is no such list."""
    return [item for item in things(node, *keys) if isinstance(item, dict)]


def things(node: Any, *keys: str) -> list[Any]:
    """Return the list under the keys; an empty one where there is none."""
    found = at(node, *keys)
    return found if isinstance(found, list) else []


def holds(labels: Any, selector: Any) -> bool:
    """Return whether labels match a selector; an empty selector matches all labels.

    >>> holds({"app": "clothes", "track": "stable"}, {"app": "clothes"})
    True
    """
    return all(table(labels).get(key) == value for key, value in table(selector).items())


def shown(labels: Mapping[str, Any]) -> str:
    """Return labels on one line.

    >>> shown({"app": "clothes", "track": "stable"})
    'app=clothes, track=stable'
    """
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "(none)"


def name_of(container: Mapping[str, Any]) -> str:
    """Return the name of a container in quotation marks.

    >>> name_of({"name": "server"})
    "'server'"
    """
    return repr(container.get("name"))


@dataclass(frozen=True)
class KubernetesObject:
    """One Kubernetes object, and the file that it comes from."""

    path: str
    body: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Return the kind, such as ``"Deployment"``."""
        return str(self.body.get("kind"))

    @property
    def name(self) -> str:
        """Return ``metadata.name``."""
        return str(at(self.body, "metadata", "name"))

    @property
    def space(self) -> str:
        """Return the namespace; empty where the file sets none."""
        return str(at(self.body, "metadata", "namespace") or "")

    @property
    def where(self) -> str:
        """Return the file, the kind and the name."""
        return f"{self.path}: {self.kind} {self.name}"

    @property
    def selector(self) -> dict[str, Any]:
        """Return the labels that objects such as a Deployment or a PodDisruptionBudget select by."""
        key = "podSelector" if self.kind == "NetworkPolicy" else "selector"
        return table(self.body, "spec", key, "matchLabels")


@dataclass(frozen=True)
class Pod:
    """The pod that an object starts."""

    owner: KubernetesObject
    template: dict[str, Any] = field(repr=False)

    @property
    def spec(self) -> dict[str, Any]:
        """Return the pod's own ``spec``."""
        return table(self.template, "spec")

    @property
    def labels(self) -> dict[str, Any]:
        """Return the labels of the pod."""
        return table(self.template, "metadata", "labels")

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Return the containers, without the init containers."""
        return rows(self.spec, "containers")

    @property
    def every_container(self) -> list[dict[str, Any]]:
        """Return the containers and the init containers."""
        return [*self.containers, *rows(self.spec, "initContainers")]

    @property
    def serves(self) -> bool:
        """Return whether the pod is long-running and serves requests, unlike that of a Job."""
        return self.owner.kind not in ("Job", "CronJob", "Pod")

    @property
    def ports(self) -> list[Any]:
        """Return the numbers and names of the ports that its containers open."""
        opened = [port for container in self.containers for port in rows(container, "ports")]
        return [port[key] for port in opened for key in ("containerPort", "name") if key in port]

    def selected_by(self, other: KubernetesObject, selector: Mapping[str, Any]) -> bool:
        """Return whether an object of the same namespace selects this pod by these labels."""
        return self.owner.space == other.space and holds(self.labels, selector)


@dataclass(frozen=True)
class Manifests:
    """The objects of a set of files."""

    objects: tuple[KubernetesObject, ...]
    kustomizations: tuple[KubernetesObject, ...]
    broken: Mapping[str, str]
    """The files that are not valid YAML, with the reason."""
    paths: frozenset[str]

    def of(self, *kinds: str) -> list[KubernetesObject]:
        """Return the objects of the given kinds."""
        return [item for item in self.objects if item.kind in kinds]

    def named(self, kind: str, name: Any, space: str) -> KubernetesObject | None:
        """Return the object of a kind and name in a namespace; ``None`` where there is none."""
        return next((item for item in self.of(kind) if item.name == name and item.space == space), None)

    @property
    def pods(self) -> list[Pod]:
        """Return the pods that the objects start."""
        return [Pod(item, table(item.body, *POD_AT[item.kind])) for item in self.objects if item.kind in POD_AT]

    def selected_by_labels(self, chooser: KubernetesObject, selector: Mapping[str, Any]) -> list[Pod]:
        """Return the pods that an object selects by labels."""
        return [pod for pod in self.pods if pod.selected_by(chooser, selector)]

    def labels_hint(self) -> str:
        """Return a hint that names the labels of the pods."""
        return f"Pods have: {'; '.join(shown(pod.labels) for pod in self.pods) or '(there are no pods)'}."

    def scaler(self, owner: KubernetesObject) -> KubernetesObject | None:
        """Return the HorizontalPodAutoscaler of an object; ``None`` where there is none."""
        for item in self.of("HorizontalPodAutoscaler"):
            target = table(item.body, "spec", "scaleTargetRef")
            if (target.get("kind"), target.get("name"), item.space) == (owner.kind, owner.name, owner.space):
                return item
        return None

    def min_replicas(self, owner: KubernetesObject) -> int:
        """Return the minimum number of pods of an object."""
        scaler = self.scaler(owner)
        number = at(scaler.body, "spec", "minReplicas") if scaler else at(owner.body, "spec", "replicas")
        return number if isinstance(number, int) else 1
