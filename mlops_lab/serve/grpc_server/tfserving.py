"""TensorFlow Serving's gRPC interface: ``PredictionService`` and ``ModelService``. This file only translates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest
from mlops_lab.inputs import TEXT, InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.codecs import tfserving as codec
from mlops_lab.serve.core.inference import Batch, Inference, check_length
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.grpc_server.context import Method, ServiceContext, Unimplemented
from mlops_lab.serve.grpc_server.protos import tensorflow_pb2, tensorflow_serving_pb2
from mlops_lab.serve.rest import tfserving
from mlops_lab.signature import OutputSpec
from mlops_lab.tensors import Tensors

# TensorFlow's number for a type, the Open Inference Protocol's name for it, and the field that holds its numbers.
TYPES = {
    1: ("FP32", "float_val"),
    2: ("FP64", "double_val"),
    3: ("INT32", "int_val"),
    4: ("UINT8", "int_val"),
    5: ("INT16", "int_val"),
    6: ("INT8", "int_val"),
    7: ("BYTES", "string_val"),
    9: ("INT64", "int64_val"),
    10: ("BOOL", "bool_val"),
    14: ("BF16", "half_val"),
    17: ("UINT16", "int_val"),
    19: ("FP16", "half_val"),
    22: ("UINT32", "uint32_val"),
    23: ("UINT64", "uint64_val"),
}
NUMBERS = {datatype: number for number, (datatype, _) in TYPES.items()}
KINDS = {kind: NUMBERS[tensors.NAMES[dtype]] for dtype, kind in tfserving.DTYPES.items()}
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


def infer(context: ServiceContext, request: Any, read: Callable[[Predictor], Tensors]) -> tuple[Inference, str]:
    """Return the inference for a request whose tensors ``read`` returns, and the name of its signature."""

    def decode(predictor: Predictor) -> Batch:
        signature = tfserving.check_signature(request.model_spec.signature_name, predictor)
        return tensors.to_batch(read(predictor), predictor, signature)

    name, version, label = servable(context, request.model_spec)
    found = tfserving.infer(context.service, name, version, label, decode, context.request)
    return found, found.batch.message


def predict(context: ServiceContext, request: Any) -> Any:
    """Answer ``Predict``."""

    def read(predictor: Predictor) -> Tensors:
        outputs = [spec.name for spec in tensors.outputs_of(predictor)]
        if any(name not in outputs for name in request.output_filter):
            names = ", ".join(request.output_filter)[:200]
            raise BadRequest(f"output tensor alias not found in signature: {names}")
        sent, specs = sorted(request.inputs), predictor.signature.inputs
        wanted = [spec.name for spec in specs]
        if sent != sorted(wanted):
            message = f"input size does not match signature: the request has {', '.join(sent)[:200] or 'none'}."
            raise BadRequest(message, f"Send the input{'s' if len(wanted) > 1 else ''} {', '.join(map(repr, wanted))}.")
        return {spec.name: to_array(request.inputs[spec.name], spec, context.service.limits) for spec in specs}

    found, signature = infer(context, request, read)
    answer = tensorflow_serving_pb2.PredictResponse(model_spec=used(found.predictor, signature))
    for name, array in tensors.named_outputs(found).items():
        if not request.output_filter or name in request.output_filter:
            fill(answer.outputs[name], array)
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
    values, size = getattr(tensor, field), math.prod(shape)
    if not 0 < len(values) <= size:
        raise BadRequest(f"The tensor of {size} numbers has {len(values)} in {field}.", "Send every number, or one.")
    array = tensors.texts(values, (len(values),)) if datatype == "BYTES" else numbers(values, datatype)
    if len(array) < size:
        array = np.concatenate([array, np.full(size - len(array), array[-1], array.dtype)])
    return array.reshape(shape)


def numbers(values: Any, datatype: str) -> NDArray[Any]:
    """Return a repeated field as an array; half-precision numbers are in it as their bits."""
    if datatype in ("FP16", "BF16"):
        bits = np.array(values, np.int64).astype(np.uint16)
        return tensors.from_bytes(bits.astype("<u2").tobytes(), datatype, (len(bits),))
    return np.array(values, dtype=tensors.DATATYPES[datatype] if datatype.startswith("FP") else None)


def fill(tensor: Any, array: NDArray[Any]) -> None:
    """Write an array into a ``TensorProto``."""
    datatype = tensors.NAMES[array.dtype.name] if array.dtype.kind in "fiub" else "BYTES"
    tensor.dtype = NUMBERS[datatype]
    for side in array.shape:
        tensor.tensor_shape.dim.add(size=side)
    values = array.ravel()
    if datatype == "FP16":  # their bits
        values = values.view(np.uint16)
    field = getattr(tensor, TYPES[tensor.dtype][1])
    field.extend([str(item).encode() for item in values] if datatype == "BYTES" else values.tolist())


def infer_examples(
    context: ServiceContext, request: Any, choose: Callable[[Predictor], OutputSpec]
) -> tuple[Inference, OutputSpec, Any]:
    """Return the inference for the examples in a request, the output that is asked for, and the ``ModelSpec``."""

    def read(predictor: Predictor) -> Tensors:
        choose(predictor)  # before the examples are read
        return to_batch(request.input, predictor, context.service.limits)

    found, signature = infer(context, request, read)
    return found, choose(found.predictor), used(found.predictor, signature)


def classify(context: ServiceContext, request: Any) -> Any:
    """Answer ``Classify``: the score of every class, in the order of the labels."""
    found, output, spec = infer_examples(context, request, codec.scored_output)
    answer = tensorflow_serving_pb2.ClassificationResponse(model_spec=spec)
    for pairs in codec.classes_of(found, output):
        result = answer.result.classifications.add()
        for name, score in pairs:
            result.classes.add(label=name, score=score)
    return answer


def regress(context: ServiceContext, request: Any) -> Any:
    """Answer ``Regress``: one number for each example."""
    found, output, spec = infer_examples(context, request, codec.value_output)
    answer = tensorflow_serving_pb2.RegressionResponse(model_spec=spec)
    for value in codec.values_of(found, output):
        answer.result.regressions.add(value=value)
    return answer


def to_batch(given: Any, predictor: Predictor, limits: Limits) -> Tensors:
    """Return the examples of an ``Input`` as a batch."""
    with_context = given.HasField("example_list_with_context")
    listed = given.example_list_with_context if with_context else given.example_list
    check_length(len(listed.examples), limits)
    shared = listed.context.features.feature if with_context else {}
    features = [example.features.feature for example in listed.examples]
    return {spec.name: _feature(features, shared, spec) for spec in predictor.signature.inputs}


def _feature(features: list[Any], shared: Any, spec: InputSpec) -> NDArray[Any]:
    """Return the batch of one input, each example a list of numbers or of texts."""
    kinds, size = ("bytes_list",) if spec.dtype == TEXT else ("float_list", "int64_list"), tensors.size(spec.shape)
    rows = []
    for one in features:
        feature = one[spec.name] if spec.name in one else shared.get(spec.name)
        kind = feature.WhichOneof("kind") if feature is not None else None
        if kind not in kinds:
            what, wanted = ("texts", "BytesList") if spec.dtype == TEXT else ("numbers", "FloatList")
            raise BadRequest(f"An example has no {what} in a feature {spec.name!r}.", f"Send a {wanted}.")
        values = getattr(feature, str(kind)).value
        rows.append(tensors.texts(values, (len(values),)) if spec.dtype == TEXT else np.array(values, np.float64))
        if len(rows[-1]) != (len(rows[0]) if size is None else size):
            message = f"An example has {len(rows[-1])} numbers in the feature {spec.name!r}."
            raise BadRequest(message, f"Send {len(rows[0]) if size is None else size}.")
    return codec.fold(np.stack(rows), spec)


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
    info = tensorflow_pb2.TensorInfo(name=entry["name"], dtype=KINDS[entry["dtype"]])
    for side in entry["tensor_shape"]["dim"]:
        info.tensor_shape.dim.add(size=int(side["size"]))
    return info


def status(context: ServiceContext, request: Any) -> Any:
    """Answer ``GetModelStatus``."""
    spec = request.model_spec
    version = str(spec.version.value) if spec.HasField("version") else ""
    listed = tfserving.states(context.service.registry, spec.name, version, spec.version_label)
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


_ONE_BY_ONE = refuse("This server answers one signature at a time.", "Call Predict, Classify or Regress.")
_RELOAD = refuse(
    "The models of this server are those of its folder.", "mlops-lab models promote and rollback move its aliases."
)

# Every method and its request; a method that only refuses need not read its request.
SERVICES: dict[str, dict[str, tuple[Method, Any]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (predict, tensorflow_serving_pb2.PredictRequest),
        "Classify": (classify, tensorflow_serving_pb2.ClassificationRequest),
        "Regress": (regress, tensorflow_serving_pb2.RegressionRequest),
        "MultiInference": (_ONE_BY_ONE, None),
        "GetModelMetadata": (metadata, tensorflow_serving_pb2.GetModelMetadataRequest),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (status, tensorflow_serving_pb2.GetModelStatusRequest),
        "HandleReloadConfigRequest": (_RELOAD, None),
    },
}
