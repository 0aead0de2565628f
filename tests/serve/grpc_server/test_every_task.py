"""Every task over gRPC, with the messages of this package; `test_clients.py` has other people's."""

import numpy as np
import pytest

grpc = pytest.importorskip("grpc")

from task_models import BY_NAME, CASES, MODELS, arrays  # noqa: E402

from mlops_lab.serve import create_app  # noqa: E402
from mlops_lab.serve.codecs.tensors import NAMES, pack, unpack  # noqa: E402
from mlops_lab.serve.grpc_server.oip import CONTENTS  # noqa: E402
from mlops_lab.serve.grpc_server.protos import inference_pb2, tensorflow_serving_pb2  # noqa: E402
from mlops_lab.serve.grpc_server.server import serve_grpc  # noqa: E402
from mlops_lab.serve.grpc_server.tfserving import NUMBERS, fill  # noqa: E402

PREDICTION = "/tensorflow.serving.PredictionService"
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def call():
    server = serve_grpc(create_app(MODELS).extensions["mlops_lab"])
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")

    def ask(path, request, answer):
        return answer.FromString(channel.unary_unary(path)(request.SerializeToString(), timeout=20))

    yield ask
    channel.close()
    server.stop().wait()


def kind(array):
    return "BYTES" if array.dtype == object else NAMES[array.dtype.name]


def read(tensor):
    """Return the numbers or texts of a ``TensorProto``."""
    shape = [side.size for side in tensor.tensor_shape.dim]
    fields = (tensor.float_val, tensor.double_val, tensor.int_val, tensor.int64_val, tensor.string_val)
    values = next((list(field) for field in fields if len(field)), [])
    values = [item.decode() if isinstance(item, bytes) else item for item in values]
    return np.array(values, object).reshape(shape).tolist()


@pytest.mark.parametrize("name", CASES)
def test_predict_carries_every_signature(call, name):
    request = tensorflow_serving_pb2.PredictRequest(model_spec={"name": name})
    for key, array in arrays(name).items():
        fill(request.inputs[key], array)
    answer = call(f"{PREDICTION}/Predict", request, tensorflow_serving_pb2.PredictResponse)
    assert {key: read(tensor) for key, tensor in answer.outputs.items()} == CASES[name][2]


def test_predict_gives_only_the_outputs_that_are_asked_for(call):
    request = tensorflow_serving_pb2.PredictRequest(model_spec={"name": "several"}, output_filter=["note"])
    for key, array in arrays("several").items():
        fill(request.inputs[key], array)
    answer = call(f"{PREDICTION}/Predict", request, tensorflow_serving_pb2.PredictResponse)
    assert list(answer.outputs) == ["note"]
    request.output_filter.append("age")
    with pytest.raises(grpc.RpcError, match="alias not found in signature: note, age"):
        call(f"{PREDICTION}/Predict", request, tensorflow_serving_pb2.PredictResponse)


def examples(*features):
    """Return an ``Input`` of examples: each feature is numbers or texts."""
    request = tensorflow_serving_pb2.RegressionRequest()
    for each in features:
        example = request.input.example_list.examples.add()
        for key, values in each.items():
            feature = example.features.feature[key]
            if isinstance(values[0], str):
                feature.bytes_list.value.extend(item.encode() for item in values)
            else:
                feature.float_list.value.extend(values)
    return request.input


def test_regress_and_classify_answer_where_the_model_does(call):
    request = tensorflow_serving_pb2.RegressionRequest(model_spec={"name": "price"})
    request.input.CopyFrom(examples({"house": [3, 100]}, {"house": [1, 2]}))
    answer = call(f"{PREDICTION}/Regress", request, tensorflow_serving_pb2.RegressionResponse)
    assert [one.value for one in answer.result.regressions] == [80.0, 11.0]
    asked = tensorflow_serving_pb2.ClassificationRequest(model_spec={"name": "spam"})
    asked.input.CopyFrom(examples({"text": ["win now"]}))
    found = call(f"{PREDICTION}/Classify", asked, tensorflow_serving_pb2.ClassificationResponse)
    (scores,) = found.result.classifications
    assert [(one.label, one.score) for one in scores.classes] == [("ham", 0.25), ("spam", 0.75)]
    asked.model_spec.name = "price"
    with pytest.raises(grpc.RpcError, match="classification signature"):
        call(f"{PREDICTION}/Classify", asked, tensorflow_serving_pb2.ClassificationResponse)


@pytest.mark.parametrize("name", CASES)
def test_the_metadata_have_the_types_and_shapes_of_every_signature(call, name):
    request = tensorflow_serving_pb2.GetModelMetadataRequest(
        model_spec={"name": name}, metadata_field=["signature_def"]
    )
    answer = call(f"{PREDICTION}/GetModelMetadata", request, tensorflow_serving_pb2.GetModelMetadataResponse)
    known = tensorflow_serving_pb2.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(known)
    found = known.signature_def["serving_default"]
    for spec in BY_NAME[name].signature.inputs:
        info = found.inputs[spec.name]
        assert info.dtype == NUMBERS[NAMES[spec.dtype]]
        assert [side.size for side in info.tensor_shape.dim] == [
            -1,
            *(-1 if one is None else one for one in spec.shape),
        ]
    other = inference_pb2.ModelMetadataRequest(name=name)
    model = call("/inference.GRPCInferenceService/ModelMetadata", other, inference_pb2.ModelMetadataResponse)
    assert [one.datatype for one in model.inputs] == [NAMES[spec.dtype] for spec in BY_NAME[name].signature.inputs]
    assert {one.name for one in model.outputs} == CASES[name][2].keys()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_open_inference_protocol_carries_every_signature(call, name, raw):
    request = inference_pb2.ModelInferRequest(model_name=name)
    for key, array in arrays(name).items():
        entry = request.inputs.add(name=key, datatype=kind(array), shape=array.shape)
        texts = [item.encode() for item in array.ravel()] if array.dtype == object else []
        if raw:
            request.raw_input_contents.append(pack(texts) if texts else array.tobytes())
        else:
            getattr(entry.contents, CONTENTS[kind(array)]).extend(texts or array.ravel().tolist())
    answer = call(INFER, request, inference_pb2.ModelInferResponse)
    found = {}
    for place, entry in enumerate(answer.outputs):
        if raw:
            data = answer.raw_output_contents[place]
            kinds = {one: dtype for dtype, one in NAMES.items()}
            values = (
                [item.decode() for item in unpack(data)]
                if entry.datatype == "BYTES"
                else np.frombuffer(data, kinds[entry.datatype]).tolist()
            )
        else:
            values = list(getattr(entry.contents, CONTENTS[entry.datatype]))
            values = [item.decode() if isinstance(item, bytes) else item for item in values]
        found[entry.name] = np.array(values, object).reshape(tuple(entry.shape)).tolist()
    assert found == CASES[name][2]
