"""KServe's clients for REST (v1 and v2) and gRPC: run by `test_clients.py` where they are installed."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

url, address, path = sys.argv[1:]
tensors = np.load(path)
found = {}


def request(binary):
    given = InferInput("image", list(tensors.shape), "FP32")
    given.set_data_from_numpy(tensors, binary_data=binary)
    return InferRequest("clothes", [given], request_id="seven")


def numbers(answer):
    return answer.outputs[0].as_numpy().tolist()


async def main():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found["rest ready"] = [
            await client.is_server_live(url),
            await client.is_server_ready(url),
            await client.is_model_ready(url, "clothes"),
        ]
        found["rest not ready"] = await client.is_model_ready(url, "nope")
        for binary in (True, False):
            answer = await client.infer(url, request(binary), model_name="clothes")
            found[f"rest {binary}"] = numbers(answer)
            assert answer.id == "seven"
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        answer = await client.infer(url, {"instances": tensors.tolist()}, model_name="clothes")
        found["rest v1"] = answer["predictions"]
    async with InferenceGRPCClient(address) as client:
        found["grpc ready"] = [
            await client.is_server_live(),
            await client.is_server_ready(),
            await client.is_model_ready("clothes"),
        ]
        for binary in (True, False):
            found[f"grpc {binary}"] = numbers(await client.infer(request(binary)))
    print(json.dumps(found))


asyncio.run(main())
