"""Triton's clients for HTTP and gRPC, and models of every task: run by `test_clients.py` where they are installed."""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import triton_to_np_dtype

url, address, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    cases = json.load(file)
found = {}


def infer(kind, client, model, given, **options):
    inputs = []
    for name, (datatype, values) in given.items():
        array = np.array(values, object if datatype == "BYTES" else triton_to_np_dtype(datatype))
        inputs.append(kind.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, **options)
    answer = client.infer(model, inputs)
    response = answer.get_response() if kind is over_http else answer.get_response(as_json=True)
    names = [one["name"] for one in response["outputs"]]
    return {name: readable(answer.as_numpy(name)) for name in names}


def readable(array):
    if array.dtype == object:
        return [item.decode() if isinstance(item, bytes) else item for item in array.tolist()]
    return array.tolist()


http = over_http.InferenceServerClient(url.removeprefix("http://"))
grpc = over_grpc.InferenceServerClient(address)
for model, given in cases.items():
    found[model] = [
        infer(over_http, http, model, given, binary_data=True),
        infer(over_http, http, model, given, binary_data=False),
        infer(over_grpc, grpc, model, given),
    ]
print(json.dumps(found))
