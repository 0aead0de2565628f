"""What Kubernetes files hold: objects, each with its place, and the pods that they start.

Nothing here trusts its shape: a file may say anything, so every look goes through ``at``, ``table``, ``rows`` or
``things``, which answer with nothing where there is nothing.
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
"""Where the description of the pod stands in each kind that starts one."""


def at(node: Any, *keys: str) -> Any:
    """Return what stands under the keys, or ``None`` where one of them is missing.

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
    """Return whether labels have everything that a selector asks for; an empty selector asks for nothing.

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


@dataclass(frozen=True)
class Manifest:
    """One object of a file."""

    path: str
    body: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Return ``"Deployment"`` and so on."""
        return str(self.body.get("kind"))

    @property
    def name(self) -> str:
        """Return ``metadata.name``."""
        return str(at(self.body, "metadata", "name"))

    @property
    def space(self) -> str:
        """Return the namespace; empty where the file leaves it open."""
        return str(at(self.body, "metadata", "namespace") or "")

    @property
    def where(self) -> str:
        """Return the file, the kind and the name."""
        return f"{self.path}: {self.kind} {self.name}"

    @property
    def selector(self) -> dict[str, Any]:
        """Return the labels that a Deployment, a PodDisruptionBudget and their like select by."""
        key = "podSelector" if self.kind == "NetworkPolicy" else "selector"
        return table(self.body, "spec", key, "matchLabels")


@dataclass(frozen=True)
class Pod:
    """The pod that an object starts."""

    owner: Manifest
    template: dict[str, Any] = field(repr=False)

    @property
    def spec(self) -> dict[str, Any]:
        """Return the pod's own ``spec``."""
        return table(self.template, "spec")

    @property
    def labels(self) -> dict[str, Any]:
        """Return the labels that the pod bears."""
        return table(self.template, "metadata", "labels")

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Return the containers that serve."""
        return rows(self.spec, "containers")

    @property
    def every_container(self) -> list[dict[str, Any]]:
        """Return the containers that serve and those that only prepare."""
        return [*self.containers, *rows(self.spec, "initContainers")]

    @property
    def serves(self) -> bool:
        """Return whether the pod is meant to stay: a job ends, and is asked nothing while it runs."""
        return self.owner.kind not in ("Job", "CronJob", "Pod")

    @property
    def ports(self) -> list[Any]:
        """Return the numbers and names of the ports that its containers open."""
        opened = [port for container in self.containers for port in rows(container, "ports")]
        return [port[key] for port in opened for key in ("containerPort", "name") if key in port]

    def selected_by(self, other: Manifest, selector: Mapping[str, Any]) -> bool:
        """Return whether an object of the same namespace selects this pod by these labels."""
        return self.owner.space == other.space and holds(self.labels, selector)


@dataclass(frozen=True)
class Manifests:
    """All objects of some files."""

    objects: tuple[Manifest, ...]
    kustomizations: tuple[Manifest, ...]
    broken: Mapping[str, str]
    """The files that are not YAML, with the reason."""
    paths: frozenset[str]

    def of(self, *kinds: str) -> list[Manifest]:
        """Return the objects of some kinds."""
        return [item for item in self.objects if item.kind in kinds]

    def named(self, kind: str, name: Any, space: str) -> Manifest | None:
        """Return the object of a kind and name in a namespace."""
        return next((item for item in self.of(kind) if item.name == name and item.space == space), None)

    @property
    def pods(self) -> list[Pod]:
        """Return the pods that the objects start."""
        return [Pod(item, table(item.body, *POD_AT[item.kind])) for item in self.objects if item.kind in POD_AT]

    def chosen_by(self, chooser: Manifest, selector: Mapping[str, Any]) -> list[Pod]:
        """Return the pods that an object selects by these labels."""
        return [pod for pod in self.pods if pod.selected_by(chooser, selector)]

    def labels_there_are(self) -> str:
        """Return a hint that names the labels of the pods."""
        return f"Pods have: {'; '.join(shown(pod.labels) for pod in self.pods) or '(there are no pods)'}."

    def scaler(self, owner: Manifest) -> Manifest | None:
        """Return the HorizontalPodAutoscaler that sets the number of an object's pods."""
        for item in self.of("HorizontalPodAutoscaler"):
            target = table(item.body, "spec", "scaleTargetRef")
            if (target.get("kind"), target.get("name"), item.space) == (owner.kind, owner.name, owner.space):
                return item
        return None

    def fewest(self, owner: Manifest) -> int:
        """Return how many pods of an object there may be at the fewest."""
        scaler = self.scaler(owner)
        number = at(scaler.body, "spec", "minReplicas") if scaler else at(owner.body, "spec", "replicas")
        return number if isinstance(number, int) else 1
