"""The Open Inference Protocol over gRPC: ``inference.GRPCInferenceService``. This file only translates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import oip as oip_codec
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.inference import Batch, Inference
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.grpc_server.context import Method, ServiceContext
from mlops_lab.serve.grpc_server.protos import inference_pb2
from mlops_lab.serve.rest import oip

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def live(context: ServiceContext, request: Any) -> Any:
    """Answer ``ServerLive``."""
    return inference_pb2.ServerLiveResponse(live=True)


def ready(context: ServiceContext, request: Any) -> Any:
    """Answer ``ServerReady``."""
    return inference_pb2.ServerReadyResponse(ready=context.service.registry.is_ready())


def model_ready(context: ServiceContext, request: Any) -> Any:
    """Answer ``ModelReady``."""
    return inference_pb2.ModelReadyResponse(
        ready=oip.can_answer(context.service.registry, request.name, request.version)
    )


def server(context: ServiceContext, request: Any) -> Any:
    """Answer ``ServerMetadata``."""
    return inference_pb2.ServerMetadataResponse(**oip.about_server())


def model(context: ServiceContext, request: Any) -> Any:
    """Answer ``ModelMetadata``."""
    predictor = context.service.registry.get(request.name, request.version)
    return inference_pb2.ModelMetadataResponse(**oip.describe(context.service.registry, predictor))


def infer(context: ServiceContext, request: Any) -> Any:
    """Answer ``ModelInfer``."""

    def decode_message(predictor: Predictor) -> Batch:
        asked = decode(request, predictor, context.service.limits)
        return tensors.to_batch(asked.inputs, predictor, asked)

    found = context.service.infer(request.model_name, request.model_version, decode_message, context.request)
    return encode(found.batch.message, found)


def decode(request: Any, predictor: Predictor, limits: Limits) -> oip_codec.InferRequest:
    """Return the request in a message. The answer comes as the inputs did: raw, or as lists."""
    entries = oip_codec.by_name([{"name": entry.name, "entry": entry} for entry in request.inputs], predictor)
    raw = list(request.raw_input_contents)
    if raw and (len(raw) != len(entries) or any(item["entry"].HasField("contents") for item in entries)):
        inputs = f"{len(entries)} input{'s' if len(entries) > 1 else ''}"
        message = f"There are {len(raw)} raw contents for {inputs}, typed contents beside them or not."
        raise BadRequest(message, "Send either one of the two for each input.")
    outputs = [{"name": item.name, "parameters": plain(item.parameters)} for item in request.outputs]
    wanted = [replace(one, binary=bool(raw)) for one in oip_codec.decode_outputs(outputs, False, predictor)]
    inputs_by_name = {
        spec.name: to_array(item["entry"], part, spec, limits)
        for item, part, spec in zip(
            entries, raw or [None] * len(entries), oip_codec.specs_of(entries, predictor), strict=True
        )
    }
    return oip_codec.InferRequest(inputs_by_name, wanted, request.id or None)


def plain(parameters: Any) -> dict[str, Any]:
    """Return parameters as plain values."""
    chosen = {key: value.WhichOneof("parameter_choice") for key, value in parameters.items()}
    return {key: getattr(parameters[key], choice) for key, choice in chosen.items() if choice}


def to_array(entry: Any, raw: bytes | None, spec: InputSpec, limits: Limits) -> NDArray[Any]:
    """Return an input as an array."""
    datatype = tensors.check_datatype(entry.datatype, spec)
    shape = tensors.check_shape(list(entry.shape), spec, limits)
    if raw is not None:
        return tensors.from_bytes(raw, datatype, shape)
    if datatype not in CONTENTS:
        raise BadRequest(f"{datatype} has no typed contents.", "Send it in raw_input_contents.")
    values, size = getattr(entry.contents, CONTENTS[datatype]), math.prod(shape)
    if len(values) != size:
        message = f"The input {spec.name!r} of shape {list(shape)} has {len(values)} numbers in {CONTENTS[datatype]}."
        raise BadRequest(message, f"Send {size}.")
    if datatype == "BYTES":
        return tensors.texts(values, shape)
    return np.array(values, dtype=spec.dtype if datatype.startswith("FP") else None).reshape(shape)


def encode(request: oip_codec.InferRequest, found: Inference) -> Any:
    """Return the response message."""
    predictor, arrays = found.predictor, tensors.named_outputs(found)
    answer = inference_pb2.ModelInferResponse(
        model_name=predictor.name, model_version=str(predictor.version), id=request.id or ""
    )
    # Half-precision numbers have no typed contents, and the two kinds of contents do not mix.
    raw = any(one.binary or oip_codec.is_half(arrays[one.spec.name]) for one in request.outputs)
    for wanted in (replace(one, binary=raw) for one in request.outputs):
        datatype, shape, values, packed = oip_codec.output(wanted, arrays[wanted.spec.name])
        entry = answer.outputs.add(name=wanted.spec.name, datatype=datatype, shape=shape)
        if wanted.binary:
            answer.raw_output_contents.append(packed)
        elif datatype == "BYTES":
            entry.contents.bytes_contents.extend(value.encode() for value in values)
        else:
            getattr(entry.contents, CONTENTS[datatype]).extend(values)
    return answer


SERVICES: dict[str, dict[str, tuple[Method, Any]]] = {
    "inference.GRPCInferenceService": {
        "ServerLive": (live, inference_pb2.ServerLiveRequest),
        "ServerReady": (ready, inference_pb2.ServerReadyRequest),
        "ModelReady": (model_ready, inference_pb2.ModelReadyRequest),
        "ServerMetadata": (server, inference_pb2.ServerMetadataRequest),
        "ModelMetadata": (model, inference_pb2.ModelMetadataRequest),
        "ModelInfer": (infer, inference_pb2.ModelInferRequest),
    }
}
