"""Rules about the number of pods: the autoscaler, the disruption budget and the Deployment must agree.

Each rule is a function of all ``Manifests`` that yields the object, the message and the hint. Its name is the rule's
code, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator

from mlops_lab.deploy.lint.manifests import KubernetesObject, Manifests, at, rows, shown, table
from mlops_lab.errors import nearest

Problems = Iterator[tuple[KubernetesObject, str, str]]


def hpa_target_missing(manifests: Manifests) -> Problems:
    """An autoscaler with a missing target scales nothing."""
    for hpa in manifests.of("HorizontalPodAutoscaler"):
        target = table(hpa.body, "spec", "scaleTargetRef")
        if manifests.named(str(target.get("kind")), target.get("name"), hpa.space) is None:
            there = [item.name for item in manifests.of("Deployment", "StatefulSet")]
            hint = nearest(str(target.get("name")), there)
            yield hpa, f"Its target {target.get('kind')} {target.get('name')!r} does not exist.", hint


def hpa_bounds(manifests: Manifests) -> Problems:
    """The API server rejects an autoscaler whose minimum exceeds its maximum."""
    for hpa in manifests.of("HorizontalPodAutoscaler"):
        least, most = at(hpa.body, "spec", "minReplicas") or 1, at(hpa.body, "spec", "maxReplicas")
        if not isinstance(least, int) or not isinstance(most, int) or least > most:
            yield hpa, f"minReplicas is {least} and maxReplicas {most}.", "Set minReplicas to at most maxReplicas."


def hpa_without_request(manifests: Manifests) -> Problems:
    """Utilization is a percentage of the request, so it is undefined without one."""
    for pod in manifests.pods:
        hpa = manifests.scaler(pod.owner)
        for metric in rows(hpa.body, "spec", "metrics") if hpa else []:
            what = at(metric, "resource", "name")
            shared = at(metric, "resource", "target", "type") == "Utilization"
            if hpa and shared and any(at(box, "resources", "requests", str(what)) is None for box in pod.containers):
                yield hpa, f"It scales by {what}, which a container does not request.", "Set resources.requests."


def replicas_beside_hpa(manifests: Manifests) -> Problems:
    """Every apply would reset the number of replicas that the autoscaler has set."""
    for pod in manifests.pods:
        if manifests.scaler(pod.owner) and at(pod.owner.body, "spec", "replicas") is not None:
            yield pod.owner, "It sets replicas, which its autoscaler also sets.", "Remove replicas there."


def pdb_selects_nothing(manifests: Manifests) -> Problems:
    """A PodDisruptionBudget protects nothing if no pod has its labels."""
    for pdb in manifests.of("PodDisruptionBudget"):
        if not manifests.selected_by_labels(pdb, pdb.selector):
            yield pdb, f"No pod has the labels {shown(pdb.selector)}.", manifests.labels_hint()


def pdb_blocks_drains(manifests: Manifests) -> Problems:
    """A node whose pods may never be evicted cannot be drained, so it cannot be updated."""
    for pdb in manifests.of("PodDisruptionBudget"):
        fewest = sum(manifests.min_replicas(pod.owner) for pod in manifests.selected_by_labels(pdb, pdb.selector))
        if fewest and _allows_no_eviction(pdb, fewest):
            yield (
                pdb,
                f"With {fewest} pod{'' if fewest == 1 else 's'}, no pod may ever be evicted.",
                f"Set minAvailable below {fewest}, or run more pods.",
            )


RULES = (
    hpa_target_missing,
    hpa_bounds,
    hpa_without_request,
    replicas_beside_hpa,
    pdb_selects_nothing,
    pdb_blocks_drains,
)


def _allows_no_eviction(pdb: KubernetesObject, pods: int) -> bool:
    """Return whether a disruption budget forbids to evict any of so many pods."""
    min_available, max_unavailable = (at(pdb.body, "spec", key) for key in ("minAvailable", "maxUnavailable"))
    if max_unavailable in (0, "0%") or min_available == "100%":
        return True
    return isinstance(min_available, int) and min_available >= pods
