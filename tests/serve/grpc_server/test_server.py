"""gRPC over a real socket, with the messages of this package; `test_clients.py` has other people's."""

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

grpc = pytest.importorskip("grpc")

from hostile_bodies import mangle  # noqa: E402

from mlops_lab.errors import MissingPackage, PortTaken  # noqa: E402
from mlops_lab.image import InputSpec  # noqa: E402
from mlops_lab.predict import Predictor  # noqa: E402
from mlops_lab.serve import Batching, Limits, create_app  # noqa: E402
from mlops_lab.serve.core.batching import BatchCounts  # noqa: E402
from mlops_lab.serve.core.registry import Registry  # noqa: E402
from mlops_lab.serve.grpc_server.protos import health_pb2, inference_pb2, tensorflow_pb2, tensorflow_serving_pb2  # noqa: E402
from mlops_lab.serve.grpc_server.server import serve_grpc  # noqa: E402

TENSORS = np.stack([np.full((28, 28, 1), level, np.float32) for level in (0.0, 0.25, 1.0)])
ANSWERS = [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]
PREDICT = "/tensorflow.serving.PredictionService/Predict"
INFER = "/inference.GRPCInferenceService/ModelInfer"


class Caller:
    """Calls any method of a server by its path."""

    def __init__(self, port, metadata=()):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.metadata = metadata

    def __call__(self, path, request, answer=bytes):
        data = request if isinstance(request, bytes) else request.SerializeToString()
        raw = self.channel.unary_unary(path)(data, timeout=20, metadata=self.metadata)
        return raw if answer is bytes else answer.FromString(raw)

    def refusal(self, path, request):
        with pytest.raises(grpc.RpcError) as raised:
            self(path, request)
        return raised.value.code().name, raised.value.details()


def state_of(models):
    """Return the parts of an application over models, which gRPC shares."""
    return create_app(models).extensions["mlops_lab"]


@pytest.fixture(scope="module")
def registry(bright):
    registry = Registry.of([bright, replace(bright, name="small", input=InputSpec(shape=(2, 2, 1), size=(2, 2)))])
    entry = registry.entry("bright")
    entry.aliases, entry.failed = {"production": 1}, {2: "The file is damaged."}
    entry.index()
    return registry


@pytest.fixture(scope="module")
def server(registry):
    server = serve_grpc(state_of(registry))
    yield server
    server.stop().wait()


@pytest.fixture(scope="module")
def call(server):
    caller = Caller(server.port)
    yield caller
    caller.channel.close()


def tensor(array=TENSORS, dtype=1, field="float_val", values=None):
    """Return a TensorProto: its numbers in a field, or in tensor_content."""
    shape = tensorflow_pb2.TensorShapeProto(dim=[{"size": side} for side in array.shape])
    if field == "tensor_content":
        return tensorflow_pb2.TensorProto(dtype=dtype, tensor_shape=shape, tensor_content=array.tobytes())
    return tensorflow_pb2.TensorProto(
        dtype=dtype, tensor_shape=shape, **{field: array.ravel().tolist() if values is None else values}
    )


def predict_request(inputs=None, name="bright", **spec):
    version = spec.pop("version", None)
    model = tensorflow_serving_pb2.ModelSpec(name=name, **spec)
    if version is not None:
        model.version.value = version
    return tensorflow_serving_pb2.PredictRequest(
        model_spec=model, inputs={"image": tensor()} if inputs is None else inputs
    )


def infer_request(raw=None, values=None, shape=TENSORS.shape, datatype="FP32", **changes):
    entry = {"name": "image", "datatype": datatype, "shape": shape}
    if values is not None:
        entry["contents"] = {"fp64_contents" if datatype == "FP64" else "fp32_contents": values}
    message = {"model_name": "bright", "inputs": [entry], "raw_input_contents": [] if raw is None else [raw]} | changes
    return inference_pb2.ModelInferRequest(**message)


def answer_of(call, request):
    output = call(PREDICT, request, tensorflow_serving_pb2.PredictResponse).outputs["probabilities"]
    return np.reshape(output.float_val, [side.size for side in output.tensor_shape.dim]).tolist()


@pytest.mark.parametrize(
    "given",
    [
        tensor(),
        tensor(field="tensor_content"),
        tensor(TENSORS.astype(np.float64), 2, "double_val"),
        tensor(TENSORS.astype("<f8"), 2, "tensor_content"),
        tensor(TENSORS.astype(np.float16).view(np.uint16), 19, "half_val"),
        tensor((TENSORS.view(np.uint32) >> 16).astype(np.uint16), 14, "half_val"),
    ],
    ids=["floats", "bytes", "doubles", "bytes of doubles", "halves", "brain floats"],
)
def test_predict_takes_every_form_of_a_tensor(call, given):
    assert answer_of(call, predict_request({"image": given})) == ANSWERS


def test_the_last_number_fills_the_tensor(call):
    assert answer_of(call, predict_request({"image": tensor(values=[0.25])})) == [ANSWERS[1]] * 3
    first = [0.0] * 784
    assert answer_of(call, predict_request({"image": tensor(values=[*first, 1.0])})) == [ANSWERS[0], *[ANSWERS[2]] * 2]


@pytest.mark.parametrize("spec", [{}, {"version": 1}, {"version_label": "production"}])
def test_predict_says_which_version_answered(call, spec):
    spec = call(PREDICT, predict_request(**spec), tensorflow_serving_pb2.PredictResponse).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("bright", 1, "serving_default")


@pytest.mark.parametrize(
    "request_, code, text",
    [
        (predict_request(name="nope"), "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        (predict_request(version=7), "NOT_FOUND", "Specific(bright, 7)"),
        (predict_request(version=-7), "INVALID_ARGUMENT", "Failed to convert"),
        (predict_request(version_label="x"), "INVALID_ARGUMENT", "Unrecognized servable version label: x"),
        (predict_request(signature_name="x"), "INVALID_ARGUMENT", 'Serving signature name: "x" not found'),
        (predict_request(name=""), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request({}), "INVALID_ARGUMENT", "input size does not match signature"),
        (predict_request({"x": tensor()}), "INVALID_ARGUMENT", "Send the input 'image'"),
        (predict_request({"image": tensor(TENSORS[..., 0])}), "INVALID_ARGUMENT", "[3, 28, 28]"),
        (predict_request({"image": tensor(dtype=4, field="int_val", values=[1])}), "INVALID_ARGUMENT", "UINT8"),
        (predict_request({"image": tensor(dtype=7)}), "INVALID_ARGUMENT", "BYTES"),
        (predict_request({"image": tensor(dtype=8)}), "INVALID_ARGUMENT", "DataType 8"),
        (predict_request({"image": tensor(values=[])}), "INVALID_ARGUMENT", "0 in float_val"),
        (predict_request({"image": tensor(values=[0.0] * 5000)}), "INVALID_ARGUMENT", "5000 in float_val"),
        (predict_request({"image": tensor(values=[np.nan])}), "INVALID_ARGUMENT", "NaN"),
        (predict_request({"image": tensor(TENSORS[:2], field="tensor_content")}), "OK", ""),
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "are not a tensorflow.serving.PredictRequest"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(call, request_, code, text):
    if code == "OK":
        assert len(answer_of(call, request_)) == 2
    else:
        found, details = call.refusal(PREDICT, request_)
        assert found == code and text in details, details


def test_a_shape_that_lies_is_refused_before_anything_is_made_of_it(call):
    given = tensor(values=[0.0])
    given.tensor_shape.dim[0].size = 10**15
    code, details = call.refusal(PREDICT, predict_request({"image": given}))
    assert code == "INVALID_ARGUMENT" and "batch=256" in details


def test_an_output_can_be_filtered_by_its_name_only(call):
    request = predict_request()
    request.output_filter.append("probabilities")
    assert answer_of(call, request) == ANSWERS
    request.output_filter.append("x")
    assert "output tensor alias not found" in call.refusal(PREDICT, request)[1]


def test_classify_answers_label_and_score(call):
    feature = {"feature": {"image": {"float_list": {"value": [0.25] * 784}}}}
    request = tensorflow_serving_pb2.ClassificationRequest(
        model_spec={"name": "bright"}, input={"example_list": {"examples": [{"features": feature}]}}
    )
    path = "/tensorflow.serving.PredictionService/Classify"
    answer = call(path, request, tensorflow_serving_pb2.ClassificationResponse)
    classes = answer.result.classifications[0].classes
    assert [(item.label, item.score) for item in classes] == [("dark", 0.75), ("bright", 0.25)]
    shared = tensorflow_serving_pb2.ClassificationRequest(
        model_spec={"name": "bright"},
        input={"example_list_with_context": {"examples": [{}, {}], "context": {"features": feature}}},
    )
    answer = call(path, shared, tensorflow_serving_pb2.ClassificationResponse)
    assert len(answer.result.classifications) == 2
    shared.input.example_list_with_context.context.Clear()
    assert call.refusal(path, shared)[0] == "INVALID_ARGUMENT"


def test_a_classifier_does_not_regress(call):
    request = tensorflow_serving_pb2.RegressionRequest(model_spec={"name": "bright"})
    code, details = call.refusal("/tensorflow.serving.PredictionService/Regress", request)
    assert code == "INVALID_ARGUMENT" and "regression signature" in details


def test_several_signatures_at_a_time_are_not_answered(call):
    code, details = call.refusal("/tensorflow.serving.PredictionService/MultiInference", b"anything")
    assert code == "UNIMPLEMENTED" and "one signature" in details


def test_model_metadata_holds_the_signature(call):
    request = tensorflow_serving_pb2.GetModelMetadataRequest(
        model_spec={"name": "bright"}, metadata_field=["signature_def"]
    )
    path = "/tensorflow.serving.PredictionService/GetModelMetadata"
    answer = call(path, request, tensorflow_serving_pb2.GetModelMetadataResponse)
    known = tensorflow_serving_pb2.SignatureDefMap()
    assert answer.model_spec.version.value == 1 and answer.metadata["signature_def"].Unpack(known)
    info = known.signature_def["serving_default"].inputs["image"]
    assert info.dtype == 1 and [side.size for side in info.tensor_shape.dim] == [-1, 28, 28, 1]
    del request.metadata_field[:]
    assert call.refusal(path, request)[0] == "INVALID_ARGUMENT"


def test_model_status_tells_what_answers_and_why_the_rest_does_not(call):
    path, kind = "/tensorflow.serving.ModelService/GetModelStatus", tensorflow_serving_pb2.GetModelStatusResponse
    request = tensorflow_serving_pb2.GetModelStatusRequest(model_spec={"name": "bright"})
    listed = call(path, request, kind).model_version_status
    assert [(item.version, item.state, item.status.error_code) for item in listed] == [(2, 50, 2), (1, 30, 0)]
    request.model_spec.version.value = 9
    assert call.refusal(path, request) == ("NOT_FOUND", "Could not find version 9 of model bright")
    request.model_spec.version.value = -1
    assert call.refusal(path, request) == ("NOT_FOUND", "Could not find version -1 of model bright")


def test_the_models_cannot_be_replaced_from_outside(call):
    code, details = call.refusal("/tensorflow.serving.ModelService/HandleReloadConfigRequest", b"")
    assert code == "UNIMPLEMENTED" and "folder" in details


@pytest.mark.parametrize(
    "service, status", [("", 1), ("inference.GRPCInferenceService", 1), ("grpc.health.v1.Health", 1)]
)
def test_health(call, service, status):
    request = health_pb2.HealthCheckRequest(service=service)
    assert call("/grpc.health.v1.Health/Check", request, health_pb2.HealthCheckResponse).status == status


def test_health_of_an_unknown_service_and_of_an_empty_server(call):
    path = "/grpc.health.v1.Health/Check"
    assert call.refusal(path, health_pb2.HealthCheckRequest(service="x"))[0] == "NOT_FOUND"
    empty = serve_grpc(state_of(Registry()))
    answer = Caller(empty.port)(path, health_pb2.HealthCheckRequest(), health_pb2.HealthCheckResponse)
    assert answer.status == 2
    empty.stop().wait()


def test_infer_answers_as_it_was_asked(call):
    raw = call(INFER, infer_request(raw=TENSORS.tobytes()), inference_pb2.ModelInferResponse)
    assert np.frombuffer(raw.raw_output_contents[0], "<f4").reshape(raw.outputs[0].shape).tolist() == ANSWERS
    typed = call(INFER, infer_request(values=TENSORS.ravel().tolist(), id="7"), inference_pb2.ModelInferResponse)
    output = typed.outputs[0]
    assert np.reshape(output.contents.fp32_contents, output.shape).tolist() == ANSWERS
    assert not typed.raw_output_contents
    assert (typed.model_name, typed.model_version, typed.id) == ("bright", "1", "7")
    assert (output.name, output.datatype) == ("probabilities", "FP32")


def test_infer_names_the_best_classes(call):
    wanted = [{"name": "probabilities", "parameters": {"classification": {"int64_param": 1}}}]
    request = infer_request(values=[1.0] * 784, shape=[1, 28, 28, 1], outputs=wanted, model_version="v1")
    output = call(INFER, request, inference_pb2.ModelInferResponse).outputs[0]
    assert (output.datatype, list(output.contents.bytes_contents)) == ("BYTES", [b"1.000000:1:bright"])


@pytest.mark.parametrize(
    "request_, code, text",
    [
        (infer_request(model_name="nope"), "NOT_FOUND", "no model 'nope'"),
        (infer_request(model_version="9"), "NOT_FOUND", "no version '9'"),
        (infer_request(), "INVALID_ARGUMENT", "has 0 numbers"),
        (infer_request(values=[1.0]), "INVALID_ARGUMENT", "has 1 numbers"),
        (infer_request(raw=b"1234"), "INVALID_ARGUMENT", "4 were sent"),
        (infer_request(raw=TENSORS.tobytes(), values=[1.0]), "INVALID_ARGUMENT", "raw contents"),
        (infer_request(raw_input_contents=[b"", b""]), "INVALID_ARGUMENT", "2 raw contents"),
        (infer_request(datatype="FP16", values=[1.0]), "INVALID_ARGUMENT", "no typed contents"),
        (infer_request(datatype="UINT8"), "INVALID_ARGUMENT", "UINT8"),
        (infer_request(shape=[-1, 28, 28, 1]), "INVALID_ARGUMENT", "[-1, 28, 28, 1]"),
        (infer_request(shape=[2**62, 28, 28, 1]), "INVALID_ARGUMENT", "batch=256"),
        (infer_request(inputs=[]), "INVALID_ARGUMENT", "takes the input 'image'"),
        (infer_request(inputs=[{"name": "x"}]), "INVALID_ARGUMENT", "takes the input 'image'"),
        (infer_request(outputs=[{"name": "x"}]), "INVALID_ARGUMENT", "has the output 'probabilities'"),
    ],
)
def test_what_is_wrong_with_an_inference_is_said(call, request_, code, text):
    found, details = call.refusal(INFER, request_)
    assert found == code and text in details, details


def test_server_and_model_describe_themselves(call):
    service = "/inference.GRPCInferenceService"
    ask = inference_pb2
    assert call(f"{service}/ServerLive", ask.ServerLiveRequest(), ask.ServerLiveResponse).live
    assert call(f"{service}/ServerReady", ask.ServerReadyRequest(), ask.ServerReadyResponse).ready
    assert call(f"{service}/ServerMetadata", b"", ask.ServerMetadataResponse).name == "mlops_lab"
    ready = [
        call(f"{service}/ModelReady", ask.ModelReadyRequest(name="bright", version=version), ask.ModelReadyResponse)
        for version in ("", "1", "v1", "2")
    ]
    assert [item.ready for item in ready] == [True, True, True, False]
    about = call(f"{service}/ModelMetadata", ask.ModelMetadataRequest(name="bright"), ask.ModelMetadataResponse)
    assert list(about.inputs[0].shape) == [-1, 28, 28, 1] and about.outputs[0].name == "probabilities"


def test_a_full_model_is_unavailable_over_grpc_too(registry):
    state = create_app(registry, limits=Limits(in_flight=1, queue=0, threads=4)).extensions["mlops_lab"]
    server = serve_grpc(state)
    with state.service.admission.admit("bright"):
        code, details = Caller(server.port).refusal(PREDICT, predict_request())
    assert code == "UNAVAILABLE" and "in_flight=1" in details
    server.stop().wait()


def test_keys_are_asked_for(registry):
    server = serve_grpc(create_app(registry, api_keys=["sesame"]).extensions["mlops_lab"])
    assert Caller(server.port).refusal(PREDICT, predict_request())[0] == "UNAUTHENTICATED"
    for header in (("authorization", "Bearer sesame"), ("x-api-key", "sesame")):
        assert answer_of(Caller(server.port, [header]), predict_request()) == ANSWERS
    for path in ("/grpc.health.v1.Health/Check", "/inference.GRPCInferenceService/ServerReady"):
        assert Caller(server.port)(path, b"") == b"\x08\x01"
    server.stop().wait()


def test_an_engine_that_breaks_tells_nothing_about_itself(bright, caplog):
    class Broken:
        def predict(self, inputs):
            raise RuntimeError("secret path")

    server = serve_grpc(state_of(Registry.of([Predictor("broken", 1, bright.input, (), Broken())])))
    refused = Caller(server.port).refusal(PREDICT, predict_request(name="broken"))
    assert refused == ("INTERNAL", "Something went wrong inside the server.")
    assert "secret path" in caplog.text
    server.stop().wait()


def test_calls_are_counted_and_predictions_seen(bright):
    seen = []
    app = create_app([bright], on_prediction=seen.append)
    server = serve_grpc(app.extensions["mlops_lab"])
    answer_of(Caller(server.port), predict_request())
    server.stop(5).wait()
    assert [item.label for item in seen[0].predictions] == ["dark", "dark", "bright"]
    text = app.test_client().get("/metrics").text
    assert f'mlops_lab_requests_total{{method="POST",route="{PREDICT}",status="200"}} 1.0' in text
    assert 'mlops_lab_predictions_total{class="dark",model="bright",version="v1"} 2.0' in text


def test_a_call_in_flight_is_answered_while_the_server_stops(bright):
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        def predict(self, inputs):
            begun.set()
            go_on.wait(20)
            return bright.engine.predict(inputs)

    server = serve_grpc(state_of(Registry.of([Predictor("slow", 1, bright.input, bright.labels, Slow())])))
    caller = Caller(server.port)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(answer_of, caller, predict_request(name="slow"))
        assert begun.wait(20)
        over = server.stop(20)
        # Which of the two a late caller sees depends on whether the connection or the call was refused first.
        assert caller.refusal(PREDICT, predict_request(name="slow"))[0] in ("UNAVAILABLE", "CANCELLED")
        go_on.set()
        assert answer.result() == ANSWERS
    assert over.wait(20) and not server.is_serving()


def test_a_port_that_is_taken_is_an_error_of_ours(server, registry):
    with pytest.raises(PortTaken, match=f"Port {server.port}"):
        serve_grpc(state_of(registry), port=server.port)


def test_without_grpcio_the_install_line_is_said(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingPackage, match="pip install grpcio protobuf"):
        serve_grpc(state_of(registry))


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_hostile_bytes_never_break_the_server(call, path):
    chance, codes = random.Random(8), set()
    values = np.full((2, 2, 2, 1), 0.5, np.float32)
    if path == PREDICT:
        valid = [predict_request({"image": tensor(values, field=field)}, name="small") for field in ("float_val",)]
        valid.append(predict_request({"image": tensor(values, field="tensor_content")}, name="small", version=1))
    else:
        valid = [infer_request(raw=values.tobytes(), shape=values.shape, model_name="small")]
        valid.append(infer_request(values=[0.5] * 8, shape=values.shape, model_name="small", id="7"))
    for _ in range(2000):
        data = mangle(chance.choice(valid).SerializeToString(), chance)
        try:
            call(path, data)
            codes.add("OK")
        except grpc.RpcError as error:
            codes.add(error.code().name)
    assert codes <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} and len(codes) == 3, codes


def test_every_description_is_of_its_own_source():
    """The generated modules remember the digest of their `.proto`; `test_clients.py` compiles them again."""
    sys.path.insert(0, "tools")
    try:
        import protos
    finally:
        sys.path.remove("tools")
    sources = sorted(protos.FOLDER.glob("*.proto"))
    assert len(sources) == 4
    for source in sources:
        text = source.with_name(f"{source.stem}_pb2.py").read_text(encoding="utf-8")
        assert protos.digest(source) in text, "run python tools/protos.py"


@pytest.mark.tensorflow
def test_our_messages_live_beside_tensorflows_own_and_mean_the_same():
    """In a process of its own, TensorFlow first and last: nothing clashes, and bytes go over both ways."""
    code = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.example import example_pb2
from mlops_lab.serve.grpc_server.protos import tensorflow_pb2, tensorflow_serving_pb2

real = tf.make_tensor_proto([[1.5, 2.5]])
ours = tensorflow_pb2.TensorProto.FromString(real.SerializeToString())
assert ours.tensor_content == real.tensor_content and ours.dtype == 1 and ours.tensor_shape.dim[1].size == 2
back = tensor_pb2.TensorProto.FromString(tensorflow_pb2.TensorProto(dtype=1, float_val=[3.0]).SerializeToString())
assert tf.make_ndarray(back).tolist() == 3.0
real = tf.train.Example(features=tf.train.Features(feature={
    "image": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))}))
ours = tensorflow_pb2.Example.FromString(real.SerializeToString())
assert list(ours.features.feature["image"].float_list.value) == [1.0, 2.0]

def compare(ours, real, seen):
    if ours.full_name in seen or ours.full_name.startswith("google."):
        return
    seen.add(ours.full_name)
    for field in ours.fields:
        other = real.fields_by_name[field.name]
        wire = lambda f: (f.number, f.is_repeated, f.type if f.type != f.TYPE_ENUM else f.TYPE_INT32)
        assert wire(field) == wire(other), field.full_name
        if field.message_type:
            compare(field.message_type, other.message_type, seen)

seen = set()
for ours, real in [(tensorflow_pb2.TensorProto, tensor_pb2.TensorProto), (tensorflow_pb2.Example, example_pb2.Example),
                   (tensorflow_pb2.SignatureDef, meta_graph_pb2.SignatureDef)]:
    assert ours is not real and ours.DESCRIPTOR.full_name == real.DESCRIPTOR.full_name
    compare(ours.DESCRIPTOR, real.DESCRIPTOR, seen)
print(len(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 12


def test_calls_are_computed_in_batches_with_those_of_http(bright):
    app = create_app(bright, batching=Batching(size=8, milliseconds=60_000))
    state = app.extensions["mlops_lab"]
    registry, server = state.registry, serve_grpc(state)
    caller = Caller(server.port)
    try:
        with ThreadPoolExecutor(8) as pool:
            ours = [pool.submit(answer_of, caller, predict_request({"image": tensor(TENSORS[:1])})) for _ in range(4)]
            body = {"instances": TENSORS[2:].tolist()}
            theirs = [pool.submit(app.test_client().post, "/v1/models/bright:predict", json=body) for _ in range(4)]
        assert [one.result() for one in ours] == [ANSWERS[:1]] * 4
        assert [one.result().json["predictions"] for one in theirs] == [[ANSWERS[2]]] * 4
        assert registry.get("bright").engine.batch_counts == BatchCounts(1, 8)
    finally:
        caller.channel.close()
        server.stop().wait()
