"""TensorFlow Serving's own stubs, and requests: run by `test_clients.py` where they are installed."""

import json
import sys

import grpc
import numpy as np
import requests
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

# Ours beside theirs, in one process: the names are the same, and nothing clashes.
from mlops_lab.serve.grpc_server.protos import tensorflow_serving_pb2 as ours

url, address, path = sys.argv[1:]
tensors = np.load(path)
channel = grpc.insecure_channel(address)
prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)
found = {}


def numbers(proto):
    return tf.make_ndarray(proto).tolist()


request = predict_pb2.PredictRequest()
request.model_spec.name = "clothes"
request.model_spec.signature_name = "serving_default"
request.inputs["image"].CopyFrom(tf.make_tensor_proto(tensors))
answer = prediction.Predict(request, timeout=30)
found["predict"] = numbers(answer.outputs["output_0"])
found["version"] = answer.model_spec.version.value
again = ours.PredictRequest.FromString(request.SerializeToString())
found["same bytes"] = again.inputs["image"].tensor_content == request.inputs["image"].tensor_content

request.inputs["image"].Clear()
request.inputs["image"].dtype = 1
request.inputs["image"].tensor_shape.CopyFrom(tf.TensorShape(tensors.shape).as_proto())
request.inputs["image"].float_val.extend(tensors.ravel().tolist())
request.model_spec.version_label = "production"
found["predict by label"] = numbers(prediction.Predict(request, timeout=30).outputs["output_0"])

question = classification_pb2.ClassificationRequest()
question.model_spec.name = "clothes"
for tensor in tensors:
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=tensor.ravel()))
    question.input.example_list.examples.append(
        tf.train.Example(features=tf.train.Features(feature={"image": feature}))
    )
classes = prediction.Classify(question, timeout=30).result.classifications
found["classify"] = [[[item.label, item.score] for item in row.classes] for row in classes]

about = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
about.model_spec.name = "clothes"
known = get_model_metadata_pb2.SignatureDefMap()
prediction.GetModelMetadata(about, timeout=30).metadata["signature_def"].Unpack(known)
found["signatures"] = json_format.MessageToDict(known)["signatureDef"]

status = get_model_status_pb2.GetModelStatusRequest()
status.model_spec.name = "clothes"
found["state"] = models.GetModelStatus(status, timeout=30).model_version_status[0].state
text = requests.get(f"{url}/v1/models/clothes", timeout=30).text
found["state by REST"] = (
    json_format.Parse(text, get_model_status_pb2.GetModelStatusResponse()).model_version_status[0].state
)
text = requests.get(f"{url}/v1/models/clothes/metadata", timeout=30).json()
text["metadata"]["signature_def"]["@type"] = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
parsed = json_format.ParseDict(text, get_model_metadata_pb2.GetModelMetadataResponse())
parsed.metadata["signature_def"].Unpack(known)
found["signatures by REST"] = json_format.MessageToDict(known)["signatureDef"]
answer = requests.post(f"{url}/v1/models/clothes:predict", json={"instances": tensors.tolist()}, timeout=30)
found["predict by REST"] = answer.json()["predictions"]

request.model_spec.Clear()
request.model_spec.name = "nope"
try:
    prediction.Predict(request, timeout=30)
except grpc.RpcError as error:
    found["unknown model"] = error.code().name
print(json.dumps(found))
