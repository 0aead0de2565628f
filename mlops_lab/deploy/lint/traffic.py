"""Rules about the way of a request: the Ingress finds the Service, the Service the pods, and the policy lets it in.

Each rule is a function of all ``Manifests`` that yields the object, what is wrong and what to do. Its name is the
rule's code word, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import Manifest, Manifests, Pod, at, holds, rows, shown, table, things
from mlops_lab.errors import nearest

Said = Iterator[tuple[Manifest, str, str]]


def selector_misses_own_pods(manifests: Manifests) -> Said:
    """The API server refuses a Deployment that does not select the pods it makes."""
    for pod in _deployed(manifests):
        if not pod.owner.selector or not holds(pod.labels, pod.owner.selector):
            yield pod.owner, "Its selector does not fit the labels of its own pods.", f"They are {shown(pod.labels)}."


def selectors_overlap(manifests: Manifests) -> Said:
    """Two Deployments that select each other's pods hinder each other; a canary needs a label of its own."""
    for pod in _deployed(manifests):
        for other in _deployed(manifests):
            if other.owner is not pod.owner and _both(other.owner, pod):
                yield (
                    other.owner,
                    f"It selects the pods of {pod.owner.kind} {pod.owner.name} too.",
                    "Give each a label of its own, such as track, and select by it.",
                )


def service_selects_nothing(manifests: Manifests) -> Said:
    """A Service whose labels no pod bears has nobody to send requests to."""
    for service in manifests.of("Service"):
        selector = table(service.body, "spec", "selector")
        if selector and not manifests.chosen_by(service, selector):
            yield service, f"No pod has the labels {shown(selector)}.", manifests.labels_there_are()


def service_port_unknown(manifests: Manifests) -> Said:
    """A Service hands on to a port of the pod, which must be open there."""
    for service in manifests.of("Service"):
        pods = manifests.chosen_by(service, table(service.body, "spec", "selector"))
        for port in rows(service.body, "spec", "ports"):
            target = port.get("targetPort", port.get("port"))
            if pods and not any(target in pod.ports for pod in pods):
                there = sorted({str(known) for pod in pods for known in pod.ports})
                yield service, f"Its targetPort {target!r} is no port of the pods.", nearest(str(target), there)


def ingress_to_nowhere(manifests: Manifests) -> Said:
    """An Ingress that names a Service or port which is not there answers 503 to everybody."""
    for ingress in manifests.of("Ingress"):
        for backend in _backends(ingress):
            service = manifests.named("Service", backend.get("name"), ingress.space)
            if service is None:
                there = [item.name for item in manifests.of("Service")]
                yield ingress, f"There is no Service {backend.get('name')!r}.", nearest(str(backend.get("name")), there)
            elif not _has_port(service, table(backend, "port")):
                yield ingress, f"The Service {service.name} has no port {at(backend, 'port')}.", "Name one that it has."


def ingress_without_tls(manifests: Manifests) -> Said:
    """Images and API keys would go over the network in the clear."""
    for ingress in manifests.of("Ingress"):
        hosts = {str(rule.get("host", "*")) for rule in rows(ingress.body, "spec", "rules")}
        safe = {str(host) for entry in rows(ingress.body, "spec", "tls") for host in things(entry, "hosts")}
        for host in sorted(hosts - safe):
            if not host.endswith("localhost"):
                yield ingress, f"The host {host} is served without TLS.", "Add it to spec.tls with a secretName."


def missing_network_policy(manifests: Manifests) -> Said:
    """Without a policy every pod of the cluster reaches this one, and this one reaches the world."""
    for pod in _deployed(manifests):
        kinds = {
            str(kind)
            for policy in manifests.of("NetworkPolicy")
            if pod.selected_by(policy, policy.selector)
            for kind in things(policy.body, "spec", "policyTypes") or ["Ingress"]
        }
        for kind in sorted({"Ingress", "Egress"} - kinds):
            yield pod.owner, f"No NetworkPolicy limits its {kind.lower()}.", f"Add one with policyTypes: [{kind}]."


def open_network_policy(manifests: Manifests) -> Said:
    """An empty rule allows everything."""
    for policy in manifests.of("NetworkPolicy"):
        for kind, peers in (("ingress", "from"), ("egress", "to")):
            for rule in rows(policy.body, "spec", kind):
                if not rule.get("ports") or (kind == "egress" and not rule.get(peers)):
                    yield (
                        policy,
                        f"One of its {kind} rules allows too much.",
                        f"Name ports there, and for egress {peers}.",
                    )


def policy_port_unknown(manifests: Manifests) -> Said:
    """A policy that lets in to a port which nobody opens shuts the one that is open."""
    for policy in manifests.of("NetworkPolicy"):
        pods = manifests.chosen_by(policy, policy.selector)
        for port in (port for rule in rows(policy.body, "spec", "ingress") for port in rows(rule, "ports")):
            if pods and not any(port.get("port") in pod.ports for pod in pods):
                yield policy, f"Its port {port.get('port')!r} is no port of the pods.", "Name a port of the container."


RULES = (
    selector_misses_own_pods,
    selectors_overlap,
    service_selects_nothing,
    service_port_unknown,
    ingress_to_nowhere,
    ingress_without_tls,
    missing_network_policy,
    open_network_policy,
    policy_port_unknown,
)


def _deployed(manifests: Manifests) -> list[Pod]:
    return [pod for pod in manifests.pods if pod.owner.kind in ("Deployment", "StatefulSet", "DaemonSet")]


def _both(owner: Manifest, pod: Pod) -> bool:
    return bool(owner.selector) and pod.selected_by(owner, owner.selector)


def _backends(ingress: Manifest) -> Iterator[dict[str, Any]]:
    paths = (path for rule in rows(ingress.body, "spec", "rules") for path in rows(rule, "http", "paths"))
    backends = [table(ingress.body, "spec", "defaultBackend"), *(table(path, "backend") for path in paths)]
    yield from (table(backend, "service") for backend in backends if table(backend, "service"))


def _has_port(service: Manifest, wanted: dict[str, Any]) -> bool:
    ports = rows(service.body, "spec", "ports")
    return any(port.get("name") == wanted.get("name") for port in ports if wanted.get("name")) or any(
        port.get("port") == wanted.get("number") for port in ports if wanted.get("number")
    )
