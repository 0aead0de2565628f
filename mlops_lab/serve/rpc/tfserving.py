"""TensorFlow Serving's gRPC interface: ``PredictionService`` and ``ModelService``. This file only translates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps
from mlops_lab.serve.protocols import tensors, tfserving
from mlops_lab.serve.rpc.call import Desk, Method, Unimplemented
from mlops_lab.serve.rpc.protos import tensorflow_pb2, tensorflow_serving_pb2

# TensorFlow's number for a type, the Open Inference Protocol's name for it, and the field its numbers ride in.
TYPES = {
    1: ("FP32", "float_val"),
    2: ("FP64", "double_val"),
    3: ("INT32", "int_val"),
    4: ("UINT8", "int_val"),
    5: ("INT16", "int_val"),
    6: ("INT8", "int_val"),
    9: ("INT64", "int64_val"),
    14: ("BF16", "half_val"),
    17: ("UINT16", "int_val"),
    19: ("FP16", "half_val"),
    22: ("UINT32", "uint32_val"),
    23: ("UINT64", "uint64_val"),
}
NUMBERS = {"DT_FLOAT": 1, "DT_DOUBLE": 2, "DT_HALF": 19}
CODES = {"OK": 0, "UNKNOWN": 2}


def find(desk: Desk, spec: Any) -> Predictor:
    """Return the version that a ``ModelSpec`` names."""
    if not spec.name:
        raise BadRequest("Missing ModelSpec")
    watch = laps.current()
    if watch is not None:
        watch.asked = spec.name
    version = str(spec.version.value) if spec.HasField("version") else ""
    if version.startswith("-"):
        raise BadRequest(f"Failed to convert version: {version} to numeric.", code="bad_version")
    return tfserving.find(desk.registry, spec.name, version, spec.version_label, desk.find)


def predict(desk: Desk, request: Any) -> Any:
    """Answer ``Predict``."""
    predictor = find(desk, request.model_spec)
    signature = signature_of(request.model_spec, predictor)
    output = tensors.output_name(predictor)
    if any(name != output for name in request.output_filter):
        raise BadRequest(f"output tensor alias not found in signature: {', '.join(request.output_filter)[:200]}")
    sent = sorted(request.inputs)
    if sent != [predictor.input.name]:
        message = f"input size does not match signature: the request has {', '.join(sent)[:200] or 'none'}."
        raise BadRequest(message, f"Send the input {predictor.input.name!r}.")
    rows = desk.answer(predictor, to_array(request.inputs[sent[0]], predictor.input, desk.limits))
    answer = tensorflow_serving_pb2.PredictResponse(model_spec=used(predictor, signature))
    fill(answer.outputs[output], rows)
    return answer


def signature_of(spec: Any, predictor: Predictor) -> str:
    """Return the name of the signature that is asked."""
    return tfserving.check_signature(spec.signature_name, predictor)


def used(predictor: Predictor, signature: str = "") -> Any:
    """Return the ``ModelSpec`` of who answered."""
    spec = tensorflow_serving_pb2.ModelSpec(name=predictor.name, signature_name=signature)
    spec.version.value = predictor.version
    return spec


def to_array(tensor: Any, spec: InputSpec, limits: Limits) -> NDArray[Any]:
    """Return a ``TensorProto`` as an array: from its bytes, or from its list of numbers, of which the last repeats."""
    name, field = TYPES.get(tensor.dtype, (f"DataType {tensor.dtype}", ""))
    datatype = tensors.check_datatype(name, spec)
    shape = tensors.check_shape([side.size for side in tensor.tensor_shape.dim], spec, limits)
    if tensor.tensor_content:
        return tensors.from_bytes(tensor.tensor_content, datatype, shape)
    values, size = getattr(tensor, field), shape[0] * tensors.size(spec)
    if not 0 < len(values) <= size:
        raise BadRequest(f"The tensor of {size} numbers has {len(values)} in {field}.", "Send every number, or one.")
    array = numbers(values, datatype)
    if len(array) < size:
        array = np.concatenate([array, np.full(size - len(array), array[-1], array.dtype)])
    return array.reshape(shape)


def numbers(values: Any, datatype: str) -> NDArray[Any]:
    """Return a repeated field as an array; half-precision numbers ride in it as their bits."""
    if datatype in ("FP16", "BF16"):
        bits = np.array(values, np.int64).astype(np.uint16)
        return tensors.from_bytes(bits.astype("<u2").tobytes(), datatype, (len(bits),))
    return np.array(values, dtype=tensors.DATATYPES[datatype] if datatype.startswith("FP") else None)


def fill(tensor: Any, rows: NDArray[np.float32]) -> None:
    """Write probabilities into a ``TensorProto``."""
    tensor.dtype = 1
    for side in rows.shape:
        tensor.tensor_shape.dim.add(size=side)
    tensor.float_val.extend(rows.ravel().tolist())


def classify(desk: Desk, request: Any) -> Any:
    """Answer ``Classify``: the score of every class, in the order of the labels."""
    predictor = find(desk, request.model_spec)
    signature = signature_of(request.model_spec, predictor)
    rows = desk.answer(predictor, to_batch(request.input, predictor.input, desk.limits)).tolist()
    answer = tensorflow_serving_pb2.ClassificationResponse(model_spec=used(predictor, signature))
    for row in rows:
        result = answer.result.classifications.add()
        for place, score in enumerate(row):
            result.classes.add(label=tensors.label(predictor, place), score=score)
    return answer


def to_batch(given: Any, spec: InputSpec, limits: Limits) -> NDArray[Any]:
    """Return the examples of an ``Input`` as a batch."""
    listed = given.example_list_with_context if given.HasField("example_list_with_context") else given.example_list
    tensors.check_length(len(listed.examples), limits)
    shared = listed.context.features.feature if given.HasField("example_list_with_context") else {}
    rows = []
    for example in listed.examples:
        features = example.features.feature
        feature = features[spec.name] if spec.name in features else shared.get(spec.name)
        kind = feature.WhichOneof("kind") if feature is not None else None
        if kind not in ("float_list", "int64_list"):
            raise BadRequest(f"An example has no numbers in a feature {spec.name!r}.", "Send a FloatList.")
        rows.append(np.array(getattr(feature, kind).value, np.float64))
        if len(rows[-1]) != tensors.size(spec):
            message = f"An example has {len(rows[-1])} numbers in the feature {spec.name!r}."
            raise BadRequest(message, f"Send {tensors.size(spec)}.")
    return tfserving.fold(np.stack(rows), spec)


def metadata(desk: Desk, request: Any) -> Any:
    """Answer ``GetModelMetadata``."""
    if list(request.metadata_field) != ["signature_def"]:
        wanted = ", ".join(request.metadata_field)[:200] or "nothing"
        raise BadRequest(f"Metadata field {wanted} is not supported.", "Ask for 'signature_def'.")
    predictor = find(desk, request.model_spec)
    answer = tensorflow_serving_pb2.GetModelMetadataResponse(model_spec=used(predictor))
    known = tensorflow_serving_pb2.SignatureDefMap()
    for name, described in tfserving.signatures(predictor).items():
        signature = known.signature_def[name]
        signature.method_name = described["method_name"]
        for side in ("inputs", "outputs"):
            for key, entry in described[side].items():
                getattr(signature, side)[key].CopyFrom(_info(entry))
    answer.metadata["signature_def"].Pack(known)
    return answer


def _info(entry: dict[str, Any]) -> Any:
    info = tensorflow_pb2.TensorInfo(name=entry["name"], dtype=NUMBERS[entry["dtype"]])
    for side in entry["tensor_shape"]["dim"]:
        info.tensor_shape.dim.add(size=int(side["size"]))
    return info


def status(desk: Desk, request: Any) -> Any:
    """Answer ``GetModelStatus``."""
    spec = request.model_spec
    version = str(spec.version.value) if spec.HasField("version") else ""
    listed = tfserving.states(desk.registry, spec.name, version.lstrip("-"), spec.version_label)
    answer = tensorflow_serving_pb2.GetModelStatusResponse()
    for item in listed:
        entry = answer.model_version_status.add(version=int(item["version"]))
        entry.state = entry.State.Value(item["state"])
        entry.status.error_code = CODES[item["status"]["error_code"]]
        entry.status.error_message = item["status"]["error_message"]
    return answer


def refuse(message: str, hint: str) -> Method:
    """Return a method that says why it does nothing."""

    def method(desk: Desk, request: Any) -> Any:
        raise Unimplemented(message, hint)

    return method


_CLASSIFIER = refuse(f"{tfserving.NO_REGRESSION}.", "Call Predict or Classify.")
_RELOAD = refuse(
    "The models of this server are those of its folder.", "mlops-lab models promote and rollback move its aliases."
)

# Every method, and what it takes; a method that only refuses need not read its request.
SERVICES: dict[str, dict[str, tuple[Method, Any]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (predict, tensorflow_serving_pb2.PredictRequest),
        "Classify": (classify, tensorflow_serving_pb2.ClassificationRequest),
        "Regress": (_CLASSIFIER, None),
        "MultiInference": (_CLASSIFIER, None),
        "GetModelMetadata": (metadata, tensorflow_serving_pb2.GetModelMetadataRequest),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (status, tensorflow_serving_pb2.GetModelStatusRequest),
        "HandleReloadConfigRequest": (_RELOAD, None),
    },
}
