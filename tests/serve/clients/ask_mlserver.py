"""MLServer's types, codecs, gRPC stubs and command line: run by `test_clients.py` where they are installed."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import grpc
import numpy as np
from mlserver.codecs import NumpyCodec
from mlserver.grpc import converters, dataplane_pb2, dataplane_pb2_grpc
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse

url, address, path = sys.argv[1:]
tensors = np.load(path)
found = {}


def fetch(path, body=None):
    """Return the text of an answer; MLServer's package brings no HTTP client of its own but Triton's."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{url}{path}", data=data, timeout=30) as answer:
        return answer.read().decode()


def numbers(answer):
    return NumpyCodec.decode_output(answer.outputs[0]).tolist()


for dtype in ("float32", "float64"):
    given = NumpyCodec.encode_input("image", tensors.astype(dtype))
    question = InferenceRequest(id="seven", inputs=[given])
    answer = fetch("/v2/models/clothes/infer", question.model_dump(mode="json", exclude_none=True))
    found[f"rest {dtype}"] = numbers(InferenceResponse.model_validate_json(answer))

    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
    message = converters.ModelInferRequestConverter.from_types(question, model_name="clothes", model_version="v1")
    answer = stub.ModelInfer(message, timeout=30)
    found[f"grpc {dtype}"] = numbers(converters.ModelInferResponseConverter.to_types(answer))

about = MetadataModelResponse.model_validate_json(fetch("/v2/models/clothes"))
found["metadata"] = [about.platform, about.inputs[0].shape, about.outputs[0].name]
found["ready"] = stub.ModelReady(dataplane_pb2.ModelReadyRequest(name="clothes"), timeout=30).ready

with tempfile.TemporaryDirectory() as folder:
    lines, out = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
    inputs = [NumpyCodec.encode_input("image", tensor[np.newaxis]) for tensor in tensors]
    asked = [InferenceRequest(inputs=[given]).model_dump_json(exclude_none=True) for given in inputs]
    lines.write_text("".join(f"{line}\n" for line in asked))
    command = [Path(sys.executable).with_name("mlserver"), "infer", "-u", url.removeprefix("http://"), "-m", "clothes"]
    subprocess.run([*command, "-i", lines, "-o", out, "-w", "2"], check=True, capture_output=True, timeout=120)
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    answers.sort(key=lambda answer: answer["parameters"]["batch_index"])
    found["command"] = [numbers(InferenceResponse.model_validate(item))[0] for item in answers]
print(json.dumps(found))
