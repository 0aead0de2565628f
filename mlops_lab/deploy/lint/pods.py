"""Rules about one pod: its image, its probes, its resources and its termination.

Each rule is a function of a ``Pod`` that yields the message and the hint. Its name is the rule's code, its docstring
the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import Pod, at, holds, name_of, rows, table
from mlops_lab.errors import nearest

DRAIN_SECONDS = 10
"""The time that the server takes to answer pending requests after SIGTERM (``Limits.drain_seconds``)."""
GRACE_SECONDS = 30
"""The default of Kubernetes where ``terminationGracePeriodSeconds`` is not set."""
PROBES = {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}

Problems = Iterator[tuple[str, str]]


def latest_tag(pod: Pod) -> Problems:
    """An image without a version tag can change at any time, so it cannot be rolled back."""
    for container in pod.every_container:
        image = str(container.get("image", ""))
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" not in image and tag in ("", "latest"):
            yield f"The image {image!r} has no version tag.", "Use a version tag, or better the digest."


def missing_probe(pod: Pod) -> Problems:
    """Kubernetes learns a pod's health only from its probes."""
    for container in pod.containers if pod.serves else []:
        for probe, path in PROBES.items():
            if not table(container, probe):
                yield f"The container {name_of(container)} has no {probe}.", f"Add one with httpGet on {path}."


def probe_port_unknown(pod: Pod) -> Problems:
    """A probe of a port that no container opens always fails."""
    for container in pod.containers:
        for probe in PROBES:
            for kind in ("httpGet", "tcpSocket", "grpc"):
                port = at(container, probe, kind, "port")
                if port is not None and port not in pod.ports:
                    hint = nearest(str(port), [str(known) for known in pod.ports])
                    yield f"The {probe} uses port {port!r}, which no container opens.", hint


def liveness_asks_readiness(pod: Pod) -> Problems:
    """A server that drains or lacks a model is not ready, and restarting it does not help."""
    for container in pod.containers:
        path, ready = (at(container, probe, "httpGet", "path") for probe in ("livenessProbe", "readinessProbe"))
        if path == "/readyz" or (path is not None and path == ready != "/healthz"):
            yield f"The livenessProbe uses {path}, so a pod that is not ready is killed.", "Use /healthz there."


def readiness_asks_liveness(pod: Pod) -> Problems:
    """A server that is alive may not have loaded a model yet."""
    for container in pod.containers:
        if at(container, "readinessProbe", "httpGet", "path") == "/healthz":
            yield "The readinessProbe uses /healthz, so pods without models receive requests.", "Use /readyz there."


def missing_requests(pod: Pod) -> Problems:
    """The scheduler reserves only the resources that a pod requests."""
    for container in pod.containers:
        for what in _lacking(container, "requests"):
            yield f"The container {name_of(container)} requests no {what}.", f"Set resources.requests.{what}."


def missing_limits(pod: Pod) -> Problems:
    """A pod without limits can starve the other pods of its node."""
    for container in pod.containers:
        for what in _lacking(container, "limits"):
            yield f"The container {name_of(container)} has no limit on {what}.", f"Set resources.limits.{what}."


def requests_above_limits(pod: Pod) -> Problems:
    """The API server rejects a pod whose request exceeds its limit."""
    for container in pod.containers:
        for what in ("cpu", "memory"):
            request, limit = (at(container, "resources", kind, what) for kind in ("requests", "limits"))
            wanted, allowed = quantity(request), quantity(limit)
            if wanted is not None and allowed is not None and wanted > allowed:
                yield f"It requests {request} of {what}, and its limit is {limit}.", "Raise the limit."


def missing_pre_stop(pod: Pod) -> Problems:
    """Requests still arrive for a moment after SIGTERM, until every node has removed the pod from its endpoints."""
    for container in pod.containers if pod.serves else []:
        if not table(container, "lifecycle", "preStop"):
            yield (
                f"The container {name_of(container)} is stopped while it still receives requests.",
                "Add lifecycle.preStop.sleep.seconds: 5.",
            )


def short_grace(pod: Pod) -> Problems:
    """A pod is killed at the end of its grace period, even while it answers requests."""
    grace = pod.spec.get("terminationGracePeriodSeconds", GRACE_SECONDS)
    for container in pod.containers if pod.serves else []:
        pause = at(container, "lifecycle", "preStop", "sleep", "seconds")
        pause = pause if isinstance(pause, int) else 0
        if isinstance(grace, int) and grace <= pause + DRAIN_SECONDS:
            yield (
                f"The pod has {grace} s to terminate, and needs {pause} s of preStop and {DRAIN_SECONDS} s to drain.",
                f"Set terminationGracePeriodSeconds above {pause + DRAIN_SECONDS}.",
            )


def rollout_drops_pods(pod: Pod) -> Problems:
    """A rollout that stops old pods first has less capacity, or none, until the new pods are ready."""
    if pod.owner.kind != "Deployment":
        return
    strategy = at(pod.owner.body, "spec", "strategy", "type") or "RollingUpdate"
    max_unavailable = at(pod.owner.body, "spec", "strategy", "rollingUpdate", "maxUnavailable")
    if strategy != "RollingUpdate" or max_unavailable not in (0, "0%"):
        yield (
            "A rollout may stop old pods before the new pods are ready.",
            "Set strategy.rollingUpdate: {maxUnavailable: 0, maxSurge: 1}.",
        )


def crowded_node(pod: Pod) -> Problems:
    """Without spread constraints all pods may run on one node, and fail with it."""
    if pod.owner.kind != "Deployment":
        return
    spread = rows(pod.spec, "topologySpreadConstraints")
    chosen = [table(item, "labelSelector", "matchLabels") for item in spread]
    if not any(labels and holds(pod.labels, labels) for labels in chosen):
        yield (
            "The pods are not spread across nodes.",
            "Add topologySpreadConstraints over kubernetes.io/hostname that select the pod's own labels.",
        )


RULES = (
    latest_tag,
    missing_probe,
    probe_port_unknown,
    liveness_asks_readiness,
    readiness_asks_liveness,
    missing_requests,
    missing_limits,
    requests_above_limits,
    missing_pre_stop,
    short_grace,
    rollout_drops_pods,
    crowded_node,
)


UNITS = {
    "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def quantity(text: Any) -> float | None:
    """Return a quantity of Kubernetes as a number; ``None`` where it is not a quantity.

    >>> quantity("250m"), quantity("256Mi"), quantity(2), quantity("much")
    (0.25, 268435456.0, 2.0, None)
    """
    digits = str(text).rstrip("".join(UNITS))
    unit = str(text)[len(digits) :]
    try:
        return float(digits) * (UNITS[unit] if unit else 1)
    except (ValueError, KeyError):
        return None


def _lacking(container: dict[str, Any], kind: str) -> list[str]:
    return [what for what in ("cpu", "memory") if at(container, "resources", kind, what) is None]
