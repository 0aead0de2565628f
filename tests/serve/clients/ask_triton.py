"""Triton's clients for HTTP and gRPC: run by `test_clients.py` where they are installed."""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

url, address, path = sys.argv[1:]
tensors = np.load(path)
found = {}


def infer(kind, client, *, binary_in=True, binary_out=True, classes=0, **options):
    given = kind.InferInput("image", list(tensors.shape), "FP32")
    if kind is over_http:
        given.set_data_from_numpy(tensors, binary_data=binary_in)
        wanted = kind.InferRequestedOutput("output_0", binary_data=binary_out, class_count=classes)
    else:
        given.set_data_from_numpy(tensors)
        wanted = kind.InferRequestedOutput("output_0", class_count=classes)
    return client.infer("clothes", [given], outputs=[wanted], request_id="seven", **options)


client = over_http.InferenceServerClient(url.removeprefix("http://"))
found["http ready"] = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("clothes", "1")]
found["http not ready"] = client.is_model_ready("nope")
found["http server"] = client.get_server_metadata()
found["http model"] = client.get_model_metadata("clothes")
found["http index"] = client.get_model_repository_index()
for there in (True, False):
    for back in (True, False):
        answer = infer(over_http, client, binary_in=there, binary_out=back, model_version="1")
        found[f"http {there} {back}"] = answer.as_numpy("output_0").tolist()
        assert answer.get_response()["id"] == "seven"
for packing in ("gzip", "deflate"):
    answer = infer(over_http, client, request_compression_algorithm=packing)
    found[f"http {packing}"] = answer.as_numpy("output_0").tolist()
found["http classes"] = infer(over_http, client, classes=2).as_numpy("output_0").astype(str).tolist()
try:
    client.infer("nope", [])
except InferenceServerException as error:
    found["http unknown"] = [error.status(), error.message()]

client = over_grpc.InferenceServerClient(address)
found["grpc ready"] = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("clothes", "1")]
found["grpc server"] = client.get_server_metadata(as_json=True)
found["grpc model"] = client.get_model_metadata("clothes", as_json=True)
found["grpc"] = infer(over_grpc, client).as_numpy("output_0").tolist()
found["grpc classes"] = infer(over_grpc, client, classes=2).as_numpy("output_0").astype(str).tolist()
try:
    client.get_model_metadata("nope")
except InferenceServerException as error:
    found["grpc unknown"] = error.status()
print(json.dumps(found))
