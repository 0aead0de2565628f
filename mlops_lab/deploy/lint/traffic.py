"""Rules about the path of a request: from the Ingress to the Service, to the pods, through the network policy.

Each rule is a function of all ``Manifests`` that yields the object, the message and the hint. Its name is the rule's
code, its docstring the reason.
"""

# ruff: noqa: D401 - the docstring of a rule is its reason

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.deploy.lint.manifests import KubernetesObject, Manifests, Pod, at, holds, rows, shown, table, things
from mlops_lab.errors import nearest

Problems = Iterator[tuple[KubernetesObject, str, str]]


def selector_misses_own_pods(manifests: Manifests) -> Problems:
    """The API server rejects a Deployment that does not select its own pods."""
    for pod in _deployed(manifests):
        if not pod.owner.selector or not holds(pod.labels, pod.owner.selector):
            yield pod.owner, "Its selector does not match the labels of its own pods.", f"They are {shown(pod.labels)}."


def selectors_overlap(manifests: Manifests) -> Problems:
    """Two Deployments that select each other's pods conflict; a canary needs a label of its own."""
    for pod in _deployed(manifests):
        for other in _deployed(manifests):
            if other.owner is not pod.owner and _both(other.owner, pod):
                yield (
                    other.owner,
                    f"It also selects the pods of {pod.owner.kind} {pod.owner.name}.",
                    "Give each Deployment a distinct label, such as track, and select by it.",
                )


def service_selects_nothing(manifests: Manifests) -> Problems:
    """A Service has no endpoints if no pod has its labels."""
    for service in manifests.of("Service"):
        selector = table(service.body, "spec", "selector")
        if selector and not manifests.selected_by_labels(service, selector):
            yield service, f"No pod has the labels {shown(selector)}.", manifests.labels_hint()


def service_port_unknown(manifests: Manifests) -> Problems:
    """A Service forwards to a port that a container must open."""
    for service in manifests.of("Service"):
        pods = manifests.selected_by_labels(service, table(service.body, "spec", "selector"))
        for port in rows(service.body, "spec", "ports"):
            target = port.get("targetPort", port.get("port"))
            if pods and not any(target in pod.ports for pod in pods):
                there = sorted({str(known) for pod in pods for known in pod.ports})
                yield service, f"Its targetPort {target!r} is not a port of the pods.", nearest(str(target), there)


def ingress_to_nowhere(manifests: Manifests) -> Problems:
    """An Ingress that names a missing Service or port answers 503 to every request."""
    for ingress in manifests.of("Ingress"):
        for backend in _backends(ingress):
            service = manifests.named("Service", backend.get("name"), ingress.space)
            if service is None:
                there = [item.name for item in manifests.of("Service")]
                yield ingress, f"There is no Service {backend.get('name')!r}.", nearest(str(backend.get("name")), there)
            elif not _has_port(service, table(backend, "port")):
                yield (
                    ingress,
                    f"The Service {service.name} has no port {at(backend, 'port')}.",
                    "Use a port of the Service.",
                )


def ingress_without_tls(manifests: Manifests) -> Problems:
    """Without TLS, images and API keys are sent over the network in plain text."""
    for ingress in manifests.of("Ingress"):
        hosts = {str(rule.get("host", "*")) for rule in rows(ingress.body, "spec", "rules")}
        safe = {str(host) for entry in rows(ingress.body, "spec", "tls") for host in things(entry, "hosts")}
        for host in sorted(hosts - safe):
            if not host.endswith("localhost"):
                yield ingress, f"The host {host} is served without TLS.", "Add it to spec.tls with a secretName."


def missing_network_policy(manifests: Manifests) -> Problems:
    """Without a policy every pod of the cluster reaches this one, and this one reaches the internet."""
    for pod in _deployed(manifests):
        kinds = {
            str(kind)
            for policy in manifests.of("NetworkPolicy")
            if pod.selected_by(policy, policy.selector)
            for kind in things(policy.body, "spec", "policyTypes") or ["Ingress"]
        }
        for kind in sorted({"Ingress", "Egress"} - kinds):
            yield pod.owner, f"No NetworkPolicy limits its {kind.lower()}.", f"Add one with policyTypes: [{kind}]."


def open_network_policy(manifests: Manifests) -> Problems:
    """An empty rule allows all traffic."""
    for policy in manifests.of("NetworkPolicy"):
        for kind, peers in (("ingress", "from"), ("egress", "to")):
            for rule in rows(policy.body, "spec", kind):
                if not rule.get("ports") or (kind == "egress" and not rule.get(peers)):
                    yield (
                        policy,
                        f"One of its {kind} rules allows all traffic.",
                        f"Set ports, and for egress also {peers}.",
                    )


def policy_port_unknown(manifests: Manifests) -> Problems:
    """A policy that allows a port which no container opens blocks the port that is open."""
    for policy in manifests.of("NetworkPolicy"):
        pods = manifests.selected_by_labels(policy, policy.selector)
        for port in (port for rule in rows(policy.body, "spec", "ingress") for port in rows(rule, "ports")):
            if pods and not any(port.get("port") in pod.ports for pod in pods):
                yield (
                    policy,
                    f"Its port {port.get('port')!r} is not a port of the pods.",
                    "Use a port of the container.",
                )


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


def _both(owner: KubernetesObject, pod: Pod) -> bool:
    return bool(owner.selector) and pod.selected_by(owner, owner.selector)


def _backends(ingress: KubernetesObject) -> Iterator[dict[str, Any]]:
    paths = (path for rule in rows(ingress.body, "spec", "rules") for path in rows(rule, "http", "paths"))
    backends = [table(ingress.body, "spec", "defaultBackend"), *(table(path, "backend") for path in paths)]
    yield from (table(backend, "service") for backend in backends if table(backend, "service"))


def _has_port(service: KubernetesObject, wanted: dict[str, Any]) -> bool:
    ports = rows(service.body, "spec", "ports")
    return any(port.get("name") == wanted.get("name") for port in ports if wanted.get("name")) or any(
        port.get("port") == wanted.get("number") for port in ports if wanted.get("number")
    )
