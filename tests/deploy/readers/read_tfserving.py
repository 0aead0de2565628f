"""TensorFlow Serving's own schemas and TensorFlow's own TFRecord reader: run by `test_tfserving_schemas.py`."""

import json
import sys
from pathlib import Path

import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

config, warmup, version = sys.argv[1:]
found = {
    "config": json_format.MessageToDict(
        text_format.Parse(Path(config).read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig())
    )
}

model = tf.saved_model.load(version).signatures["serving_default"]
found["requests"] = []
for record in tf.data.TFRecordDataset(warmup):
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    assert log.WhichOneof("log_type") == "predict_log"
    assert log.FromString(log.SerializeToString(deterministic=True)) == log
    request = log.predict_log.request
    tensors = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
    found["requests"].append(
        {
            "model": request.model_spec.name,
            "signature": request.model_spec.signature_name,
            "version": request.model_spec.WhichOneof("version_choice"),
            "unknown": len(log.SerializeToString()) - len(record.numpy()),
            "shapes": {name: list(value.shape) for name, value in tensors.items()},
            "outputs": model(**tensors)["output_0"].numpy().tolist(),
        }
    )
print(json.dumps(found))
