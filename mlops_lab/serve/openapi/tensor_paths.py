"""``/v1`` and ``/v2`` in ``/openapi.json``: the routes of TensorFlow Serving and of the Open Inference Protocol.

Both carry tensors: the input of a model itself. A body with bytes in it is not described, because OpenAPI cannot
say where the JSON in front of the bytes ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlops_lab.inputs import TEXT as TEXT_TYPE
from mlops_lab.inputs import InputSpec
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry
from mlops_lab.serve.openapi.components import Json, get, in_json, in_path, post
from mlops_lab.serve.openapi.primitives import TEXT, any_of, array, batch, closed, nested, number, record
from mlops_lab.signature import OutputSpec, Signature

TFSERVING, OIP = "TensorFlow Serving", "Open Inference Protocol"
TAGS = (
    {
        "name": TFSERVING,
        "description": "The same models for clients of TensorFlow Serving; gRPC has a port of its own.",
    },
    {"name": OIP, "description": "The same models for clients of Triton, KServe and MLServer; gRPC likewise."},
)
PARAMETERS: Json = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "boolean"]}}
FLAG: Json = {"type": "boolean"}


def paths(models: Mapping[str, ModelEntry]) -> Json:
    """Return the addresses of the models that are loaded, and of the server."""
    found: Json = {}
    for name, entry in models.items():
        found |= _tfserving(name, entry)
    found |= _server()
    for name, entry in models.items():
        found |= _oip(name, entry)
    return found


def answers() -> Json:
    """Return the schemas of what is answered."""
    scores = {"type": "array"}
    classes = array(array({**array({"type": ["string", "number"]}), "minItems": 2, "maxItems": 2}))
    state = record(version=TEXT, state=TEXT, status=record(error_code=TEXT, error_message=TEXT))
    spec = record(name=TEXT, signature_name=TEXT, version=TEXT)
    signatures = record(signature_def=record(signature_def={"type": "object"}))
    shape = array({"type": "integer"})
    tensor = record(name=TEXT, datatype=TEXT, shape=shape)
    metadata = record(name=TEXT, versions=array(TEXT), platform=TEXT, inputs=array(tensor), outputs=array(tensor))
    output = {**tensor, "anyOf": [record(data={"type": "array"}), record(parameters={"type": "object"})]}
    return {
        "tfserving.Predictions": any_of([record(predictions=scores), record(outputs={"type": ["array", "object"]})]),
        "tfserving.Results": record(results=classes),
        "tfserving.Values": record(results=array({"type": "number"})),
        "tfserving.Status": record(model_version_status=array(state)),
        "tfserving.Metadata": record(model_spec=spec, metadata=signatures),
        "oip.Server": record(name=TEXT, version=TEXT, extensions=array(TEXT)),
        "oip.Live": record(live=FLAG),
        "oip.Ready": record(ready=FLAG),
        "oip.ModelReady": record(name=TEXT, ready=FLAG),
        "oip.Models": record(models=array(TEXT)),
        "oip.Metadata": metadata,
        "oip.Answer": record(model_name=TEXT, model_version=TEXT, outputs=array(output)),
        "oip.Index": array(record(name=TEXT, version=TEXT, state=TEXT, reason=TEXT)),
    }


def bodies(models: Mapping[str, ModelEntry], limits: Limits) -> Json:
    """Return what each model can be sent, by the names that its addresses refer to."""
    makers = {"Rows": _rows, "Examples": _examples, "Inference": _inference}
    return {
        f"{name}.{word}": make(name, entry, limits) for name, entry in models.items() for word, make in makers.items()
    }


def _body_of(name: str, word: str) -> Json:
    return {"$ref": f"#/components/requestBodies/{name}.{word}"}


def _tfserving(name: str, entry: ModelEntry) -> Json:
    aliases = list(entry.answering_aliases())
    verbs = {
        "classify": all(tensors.scored(predictor) for predictor in entry.loaded.values()),
        "regress": all(tensors.valued(predictor) for predictor in entry.loaded.values()),
    }
    left_out = tuple(f":{verb}" for verb, answers in verbs.items() if not answers)
    found = _tfserving_at(name, "", "", {})
    version = in_path("version", map(str, entry.versions()), "A version: 1 stands for v1.")
    found |= _tfserving_at(name, "/versions/{version}", "ByVersion", {"parameters": [version]})
    if aliases:
        label = in_path("label", aliases, "An alias.")
        found |= _tfserving_at(name, "/labels/{label}", "ByLabel", {"parameters": [label]})
    return {path: operations for path, operations in found.items() if not path.endswith(left_out)}


def _tfserving_at(name: str, place: str, word: str, shared: Json) -> Json:
    def read(verb: str, summary: str, answer: str) -> Json:
        return {**shared, "get": get(f"{name}.{verb}{word}", TFSERVING, summary, in_json(answer), 404, 503)}

    def ask(verb: str, summary: str, body: str, answer: str) -> Json:
        code = f"{name}.{verb}{word}"
        return {**shared, "post": post(code, TFSERVING, summary, _body_of(name, body), in_json(answer))}

    model = f"/v1/models/{name}{place}"
    return {
        model: read("status", "Which versions answer", "tfserving.Status"),
        f"{model}/metadata": read("signatures", "What goes in and comes out", "tfserving.Metadata"),
        f"{model}:predict": ask("predict", "The outputs", "Rows", "tfserving.Predictions"),
        f"{model}:classify": ask("classifyExamples", "Labels and scores", "Examples", "tfserving.Results"),
        f"{model}:regress": ask("regressExamples", "A number", "Examples", "tfserving.Values"),
    }


def _server() -> Json:
    about = get("oip.server", OIP, "What this server is", in_json("oip.Server"))
    live = get("oip.live", OIP, "Whether it is alive", in_json("oip.Live"))
    ready = get("oip.ready", OIP, "Whether it answers; if not, with status 400", in_json("oip.Ready"))
    ready["responses"]["400"] = {"description": "Not ready.", "content": in_json({"type": "object"})}
    live["security"] = ready["security"] = []
    body = {"content": in_json({**record(), "properties": {"ready": FLAG}})}
    index = post("oip.index", OIP, "Every version, whether it answers, and why not", body, in_json("oip.Index"))
    del index["responses"]["200"]["headers"]["Server-Timing"]
    return {
        "/v2": {"get": about},
        "/v2/health/live": {"get": live},
        "/v2/health/ready": {"get": ready},
        "/v2/models": {"get": get("oip.models", OIP, "All models", in_json("oip.Models"))},
        "/v2/repository/index": {"post": index},
    }


def _oip(name: str, entry: ModelEntry) -> Json:
    words = in_path("version", sorted(filter(None, entry.by_version)), "A version, an alias, or latest.")
    body, answer = _body_of(name, "Inference"), in_json("oip.Answer")
    answer["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    found: Json = {}
    for place, word, shared in (("", "", {}), ("/versions/{version}", "By", {"parameters": [words]})):
        model, who = f"/v2/models/{name}{place}", f"{name}.oip"
        metadata = get(f"{who}.metadata{word}", OIP, "What goes in and comes out", in_json("oip.Metadata"), 404)
        ready = get(f"{who}.ready{word}", OIP, "Whether it answers", in_json("oip.ModelReady"), 404)
        infer = post(f"{who}.infer{word}", OIP, "The outputs", body, answer)
        found |= {
            model: {**shared, "get": metadata},
            f"{model}/ready": {**shared, "get": ready},
            f"{model}/infer": {**shared, "post": infer},
        }
    return found


def _signatures(entry: ModelEntry) -> list[Signature]:
    """Return the distinct signatures of the versions of a model."""
    return list(dict.fromkeys(predictor.signature for predictor in entry.loaded.values()))


def _body(name: str, entry: ModelEntry, schema: Json, example: Json) -> Json:
    kinds = [
        ", ".join(
            f"{spec.name} {tensors.wanted(spec)}" if len(one.inputs) > 1 else tensors.wanted(spec)
            for spec in one.inputs
        )
        for one in _signatures(entry)
    ]
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "description": f"{name} takes {' or '.join(dict.fromkeys(kinds))}.", "content": content}


def _signed(entry: ModelEntry, *others: Json) -> Json:
    """Return the schema of a message that may name a signature, and has just one of some keys."""
    names = dict.fromkeys(name for one in entry.loaded.values() for name in tensors.signature_names(one))
    return {"type": "object", "properties": {"signature_name": {"enum": ["", *names]}}, "oneOf": list(others)}


def _value(spec: InputSpec) -> Json:
    """Return the schema of one number or text of an input, in JSON of TensorFlow Serving."""
    value = number(spec.dtype)
    return any_of([value, closed(b64=TEXT)]) if spec.dtype == TEXT_TYPE else value


def _rows(name: str, entry: ModelEntry, limits: Limits) -> Json:
    """Return the body of ``:predict``: rows under ``instances``, or a column under ``inputs``."""
    rows, columns = [], []
    for signature in _signatures(entry):
        kinds = {spec.name: nested(spec.shape, _value(spec)) for spec in signature.inputs}
        rows.append(batch(closed(**kinds), limits))
        columns.append(record(**{key: batch(one, limits) for key, one in kinds.items()}))
        if len(kinds) == 1:
            (one,) = kinds.values()
            rows.insert(-1, batch(one, limits))
            columns.insert(-1, batch(one, limits))
    row, column = record(instances=any_of(rows)), record(inputs=any_of(columns))
    row["properties"]["inputs"] = column["properties"]["instances"] = False
    example = _zeros(entry)
    only = next(iter(example.values())) if len(example) == 1 else [{key: one[0] for key, one in example.items()}]
    return _body(name, entry, _signed(entry, row, column), {"instances": only})


def _examples(name: str, entry: ModelEntry, limits: Limits) -> Json:
    """Return the body of ``:classify`` and ``:regress``: features by name, flat or in shape."""
    kinds = []
    for signature in _signatures(entry):
        shaped = {spec.name: nested(spec.shape, _value(spec)) for spec in signature.inputs}
        flat = {spec.name: nested((tensors.size(spec.shape),), _value(spec)) for spec in signature.inputs}
        kinds += [batch(record(**one), limits) for one in ([flat] if flat == shaped else [shaped, flat])]
    message = record(examples=any_of(kinds))
    message["properties"]["context"] = {"type": "object"}
    feature = {spec.name: spec.zeros().ravel().tolist() for spec in _signatures(entry)[0].inputs}
    return _body(name, entry, _signed(entry, message), {"examples": [feature]})


def _inference(name: str, entry: ModelEntry, limits: Limits) -> Json:
    """Return the body of ``infer``. That the data have as many numbers as the shape says, no schema can say."""
    signatures = _signatures(entry)
    inputs = [_input(spec, limits) for spec in dict.fromkeys(spec for one in signatures for spec in one.inputs)]
    outputs = [_output(spec) for predictor in entry.loaded.values() for spec in tensors.outputs_of(predictor)]
    least, most = (choose(len(one.inputs) for one in signatures) for choose in (min, max))
    message = record(inputs={**array(any_of(inputs)), "minItems": least, "maxItems": most})
    most = max(len(one.outputs) for one in signatures)
    message["properties"] |= {
        "id": {"type": ["string", "null"]},
        "parameters": {**PARAMETERS, "properties": {"binary_data_output": FLAG}},
        "outputs": {"type": ["array", "null"], "items": any_of(outputs), "maxItems": most},
    }
    given = [
        {
            **{"name": spec.name, "shape": [1, *spec.least_shape], "datatype": tensors.datatype_of(spec)},
            "data": spec.zeros().ravel().tolist(),
        }
        for spec in signatures[0].inputs
    ]
    return _body(name, entry, message, {"inputs": given})


def _input(spec: InputSpec, limits: Limits) -> Json:
    value = number(spec.dtype)
    length = {"type": "integer", "minimum": 1, "maximum": limits.batch}
    free: Json = {"type": "integer", "minimum": 0}
    sides = [length, *(free if side is None else {"type": "integer", "const": side} for side in spec.shape)]
    shape = {"type": "array", "prefixItems": sides, "items": False, "minItems": len(sides)}
    size = tensors.size(spec.shape)
    flat = array(value) if size is None else {**array(value), "minItems": size, "maxItems": size * limits.batch}
    data = any_of([flat, batch(nested(spec.shape, value), limits)])
    entry = record(name={"const": spec.name}, shape=shape, datatype={"enum": tensors.datatypes(spec)}, data=data)
    entry["properties"]["parameters"] = {**PARAMETERS, "properties": {"binary_data_size": False}}
    return entry


def _output(spec: OutputSpec) -> Json:
    known = {"binary_data": FLAG, "classification": {"type": "integer", "minimum": 0}}
    entry = record(name={"const": spec.name})
    entry["properties"]["parameters"] = {**PARAMETERS, "properties": known}
    return entry


def _zeros(entry: ModelEntry) -> Json:
    """Return a batch of one example of each input, as lists."""
    return {spec.name: spec.zeros().tolist() for spec in _signatures(entry)[0].inputs}
