"""TensorFlow Serving's gRPC interface: ``PredictionService`` and ``ModelService``. This file only translates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.inference import Batch, Inference, check_length
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.grpc_server.context import Method, ServiceContext, Unimplemented
from mlops_lab.serve.grpc_server.protos import tensorflow_pb2, tensorflow_serving_pb2
from mlops_lab.serve.rest import tfserving

# TensorFlow's number for a type, the Open Inference Protocol's name for it, and the field that holds its numbers.
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


def servable(context: ServiceContext, spec: Any) -> tuple[str, str, str]:
    """Return the name, version and label in a ``ModelSpec``."""
    if not spec.name:
        raise BadRequest("Missing ModelSpec")
    context.request.model = spec.name
    version = str(spec.version.value) if spec.HasField("version") else ""
    if version.startswith("-"):
        raise BadRequest(f"Failed to convert version: {version} to numeric.", code="bad_version")
    return spec.name, version, spec.version_label


def infer(context: ServiceContext, request: Any, read: Callable[[Predictor], NDArray[Any]]) -> tuple[Inference, str]:
    """Return the inference for a request whose tensor ``read`` returns, and the name of its signature."""

    def decode(predictor: Predictor) -> Batch:
        signature = tfserving.check_signature(request.model_spec.signature_name, predictor)
        return Batch(tensor=read(predictor), message=signature)

    name, version, label = servable(context, request.model_spec)
    found = tfserving.infer(context.service, name, version, label, decode, context.request)
    return found, found.batch.message


def predict(context: ServiceContext, request: Any) -> Any:
    """Answer ``Predict``."""

    def read(predictor: Predictor) -> NDArray[Any]:
        output = tensors.output_name(predictor)
        if any(name != output for name in request.output_filter):
            names = ", ".join(request.output_filter)[:200]
            raise BadRequest(f"output tensor alias not found in signature: {names}")
        sent = sorted(request.inputs)
        if sent != [predictor.input.name]:
            message = f"input size does not match signature: the request has {', '.join(sent)[:200] or 'none'}."
            raise BadRequest(message, f"Send the input {predictor.input.name!r}.")
        return to_array(request.inputs[sent[0]], predictor.input, context.service.limits)

    found, signature = infer(context, request, read)
    answer = tensorflow_serving_pb2.PredictResponse(model_spec=used(found.predictor, signature))
    fill(answer.outputs[tensors.output_name(found.predictor)], found.rows)
    return answer


def used(predictor: Predictor, signature: str = "") -> Any:
    """Return the ``ModelSpec`` of the version that answered."""
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
    """Return a repeated field as an array; half-precision numbers are in it as their bits."""
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


def classify(context: ServiceContext, request: Any) -> Any:
    """Answer ``Classify``: the score of every class, in the order of the labels."""
    limits = context.service.limits
    found, signature = infer(context, request, lambda predictor: to_batch(request.input, predictor.input, limits))
    names = found.predictor.class_names(found.rows.shape[1])
    answer = tensorflow_serving_pb2.ClassificationResponse(model_spec=used(found.predictor, signature))
    for row in found.rows.tolist():
        result = answer.result.classifications.add()
        for name, score in zip(names, row, strict=False):
            result.classes.add(label=name, score=score)
    return answer


def to_batch(given: Any, spec: InputSpec, limits: Limits) -> NDArray[Any]:
    """Return the examples of an ``Input`` as a batch."""
    listed = given.example_list_with_context if given.HasField("example_list_with_context") else given.example_list
    check_length(len(listed.examples), limits)
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


def metadata(context: ServiceContext, request: Any) -> Any:
    """Answer ``GetModelMetadata``."""
    if list(request.metadata_field) != ["signature_def"]:
        wanted = ", ".join(request.metadata_field)[:200] or "nothing"
        raise BadRequest(f"Metadata field {wanted} is not supported.", "Ask for 'signature_def'.")
    predictor = tfserving.find(context.service.registry, *servable(context, request.model_spec))
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


def status(context: ServiceContext, request: Any) -> Any:
    """Answer ``GetModelStatus``."""
    spec = request.model_spec
    version = str(spec.version.value) if spec.HasField("version") else ""
    listed = tfserving.states(context.service.registry, spec.name, version.lstrip("-"), spec.version_label)
    answer = tensorflow_serving_pb2.GetModelStatusResponse()
    for item in listed:
        entry = answer.model_version_status.add(version=int(item["version"]))
        entry.state = entry.State.Value(item["state"])
        entry.status.error_code = CODES[item["status"]["error_code"]]
        entry.status.error_message = item["status"]["error_message"]
    return answer


def refuse(message: str, hint: str) -> Method:
    """Return a method that answers why it is not offered."""

    def method(context: ServiceContext, request: Any) -> Any:
        raise Unimplemented(message, hint)

    return method


_CLASSIFIER = refuse(f"{tfserving.NO_REGRESSION}.", "Call Predict or Classify.")
_RELOAD = refuse(
    "The models of this server are those of its folder.", "mlops-lab models promote and rollback move its aliases."
)

# Every method and its request; a method that only refuses need not read its request.
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
