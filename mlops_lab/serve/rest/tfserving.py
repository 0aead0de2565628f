"""TensorFlow Serving's REST interface under ``/v1``. This file only translates.

Whatever is under ``/v1/`` and none of its addresses is a malformed request, with status 400, as it is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.routing import BaseConverter

from mlops_lab.errors import BadRequest, NotFound, Unavailable, UnknownModel, UnknownVersion, nearest
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.codecs import tfserving as codec
from mlops_lab.serve.codecs.body import parse_object
from mlops_lab.serve.core.inference import Batch, Inference, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry, Registry
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.rest.images import read_content
from mlops_lab.signature import OutputSpec

DTYPES = {
    **{"float16": "DT_HALF", "float32": "DT_FLOAT", "float64": "DT_DOUBLE", "bool": "DT_BOOL", "str": "DT_STRING"},
    **{f"{kind}{bits}": f"DT_{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
MAX_VERSION = 2**63 - 1
Results = Callable[[Inference, OutputSpec], list[Any]]
ADDRESSES = (
    'There are: GET /v1/models/NAME and /v1/models/NAME/metadata; POST /v1/models/NAME:predict with {"instances": […]},'
    " and :classify. After NAME may stand /versions/1 or /labels/production."
)


class Part(BaseConverter):
    """The name of a model or a label."""

    regex = "[^/:]+"


class Digits(BaseConverter):
    """A version as TensorFlow Serving writes it: ``1`` for our ``v1``."""

    regex = "[0-9]+"


class Rest(BaseConverter):
    """Anything, slashes included."""

    regex = "(?s:.*)"
    part_isolating = False


def blueprint(service: InferenceService) -> Blueprint:
    """Return the routes over a service."""
    registry, limits = service.registry, service.limits
    routes = Blueprint("tfserving", __name__)
    converters = {"tf_part": Part, "tf_digits": Digits, "tf_rest": Rest}
    routes.record_once(lambda state: state.app.url_map.converters.update(converters))

    def predict(name: str, version: str = "", label: str = "") -> dict[str, Any]:
        def decode_message(predictor: Predictor) -> Batch:
            key, arrays = codec.decode(read_message(predictor, limits), predictor, limits)
            return tensors.to_batch(arrays, predictor, key)

        return codec.predictions(infer(service, name, version, label, decode_message, g.context))

    def classify(name: str, version: str = "", label: str = "") -> dict[str, Any]:
        return ask_examples(name, version, label, codec.scored_output, codec.classes_of)

    def regress(name: str, version: str = "", label: str = "") -> dict[str, Any]:
        return ask_examples(name, version, label, codec.value_output, codec.values_of)

    def ask_examples(
        name: str, version: str, label: str, choose: Callable[[Predictor], OutputSpec], results: Results
    ) -> dict[str, Any]:
        def decode_message(predictor: Predictor) -> Batch:
            output = choose(predictor)
            message = read_message(predictor, limits)
            return tensors.to_batch(codec.decode_examples(message, predictor, limits), predictor, output)

        found = infer(service, name, version, label, decode_message, g.context)
        return {"results": results(found, found.batch.message)}

    def status(name: str, version: str = "", label: str = "") -> dict[str, Any]:
        return {"model_version_status": states(registry, name, version, label)}

    def metadata(name: str, version: str = "", label: str = "") -> dict[str, Any]:
        predictor = find(registry, name, version, label)
        spec = {"name": name, "signature_name": "", "version": str(predictor.version)}
        return {"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures(predictor)}}}

    def no_name() -> None:
        hint = f"GET /v1/models/NAME. {nearest('', registry.entries)}"
        raise BadRequest("Missing model name in request.", hint, exact=True)

    model = "/v1/models/<tf_part:name>"
    for place in (model, f"{model}/versions/<tf_digits:version>", f"{model}/labels/<tf_part:label>"):
        for verb in (predict, classify, regress):
            _add(routes, f"{place}:{verb.__name__}", verb, "POST")
        _add(routes, place, status, "GET")
        _add(routes, f"{place}/metadata", metadata, "GET")
    _add(routes, "/v1/models", no_name, "GET")
    routes.record(_add_the_rest)
    return routes


def _add(routes: Blueprint, rule: str, view: Any, method: str) -> None:
    routes.add_url_rule(rule, view_func=view, methods=[method], provide_automatic_options=False)


def _add_the_rest(state: Any) -> None:
    """Catch every other path and method under ``/v1/``, so that none of them answers 405."""
    app = state.app
    app.view_functions["tfserving.malformed"] = malformed
    app.url_map.add(app.url_rule_class("/v1/<tf_rest:rest>", endpoint="tfserving.malformed", methods=None))


def malformed(rest: str) -> Response:
    """Refuse what is not a route of this protocol; the preflight request of a browser is let through."""
    if request.method == "OPTIONS" and re.match("https?://", request.headers.get("Origin", "")):
        return Response(status=200)
    message = f"Malformed request: {request.method[:20]} {request.path[:200]}"
    raise BadRequest(message, ADDRESSES, code="malformed_request", exact=True)


def read_message(predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """Return the JSON body that Flask is handling, once its signature is one of the model's."""
    message = parse_object(read_content(limits), limits)
    check_signature(message.get("signature_name", tensors.DEFAULT_SIGNATURE), predictor)
    return message


def infer(
    service: InferenceService,
    name: str,
    version: str,
    label: str,
    decode: Callable[[Predictor], Batch],
    context: RequestContext,
) -> Inference:
    """Return the inference of a version by number or label; errors are worded as by TensorFlow Serving."""
    with as_servable(service.registry, name, version, label) as wanted:
        route = service.route(name, wanted, context)
    return service.answer(route, decode, context)


def find(registry: Registry, name: str, version: str = "", label: str = "") -> Predictor:
    """Return a version by its number or its label, which is our alias; else the default.

    Raises
    ------
    UnknownModel, UnknownVersion
        In the words of TensorFlow Serving.
    BadRequest
        There is no such label.
    """
    with as_servable(registry, name, version, label) as wanted:
        return registry.get(name, wanted)


@contextmanager
def as_servable(registry: Registry, name: str, version: str, label: str) -> Iterator[str]:
    """Give the name for a version in the registry, and report an unknown one in the words of TensorFlow Serving."""
    entry = registry.entries.get(name)
    if label and label not in (entry.aliases if entry else {}):
        known = nearest(label[:80], entry.answering_aliases()) if entry else nearest(name[:80], registry.entries)
        message = f"Unrecognized servable version label: {label[:80]}"
        raise BadRequest(message, known, code="unknown_label", exact=True)
    number = to_number(version)
    shown = f"Specific({name[:80]}, {number})" if number else f"Latest({name[:80]})"
    try:
        yield label or number
    except UnknownModel as error:
        raise UnknownModel(f"Servable not found for request: {shown}", error.hint, exact=True) from error
    except UnknownVersion as error:
        if label:  # the label exists, the version it points to does not answer
            raise Unavailable(f"The version labelled {label!r} is not loaded.", error.message) from error
        raise UnknownVersion(f"Servable not found for request: {shown}", numbers(entry), exact=True) from error


def numbers(entry: ModelEntry | None) -> str:
    """Return a hint that names the versions which answer, as TensorFlow Serving writes them."""
    return nearest("", map(str, entry.versions() if entry else ()))


def to_number(version: str) -> str:
    """Return a version without leading zeros, once it is a number that they would take."""
    if len(version) > 400 or (version and int(version) > MAX_VERSION):
        message = f"Failed to convert version: {version[:80]} to numeric."
        raise BadRequest(message, f"The largest is {MAX_VERSION}.", code="bad_version", exact=True)
    return str(int(version)) if version else ""


def check_signature(wanted: Any, predictor: Predictor) -> str:
    """Return the name of a signature once the model has it; an empty one is the default."""
    if not isinstance(wanted, str):
        raise BadRequest(f"'signature_name' is a {type(wanted).__name__}.", "It is a string.")
    name = wanted or tensors.DEFAULT_SIGNATURE
    if name not in tensors.signature_names(predictor):
        message = f'Serving signature name: "{name[:80]}" not found in signature def'
        raise BadRequest(message, nearest(name[:80], tensors.signature_names(predictor)), exact=True)
    return name


def states(registry: Registry, name: str, version: str = "", label: str = "") -> list[dict[str, Any]]:
    """Return the state of one version, or of all that this process ever had, the newest first."""
    entry, ever = registry.entries.get(name, ModelEntry()), registry.seen_versions.get(name, set())
    if name not in registry.entries and not ever:
        message = f"Could not find any versions of model {name[:80]}"
        raise NotFound(message, nearest(name[:80], registry.entries), code="unknown_model", exact=True)
    if label:
        version = str(find(registry, name, label=label).version)
    number = to_number(version)
    known = sorted({*ever, *entry.versions(), *entry.failed}, reverse=True)
    chosen = [item for item in known if not number or str(item) == number]
    if not chosen:
        message = f"Could not find version {number} of model {name[:80]}"
        raise NotFound(message, numbers(entry), code="unknown_version", exact=True)
    return [_state(entry, item) for item in chosen]


def _state(entry: ModelEntry, version: int) -> dict[str, Any]:
    available = version in entry.loaded or version in entry.available
    failed = "" if available else entry.failed.get(version, "")
    reason = {"error_code": "UNKNOWN" if failed else "OK", "error_message": failed}
    return {"version": str(version), "state": "AVAILABLE" if available else "END", "status": reason}


def signatures(predictor: Predictor) -> dict[str, Any]:
    """Return the signatures of a model as its metadata has them."""
    outputs = tensors.outputs_of(predictor)
    calls = [f"StatefulPartitionedCall:{place}" for place in range(len(outputs))]
    return {
        name: {
            "inputs": {spec.name: _tensor(spec, f"{name}_{spec.name}:0") for spec in predictor.signature.inputs},
            "outputs": {spec.name: _tensor(spec, call) for spec, call in zip(outputs, calls, strict=True)},
            "method_name": "tensorflow/serving/predict",
            "defaults": {},
        }
        for name in tensors.signature_names(predictor)
    }


def _tensor(spec: InputSpec | OutputSpec, name: str) -> dict[str, Any]:
    sides = [{"size": str(-1 if side is None else side), "name": ""} for side in (None, *spec.shape)]
    return {"dtype": DTYPES[spec.dtype], "tensor_shape": {"dim": sides, "unknown_rank": False}, "name": name}
