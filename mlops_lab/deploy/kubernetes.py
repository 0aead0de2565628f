"""The values of the Kubernetes files, which run a model's server on a cluster."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_lab.deploy import application
from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec

MEMORY = {"onnx": ("256Mi", "1Gi"), "keras": ("1Gi", "3Gi")}
"""The request and the limit; the limits are those of ``deploy docker``."""
LONGEST_NAME = 50
"""Kubernetes allows 63 characters, and the suffixes "-settings" and "-canary" must fit."""


@dataclass(frozen=True)
class Deployment:
    """The values of the templates.

    Parameters
    ----------
    name
        The name of all objects, derived from the model's.
    model, version
        The model and its version in the store.
    image
        The image of the spec; ``repository``, ``pin`` (``newTag`` or ``digest``) and ``tag`` are its parts.
    components
        The optional parts in use, as a list in YAML.
    replicas, most_replicas
        The bounds of the autoscaler.
    share
        The share of one canary pod beside ``most_replicas`` pods, as text.
    port
        The port on this machine for ``kubectl port-forward``; in the container it is always 8000.
    host
        The host name of production.
    health
        The health endpoint of an application of one's own; empty where it has none.
    api_key
        Whether the server requires an API key.
    """

    name: str
    model: str
    version: str
    image: str
    repository: str
    pin: str
    tag: str
    port: int
    components: str
    replicas: int
    most_replicas: int
    share: str
    memory_request: str
    memory_limit: str
    host: str
    health: str
    api_key: bool

    @property
    def liveness(self) -> str:
        """Return the action of an application's startup and liveness probes in YAML.

        By convention ``/healthz`` shows that the process is alive. Another endpoint may depend on a model, and a pod is
        not restarted for that.
        """
        return _action(self.health if self.health == "/healthz" else "")

    @property
    def readiness(self) -> str:
        """Return the action of an application's readiness probe in YAML."""
        return _action("" if self.health == "/healthz" else self.health)


def _action(path: str) -> str:
    """Return a request to a path, or a connection to the port where there is no path."""
    return f"httpGet: {{path: {json.dumps(path)}, port: http}}" if path else "tcpSocket: {port: http}"


def context(spec: Spec) -> dict[str, Any]:
    """Return the values of the templates.

    Raises
    ------
    WrongUsage
        There are fewer than two replicas, so no node could be drained without an outage; or a gRPC port is set, which
        these files do not open.
    """
    if spec.grpc_port is not None:
        raise WrongUsage(f"grpc_port={spec.grpc_port}: the Kubernetes files serve HTTP only.", "Set grpc_port=None.")
    if spec.replicas < 2:
        raise WrongUsage(
            "A single replica cannot keep answering while its node is drained.",
            "Set replicas=2 or more; the overlay 'dev' runs a single pod.",
        )
    name = object_name(spec.name)
    repository, pin, tag = image_parts(spec.image)
    most = 4 * spec.replicas
    request, limit = MEMORY["keras" if spec.engine == "keras" else "onnx"]
    deployment = Deployment(
        name=name,
        model=spec.name,
        version=str(spec.version),
        image=spec.image,
        repository=repository,
        pin=pin,
        tag=tag,
        port=spec.port,
        components=json.dumps(components(spec)),
        replicas=spec.replicas,
        most_replicas=most,
        share=f"{100 / (1 + most):.0f} %",
        memory_request=request,
        memory_limit=limit,
        host=f"{name}.example.com",
        health=(application.health_path(spec.app) or "") if spec.app else "/readyz",
        api_key=spec.api_key,
    )
    return {"deployment": deployment}


def components(spec: Spec) -> list[str]:
    """Return the optional parts that are in use, as ``base/kustomization.yaml`` names them."""
    used = {"models-volume": spec.mount, "own-application": spec.app is not None, "api-key": spec.api_key}
    return [f"../components/{name}" for name, wanted in used.items() if wanted]


def object_name(model: str) -> str:
    """Return a name that Kubernetes accepts for a model: it starts with a letter, has no ``_``, and is short enough.

    A name that is shortened ends in six digits of its hash, so two long names never become the same.

    Examples
    --------
    >>> object_name("clothes"), object_name("house_numbers"), object_name("28x28")
    ('clothes', 'house-numbers', 'm-28x28')
    """
    name = model.replace("_", "-").strip("-")
    name = name if name[0].isalpha() else f"m-{name}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 7].rstrip('-')}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def image_parts(image: str) -> tuple[str, str, str]:
    """Return an image's repository, the kustomize key that pins it, and its tag or digest.

    Examples
    --------
    >>> image_parts("registry.example.com:5000/clothes:3")
    ('registry.example.com:5000/clothes', 'newTag', '3')
    >>> image_parts("clothes@sha256:4bf9")
    ('clothes', 'digest', 'sha256:4bf9')
    """
    plain, at, digest = image.partition("@")
    folder, slash, last = plain.rpartition("/")
    name, _, tag = last.partition(":")
    return (f"{folder}{slash}{name}", "digest", digest) if at else (f"{folder}{slash}{name}", "newTag", tag or "latest")
