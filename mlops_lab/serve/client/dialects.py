"""What a server wants to be asked, and how to read what it answers: the course's routes, or TensorFlow Serving's.

A dialect takes the question in the client's words and gives the answer in the course's, so that a cell does not show
which server it spoke to. It sends nothing by itself: ``get`` is the client's way of asking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, NotFound, ServerError, UnknownModel, UnknownVersion, WrongShape, nearest
from mlops_lab.image import InputSpec, to_input
from mlops_lab.predict import from_probabilities
from mlops_lab.serve.client.packing import pack
from mlops_lab.serve.codecs import images as codec
from mlops_lab.serve.core.limits import Limits
from mlops_lab.store import ModelStore

# A path and a key that must be in the answer → the answer, an object.
Get = Callable[[str, str], dict[str, Any]]
SIGNATURE = "serving_default"
DTYPES = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


@dataclass(frozen=True, eq=False)
class Question:
    """One request to classify.

    Parameters
    ----------
    name, path
        Of the model, and where the request goes.
    options
        What ``requests`` is to send.
    images
        The images, where they are known, for drawing.
    facts
        What had to be known about the version to ask at all.
    """

    name: str
    path: str
    options: dict[str, Any]
    images: Sequence[NDArray[Any]] | None
    facts: Facts | None = None


class Dialect(Protocol):
    """What a client needs of a server, in the words of the course's routes."""

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the server, with their versions and aliases."""
        ...

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """Return what is known about one version."""
        ...

    def question(self, name: str, version: int | str, images: Any) -> Question:
        """Return the request that classifies images."""
        ...

    def read(self, question: Question, message: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a question as the course's server would have given it."""
        ...


@dataclass(frozen=True)
class Course:
    """Our own routes: a server that describes itself, and takes images as they are."""

    get: Get

    def models(self) -> list[dict[str, Any]]:
        """See :class:`Dialect`."""
        listing: list[dict[str, Any]] = self.get("/models", "models")["models"]
        return listing

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """See :class:`Dialect`."""
        return self.get(f"/models/{name}/{word(version)}", "name")

    def question(self, name: str, version: int | str, images: Any) -> Question:
        """See :class:`Dialect`."""
        options, images = pack(images)
        return Question(name, f"/models/{name}/{word(version)}", options, images)

    def read(self, question: Question, message: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Dialect`."""
        return message


def word(version: int | str) -> str:
    """Return a version as the course's routes have it.

    Examples
    --------
    >>> word(3), word("3"), word("v3"), word("production")
    ('v3', 'v3', 'v3', 'production')
    """
    return f"v{version}" if isinstance(version, int) or version.isdigit() else version


@dataclass(frozen=True)
class Facts:
    """What one has to know about a version to ask a server that takes tensors."""

    version: int
    input: InputSpec
    labels: tuple[str, ...]
    info: dict[str, Any]


class TensorFlowServing:
    """TensorFlow Serving's REST interface, which takes tensors that are ready and answers bare numbers.

    Parameters
    ----------
    get
        The client's way of asking.
    store
        Where the manifests of the served models are: they know the preprocessing and the labels. Without it, pixels
        are scaled to 0–1 and the size comes from the signature.
    labels
        The names of the classes, where there is no store; else they are numbers.
    """

    def __init__(self, get: Get, store: ModelStore | None = None, labels: Sequence[str] = ()) -> None:
        self.get = get
        self.store = store
        self.labels = tuple(labels)
        self._known: dict[tuple[str, int], Facts] = {}

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the store that the server has: it keeps no list that could be asked for."""
        if self.store is None:
            raise NotFound(
                "TensorFlow Serving does not list its models.",
                "Name one, client.info('clothes'), or say which there may be: Client(url, models='models').",
            )
        served = {name: self._versions(name) for name in self.store.names()}
        return [
            {"name": name, "versions": versions, "aliases": {a: word(v) for a, v in self.store.aliases(name).items()}}
            for name, versions in served.items()
            if versions
        ]

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """See :class:`Dialect`."""
        return self.facts(name, version).info

    def question(self, name: str, version: int | str, images: Any) -> Question:
        """Ask for a version by its number, so that the answer is of the version that was looked up."""
        facts = self.facts(name, version)
        packed, images = pack(images)
        rows = to_input(unpack(packed, facts.input), facts.input).astype(np.float64).round(9).tolist()
        path = f"{address(name, facts.version)}:predict"
        body = json.dumps({"instances": rows}, separators=(",", ":"))
        options = {"data": body, "headers": {"Content-Type": "application/json"}}
        return Question(name, path, options, images, facts)

    def read(self, question: Question, message: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Dialect`."""
        facts = question.facts
        try:
            rows = np.array(message["predictions"], dtype=np.float64)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if facts is None or rows.ndim != 2 or not rows.size:
            raise ServerError(
                f"{question.path} answered {str(message['predictions'])[:80]!r}, which is not a row of numbers for each"
                " image.",
                "The client reads models with one output, (n, classes).",
            )
        labels = facts.labels or tuple(map(str, range(rows.shape[1])))  # a signature may leave their number open
        if len(labels) != rows.shape[1]:
            received = f"{question.name} answers {rows.shape[1]} numbers for an image; there are {len(labels)} labels."
            raise WrongShape(received, "Pass the labels of this model.")
        return codec.encode(question.name, facts.version, from_probabilities(rows, labels))

    def facts(self, name: str, version: int | str) -> Facts:
        """Return what is known about a version; ``latest`` and labels are looked up anew, since they move."""
        digits = str(version).removeprefix("v")
        if digits.isdecimal() and (name, int(digits)) in self._known:
            return self._known[name, int(digits)]
        message = self._metadata(name, version)
        try:
            number = int(message["model_spec"]["version"])
            signature = message["metadata"]["signature_def"]["signature_def"][SIGNATURE]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"The metadata of {name} has no signature {SIGNATURE!r}.", "Export it with one."
            ) from error
        labels = self.labels or read_classes(signature)
        self._known[name, number] = self._described(name, number, read_signature(name, signature), labels)
        return self._known[name, number]

    def _described(self, name: str, number: int, shape: InputSpec, labels: tuple[str, ...]) -> Facts:
        """Prefer what the manifest says, once it is a manifest of what is served."""
        if self.store is None or number not in self.store.versions(name):
            about = {"name": name, "version": f"v{number}", "input": shape.to_dict(), "labels": list(labels)}
            return Facts(number, shape, labels, about)
        manifest = self.store.get(name, number).manifest
        if manifest.input.shape != shape.shape:
            message = f"{name} v{number} takes {shape.shape} at the server and {manifest.input.shape} in the store."
            raise WrongShape(message, "Pass the store that the server serves.")
        return Facts(number, manifest.input, manifest.labels, manifest.public())

    def _metadata(self, name: str, version: int | str) -> dict[str, Any]:
        place = address(name, version)
        try:
            return self.get(f"{place}/metadata", "model_spec")
        except NotFound as error:
            if place == address(name, "latest"):
                hint = (
                    f"mlops-lab deploy tfserving {name} --lint finds what TensorFlow Serving passes over in a folder."
                )
                raise UnknownModel(error.message, hint) from error
            raise UnknownVersion(error.message, nearest(word(version), self._versions(name))) from error
        except BadRequest as error:
            if "/labels/" not in place:
                raise
            raise UnknownVersion(error.message, nearest(word(version), self._versions(name))) from error

    def _versions(self, name: str) -> list[str]:
        """Return the versions that answer, oldest first."""
        try:
            listed = self.get(address(name, "latest"), "model_version_status")["model_version_status"]
        except NotFound:
            return []
        return [f"v{number}" for number in sorted(int(v["version"]) for v in listed if v["state"] == "AVAILABLE")]


def address(name: str, version: int | str) -> str:
    """Return the path of a version as TensorFlow Serving has it: labels are what aliases are here.

    Examples
    --------
    >>> address("clothes", "v3"), address("clothes", "production"), address("clothes", "latest")
    ('/v1/models/clothes/versions/3', '/v1/models/clothes/labels/production', '/v1/models/clothes')
    """
    model, digits = f"/v1/models/{quote(name, safe='')}", str(version).removeprefix("v")
    if version == "latest":
        return model
    return f"{model}/versions/{digits}" if digits.isdecimal() else f"{model}/labels/{quote(str(version), safe='')}"


def read_signature(name: str, signature: dict[str, Any]) -> InputSpec:
    """Return what a signature takes; what it cannot tell (the range of a pixel) is as in the course, 0–1.

    Examples
    --------
    >>> sides = [{"size": "-1"}, {"size": "28"}, {"size": "28"}, {"size": "1"}]
    >>> read_signature("m", {"inputs": {"x": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": sides}}}}).size
    (28, 28)
    """
    inputs = signature.get("inputs", {})
    tensor: dict[str, Any] = next(iter(inputs.values()), {})
    shape = tuple(int(side["size"]) for side in tensor.get("tensor_shape", {}).get("dim", ()))[1:]
    if len(inputs) != 1 or tensor.get("dtype") not in DTYPES or not shape or min(shape) < 1:
        taken = ", ".join(f"{key} {value.get('dtype')}" for key, value in inputs.items()) or "nothing"
        message = f"The model {name!r} takes {taken} of shape {shape}; the client sends one batch of numbers of a fixed"
        raise WrongShape(f"{message} shape.", "Ask :predict with requests.")
    grey, colour = len(shape) == 2 or shape[2:] == (1,), shape[2:] == (3,)
    size = (shape[0], shape[1]) if grey or colour else None
    return InputSpec(shape, size, next(iter(inputs)), mode="rgb" if colour else "grey", dtype=DTYPES[tensor["dtype"]])


def read_classes(signature: dict[str, Any]) -> tuple[str, ...]:
    """Return a number for each class of a signature's output, where it tells how many there are.

    Examples
    --------
    >>> read_classes({"outputs": {"output_0": {"tensor_shape": {"dim": [{"size": "-1"}, {"size": "2"}]}}}})
    ('0', '1')
    """
    output: dict[str, Any] = next(iter(signature.get("outputs", {}).values()), {})
    sides = output.get("tensor_shape", {}).get("dim", ())
    return tuple(map(str, range(int(sides[-1]["size"])))) if len(sides) == 2 else ()


def unpack(packed: dict[str, Any], spec: InputSpec) -> codec.Images:
    """Return the images in the body of a request, in the model's size: what our server would do with it."""
    limits = Limits()
    if "files" in packed:
        return codec.decode_form([data for _, (_, data) in packed["files"]], [], spec, limits)
    return codec.decode(packed["headers"]["Content-Type"], packed["data"], spec, limits)
