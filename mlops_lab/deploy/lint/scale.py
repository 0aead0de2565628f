"""Rules about how many pods there are: the autoscaler, the disruption budget and the Deployment must agree.

Each rule is a function of all ``Manifests`` that yields the object, what is wrong and what to do. Its name is the
rule's code word, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator

from mlops_lab.deploy.lint.manifests import Manifest, Manifests, at, rows, shown, table
from mlops_lab.errors import nearest

Said = Iterator[tuple[Manifest, str, str]]


def hpa_target_missing(manifests: Manifests) -> Said:
    """An autoscaler whose target is not there scales nothing."""
    for hpa in manifests.of("HorizontalPodAutoscaler"):
        target = table(hpa.body, "spec", "scaleTargetRef")
        if manifests.named(str(target.get("kind")), target.get("name"), hpa.space) is None:
            there = [item.name for item in manifests.of("Deployment", "StatefulSet")]
            hint = nearest(str(target.get("name")), there)
            yield hpa, f"Its target {target.get('kind')} {target.get('name')!r} is not there.", hint


def hpa_bounds(manifests: Manifests) -> Said:
    """The API server refuses an autoscaler whose least is more than its most."""
    for hpa in manifests.of("HorizontalPodAutoscaler"):
        least, most = at(hpa.body, "spec", "minReplicas") or 1, at(hpa.body, "spec", "maxReplicas")
        if not isinstance(least, int) or not isinstance(most, int) or least > most:
            yield hpa, f"minReplicas is {least} and maxReplicas {most}.", "Let the first be at most the second."


def hpa_without_request(manifests: Manifests) -> Said:
    """Utilisation is a share of what a pod requests; without a request there is no share."""
    for pod in manifests.pods:
        hpa = manifests.scaler(pod.owner)
        for metric in rows(hpa.body, "spec", "metrics") if hpa else []:
            what = at(metric, "resource", "name")
            shared = at(metric, "resource", "target", "type") == "Utilization"
            if hpa and shared and any(at(box, "resources", "requests", str(what)) is None for box in pod.containers):
                yield hpa, f"It scales by {what}, of which a container requests nothing.", "Set resources.requests."


def replicas_beside_hpa(manifests: Manifests) -> Said:
    """Each apply would set the number back that the autoscaler has found."""
    for pod in manifests.pods:
        if manifests.scaler(pod.owner) and at(pod.owner.body, "spec", "replicas") is not None:
            yield pod.owner, "It sets replicas, which its autoscaler sets as well.", "Remove replicas there."


def pdb_selects_nothing(manifests: Manifests) -> Said:
    """A budget whose labels no pod bears protects nothing."""
    for pdb in manifests.of("PodDisruptionBudget"):
        if not manifests.chosen_by(pdb, pdb.selector):
            yield pdb, f"No pod has the labels {shown(pdb.selector)}.", manifests.labels_there_are()


def pdb_blocks_drains(manifests: Manifests) -> Said:
    """A node whose pods may never be moved cannot be drained, so it is never updated."""
    for pdb in manifests.of("PodDisruptionBudget"):
        fewest = sum(manifests.fewest(pod.owner) for pod in manifests.chosen_by(pdb, pdb.selector))
        least, gone = (at(pdb.body, "spec", key) for key in ("minAvailable", "maxUnavailable"))
        if fewest and (gone in (0, "0%") or least == "100%" or (isinstance(least, int) and least >= fewest)):
            yield (
                pdb,
                f"Of {fewest} pod{'' if fewest == 1 else 's'} none may ever be moved.",
                f"Let minAvailable be below {fewest}, or run more pods.",
            )


RULES = (
    hpa_target_missing,
    hpa_bounds,
    hpa_without_request,
    replicas_beside_hpa,
    pdb_selects_nothing,
    pdb_blocks_drains,
)
