"""A model's server on Kubernetes: what its files are to hold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec

MEMORY = {"onnx": ("256Mi", "1Gi"), "keras": ("1Gi", "3Gi")}
"""Request and limit; the limits are those that ``deploy docker`` runs the image with."""
LONGEST_NAME = 50
"""Kubernetes takes 63 letters, and "-settings" and "-canary" are to fit behind."""


@dataclass(frozen=True)
class Deployment:
    """What the templates fill in.

    Parameters
    ----------
    name
        Of all objects, made from the model's.
    model, version
        As the store knows them.
    image
        As the spec names it; ``repository``, ``pin`` (``newTag`` or ``digest``) and ``tag`` are its parts.
    components
        The optional parts in use, as a list of YAML.
    replicas, most_replicas
        The autoscaler's bounds.
    share
        Of one canary beside that many pods, in words.
    port
        On this machine, for a first look; in the container it is always 8000.
    host
        Under which production is reached.
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


def context(spec: Spec) -> dict[str, Any]:
    """Return what the templates fill in.

    Raises
    ------
    WrongUsage
        Fewer than two replicas: then no node could be drained without an outage. Or a gRPC port, which these files
        do not open.
    """
    if spec.grpc_port is not None:
        raise WrongUsage(f"grpc_port={spec.grpc_port}: the Kubernetes files serve HTTP only.", "Take grpc_port=None.")
    if spec.replicas < 2:
        raise WrongUsage(
            f"{spec.replicas} replica cannot keep answering while its node is drained.",
            "Take replicas=2 or more; the overlay 'dev' runs a single pod anyway.",
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
    )
    return {"deployment": deployment}


def components(spec: Spec) -> list[str]:
    """Return the optional parts that are in use, as ``base/kustomization.yaml`` names them."""
    used = {"models-volume": spec.mount, "own-application": spec.app is not None}
    return [f"../components/{name}" for name, wanted in used.items() if wanted]


def object_name(model: str) -> str:
    """Return a model's name as Kubernetes takes it: a letter first, no ``_``, and not too long.

    A name that had to be cut ends in six digits of its own, so two long names never become one.

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
    """Return an image's repository, which of kustomize's words pins it, and its tag or digest.

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
