"""The kinds of server that a client can talk to: the routes of ``serve``, and TensorFlow Serving's REST interface.

A backend builds the requests, and converts the answers into the format of ``serve``, so that the same code works with
either server. It sends nothing itself: ``get`` is passed by the client.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import numpy as np

from mlops_lab.answers import from_outputs, from_probabilities
from mlops_lab.client.encoding import Payload, encode_images
from mlops_lab.client.inputs import encode_inputs, encode_tensors
from mlops_lab.client.signatures import read_classes, read_whole, tensor_shape
from mlops_lab.errors import BadRequest, NotFound, ServerError, UnknownModel, UnknownVersion, WrongShape, nearest
from mlops_lab.image import InputSpec, to_input
from mlops_lab.inputs import TEXT
from mlops_lab.signature import Signature

if TYPE_CHECKING:
    from mlops_lab.store import ModelStore

# A path, and a key that the JSON object of the answer must have → that object.
Get = Callable[[str, str], dict[str, Any]]
SIGNATURE = "serving_default"


@dataclass(frozen=True, eq=False)
class RequestSpec:
    """A request for predictions.

    Parameters
    ----------
    name
        The name of the model.
    path
        The path of the endpoint.
    options
        Keyword arguments of ``requests.request``: the body and its headers.
    images
        The pixels of each image, for drawing; ``None`` where they are not known.
    metadata
        The metadata of the version, where the request could not be built without it.
    key
        What the JSON object of the answer must have.
    """

    name: str
    path: str
    options: dict[str, Any]
    images: Sequence[Any] | None
    metadata: ModelMetadata | None = None
    key: str = "predictions"


class Backend(Protocol):
    """The operations that a client needs; answers have the format of the routes of ``serve``."""

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the server, with their versions and aliases."""
        ...

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """Return the metadata of one version."""
        ...

    def build_requests(self, name: str, version: int | str, images: Any) -> list[RequestSpec]:
        """Return the requests that classify the images: one, or one for each image."""
        ...

    def build_inputs(self, name: str, version: int | str, examples: Any, specs: Sequence[InputSpec]) -> RequestSpec:
        """Return the request that sends tables, text or several inputs, which ``specs`` describe."""
        ...

    def parse_response(self, request: RequestSpec, message: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON answer to a request in the format of ``serve``."""
        ...


@dataclass(frozen=True)
class Course:
    """The routes of the course: the server decodes and scales the images itself.

    A server that describes the input of its models, as ``serve`` does, takes batches. To any other, such as a student's
    own ``api.py``, each image is sent in a request of its own.
    """

    get: Get
    _takes_batches: dict[str, bool] = field(default_factory=dict, repr=False)

    def models(self) -> list[dict[str, Any]]:
        """See :class:`Backend`."""
        listing: list[dict[str, Any]] = self.get("/models", "models")["models"]
        return listing

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """See :class:`Backend`."""
        return self.get(version_path(name, version), "name")

    def build_requests(self, name: str, version: int | str, images: Any) -> list[RequestSpec]:
        """See :class:`Backend`."""
        payload, path = encode_images(images), version_path(name, version)
        whole = len(payload.files) == 1 or self._describes_input(path)
        parts = [payload] if whole else payload.split()
        return [RequestSpec(name, path, part.request_options(), part.images) for part in parts]

    def build_inputs(self, name: str, version: int | str, examples: Any, specs: Sequence[InputSpec]) -> RequestSpec:
        """See :class:`Backend`. An array of fractions goes as npy, which is exact and short."""
        path = version_path(name, version)
        if (
            len(specs) == 1
            and isinstance(examples, np.ndarray)
            and examples.dtype.kind == "f"
            and specs[0].dtype != TEXT
        ):
            return RequestSpec(name, path, Payload(array=examples).request_options(), None)
        return RequestSpec(name, path, {"json": {"inputs": encode_inputs(examples, specs)}}, None)

    def _describes_input(self, path: str) -> bool:
        if path not in self._takes_batches:
            try:
                self._takes_batches[path] = not {"input", "inputs"}.isdisjoint(self.get(path, "name"))
            except NotFound:  # the response to the POST tells what is not found
                return True
        return self._takes_batches[path]

    def parse_response(self, request: RequestSpec, message: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Backend`."""
        return message


def version_path(name: str, version: int | str) -> str:
    """Return the path of a version among the routes of ``serve``.

    Examples
    --------
    >>> version_path("clothes", 3), version_path("clothes", "3"), version_path("clothes", "production")
    ('/models/clothes/v3', '/models/clothes/v3', '/models/clothes/production')
    """
    return f"/models/{name}/{version_name(version)}"


def version_name(version: int | str) -> str:
    """Return a version number as ``"v3"``; an alias stays as it is."""
    return f"v{version}" if isinstance(version, int) or version.isdigit() else version


@dataclass(frozen=True)
class ModelMetadata:
    """The metadata of a version that a request to TensorFlow Serving depends on."""

    version: int
    input: InputSpec
    labels: tuple[str, ...]
    info: dict[str, Any]
    signature: Signature


class TensorFlowServing:
    """TensorFlow Serving's REST interface, which takes preprocessed tensors and answers rows of numbers.

    Parameters
    ----------
    get
        The client's function for GET requests.
    store
        The store whose models are served, or its folder: its manifests have the preprocessing and the labels. Without
        it, pixels are scaled to 0–1 and the size comes from the signature.
    labels
        The names of the classes, where there is no store; by default their numbers.
    """

    def __init__(
        self, get: Get, store: ModelStore | str | PathLike[str] | None = None, labels: Sequence[str] = ()
    ) -> None:
        from mlops_lab.store import ModelStore

        self.get, self.labels = get, tuple(labels)
        self.store = ModelStore(Path(store)) if isinstance(store, str | PathLike) else store
        self._cache: dict[tuple[str, int], ModelMetadata] = {}

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the store that the server serves; TensorFlow Serving has no route that lists them."""
        if self.store is None:
            raise NotFound(
                "TensorFlow Serving does not list its models.",
                "Name one, client.info('clothes'), or say which there may be: Client(url, models='models').",
            )
        found = []
        for name in self.store.names():
            aliases = {alias: version_name(number) for alias, number in self.store.aliases(name).items()}
            found.append({"name": name, "versions": self._versions(name), "aliases": aliases})
        return [model for model in found if model["versions"]]

    def info(self, name: str, version: int | str) -> dict[str, Any]:
        """See :class:`Backend`."""
        return self.metadata(name, version).info

    def build_requests(self, name: str, version: int | str, images: Any) -> list[RequestSpec]:
        """Return a request to a version's number, so that the answer comes from the version that was looked up."""
        metadata = self.metadata(name, version)
        payload = encode_images(images)
        rows = to_input(payload.decode(metadata.input), metadata.input).astype(np.float64).round(9).tolist()
        path = f"{model_path(name, metadata.version)}:predict"
        body = json.dumps({"instances": rows}, separators=(",", ":"))
        options = {"data": body, "headers": {"Content-Type": "application/json"}}
        return [RequestSpec(name, path, options, payload.images, metadata)]

    def build_inputs(self, name: str, version: int | str, examples: Any, specs: Sequence[InputSpec]) -> RequestSpec:
        """See :class:`Backend`."""
        metadata = self.metadata(name, version)
        tensors = encode_tensors(examples, metadata.signature.inputs)
        path = f"{model_path(name, metadata.version)}:predict"
        return RequestSpec(name, path, {"json": {"inputs": tensors}}, None, metadata, "outputs")

    def parse_response(self, request: RequestSpec, message: dict[str, Any]) -> dict[str, Any]:
        """See :class:`Backend`."""
        metadata = request.metadata
        if metadata is not None and "predictions" not in message:
            return self._parse_columns(metadata, request, message)
        try:
            rows = np.array(message["predictions"], dtype=np.float64)
        except (TypeError, ValueError):
            rows = np.empty(0)
        if metadata is None or rows.ndim != 2 or not rows.size:
            received = f"{request.path} answered {str(message['predictions'])[:80]!r}"
            hint = "The client supports models with one output, (n, classes)."
            raise ServerError(f"{received}, which is not a row of numbers for each image.", hint)
        labels = metadata.labels or tuple(map(str, range(rows.shape[1])))  # a signature may leave their number open
        if len(labels) != rows.shape[1]:
            received = f"{request.name} answers {rows.shape[1]} numbers for an image; there are {len(labels)} labels."
            raise WrongShape(received, "Pass the labels of this model.")
        predictions = [item.to_dict() for item in from_probabilities(rows, labels)]
        return {"model": request.name, "version": f"v{metadata.version}", "predictions": predictions}

    def _parse_columns(self, metadata: ModelMetadata, request: RequestSpec, message: dict[str, Any]) -> dict[str, Any]:
        """Return the answer in columns, of any task, in the format of ``serve``."""
        specs, given = metadata.signature.outputs, message["outputs"]
        columns = given if len(specs) > 1 else {specs[0].name: given}
        try:
            outputs = {spec.name: np.array(columns[spec.name]) for spec in specs}
            found = from_outputs(outputs, metadata.signature)
        except (KeyError, TypeError, ValueError) as error:
            received = f"{request.path} answered {str(given)[:80]!r}"
            raise ServerError(f"{received}, which is not what its metadata say.", "Look at the model.") from error
        predictions = [answer.to_dict() for answer in found]
        return {"model": request.name, "version": f"v{metadata.version}", "predictions": predictions}

    def metadata(self, name: str, version: int | str) -> ModelMetadata:
        """Return the metadata of a version; ``latest`` and labels are looked up each time, since they move."""
        digits = str(version).removeprefix("v")
        if digits.isdecimal() and (name, int(digits)) in self._cache:
            return self._cache[name, int(digits)]
        found = self._fetch_metadata(name, version)
        try:
            number = int(found["model_spec"]["version"])
            signature = found["metadata"]["signature_def"]["signature_def"][SIGNATURE]
        except (KeyError, TypeError, ValueError) as error:
            message = f"The metadata of {name} has no signature {SIGNATURE!r}."
            raise ServerError(message, "Export the model with one.") from error
        self._cache[name, number] = self._describe(name, number, signature)
        return self._cache[name, number]

    def _describe(self, name: str, number: int, signature: dict[str, Any]) -> ModelMetadata:
        """Return the metadata from the store's manifest where there is one that fits, else from the signature."""
        labels = self.labels or read_classes(signature)
        if self.store is None or number not in self.store.versions(name):
            found = read_whole(name, signature, labels)
            about = {"name": name, "version": f"v{number}", "labels": list(labels), "input": found.inputs[0].to_dict()}
            about |= {} if found.is_classifier else found.to_dict()
            return ModelMetadata(number, found.inputs[0], labels, about, found)
        manifest = self.store.get(name, number).manifest
        served = {key: tensor_shape(tensor) for key, tensor in signature.get("inputs", {}).items()}
        stored = {spec.name: spec.shape for spec in manifest.signature.inputs}
        if sorted(map(str, served.values())) != sorted(map(str, stored.values())):
            message = f"{name} v{number} takes {_shown(served)} at the server and {_shown(stored)} in the store."
            raise WrongShape(message, "Pass the store that the server serves.")
        return ModelMetadata(
            number,
            manifest.input,
            manifest.labels,
            manifest.public(),
            manifest.signature,
        )

    def _fetch_metadata(self, name: str, version: int | str) -> dict[str, Any]:
        path = model_path(name, version)
        try:
            return self.get(f"{path}/metadata", "model_spec")
        except NotFound as error:
            if path == model_path(name, "latest"):
                hint = f"mlops-lab deploy tfserving {name} --lint lists what TensorFlow Serving ignores in a folder."
                raise UnknownModel(error.message, hint) from error
            raise UnknownVersion(error.message, nearest(version_name(version), self._versions(name))) from error
        except BadRequest as error:
            if "/labels/" not in path:
                raise
            raise UnknownVersion(error.message, nearest(version_name(version), self._versions(name))) from error

    def _versions(self, name: str) -> list[str]:
        """Return the available versions, oldest first."""
        try:
            listed = self.get(model_path(name, "latest"), "model_version_status")["model_version_status"]
        except NotFound:
            return []
        return [f"v{number}" for number in sorted(int(v["version"]) for v in listed if v["state"] == "AVAILABLE")]


def model_path(name: str, version: int | str) -> str:
    """Return the path of a version at TensorFlow Serving, whose labels correspond to aliases.

    Examples
    --------
    >>> model_path("clothes", "v3"), model_path("clothes", "production"), model_path("clothes", "latest")
    ('/v1/models/clothes/versions/3', '/v1/models/clothes/labels/production', '/v1/models/clothes')
    """
    model, digits = f"/v1/models/{quote(name, safe='')}", str(version).removeprefix("v")
    if version == "latest":
        return model
    return f"{model}/versions/{digits}" if digits.isdecimal() else f"{model}/labels/{quote(str(version), safe='')}"


def _shown(shapes: dict[str, tuple[int | None, ...]]) -> str:
    return ", ".join(map(str, shapes.values()))
