"""Requests that people reported of servers like this one, with what must be answered: by the shipped models."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, decode, encode_png
from mlops_lab.serve import Chain, create_app

ROOT = Path(__file__).parents[2]
FIELD = ROOT / "tests" / "data" / "field"
CLOTHES = "/models/clothes/v1"
BOOT = (FIELD / "boot.png").read_bytes()
BOOT_PIXELS = decode(BOOT)


@pytest.fixture(scope="module")
def client():
    return create_app(ROOT / "models").test_client()


def post(client, name, kind, url=CLOTHES):
    return client.post(url, data=(FIELD / name).read_bytes(), content_type=kind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("boot.png", "image/png"), ("long-comment.png", "image/png"), ("bad-exif.png", "image/png"),
        ("boot.jpg", "image/jpg"), ("boot.jpg", "image/pjpeg"), ("boot.jpg", "application/octet-stream"),
        ("boot.png", "application/octet-stream"), ("boot.png", None), ("boot.jpg", None),
        ("base64-in-lines.json", "application/json"), ("data-url-jpg.json", "application/json"),
    ],
)  # fmt: skip
def test_a_boot_is_a_boot(client, name, kind):
    answer = post(client, name, kind)
    assert answer.status_code == 200, answer.json
    assert answer.json["predictions"][0]["label"] == "Ankle boot"


@pytest.mark.parametrize("kind", ["image/png", "image/webp", "application/octet-stream", None])
def test_an_image_of_another_format_is_named_with_its_remedy(client, kind):
    answer = post(client, "webp-named.png", kind)
    assert answer.status_code == 400
    assert "a WebP image" in answer.json["error"] and "Save it as PNG or JPEG" in answer.json["hint"]


def test_pixels_of_zero_and_one_are_refused_and_times_255_they_are_a_boot(client):
    answer = post(client, "pixels-zero-one.json", "application/json")
    assert answer.status_code == 400
    assert "0–255" in answer.json["error"] and "mask" in answer.json["error"] and "255" in answer.json["hint"]
    pixels = np.array(json.loads((FIELD / "pixels-zero-one.json").read_bytes())["image"]) * 255
    answer = client.post(CLOTHES, json={"image": pixels.tolist()})
    assert answer.json["predictions"][0]["label"] == "Ankle boot"


def test_a_text_field_of_base64_is_read_and_another_text_is_told(client):
    form = {"content_type": "multipart/form-data"}
    answer = client.post(CLOTHES, data={"image": base64.b64encode(BOOT).decode()}, **form)
    assert answer.json["predictions"][0]["label"] == "Ankle boot"
    for text in ("boot.png", "hello", "", "b'iVBORw0K'"):
        answer = client.post(CLOTHES, data={"image": text}, **form)
        assert answer.status_code == 400
        assert "The field 'image' is text and not a file" in answer.json["error"]
        assert "-F image=@" in answer.json["hint"]


def test_a_form_without_parts_and_json_without_its_type_get_a_hint(client):
    answer = client.post(CLOTHES, data={"image": base64.b64encode(BOOT).decode()})
    assert answer.status_code == 415 and "files={" in answer.json["hint"]
    answer = client.post(CLOTHES, data=b'{"image": ""}')
    assert answer.status_code == 415 and "json=" in answer.json["hint"]


def test_files_and_texts_of_one_form_are_both_read(client):
    files = [(io.BytesIO((FIELD / name).read_bytes()), name) for name in ("boot.png", "boot.jpg")]
    answer = client.post(CLOTHES, data={"image": [*files, base64.b64encode(BOOT).decode()]})
    assert [item["label"] for item in answer.json["predictions"]] == ["Ankle boot"] * 3


def test_a_form_without_its_boundary_is_told(client):
    for kind in ("multipart/form-data", "multipart/form-data; charset=utf-8", "multipart/form-data; boundary="):
        answer = client.post(CLOTHES, data=b"--x\r\n\r\n--x--", content_type=kind)
        assert answer.status_code == 400
        assert "names no boundary" in answer.json["error"] and "Content-Type" in answer.json["hint"]


def test_tensors_of_pixels_are_refused_by_tensorflow_servings_route(client):
    answer = post(client, "tfserving-pixels-0-255.json", "application/json", "/v1/models/clothes:predict")
    assert answer.status_code == 400
    assert "from 0 to 255" in answer.json["error"] and "0–1" in answer.json["error"]
    assert "divide them by 255" in answer.json["hint"]


# Numbers in the wrong scale, on every road


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


MASK = (BOOT_PIXELS > 100).astype(np.uint8)
BLACK = np.zeros((28, 28), np.uint8)
FRACTIONS = BOOT_PIXELS / 255
NPY = "application/x-npy"
ROADS = {
    "one image in JSON": lambda client, image: client.post(CLOTHES, json={"image": image.tolist()}),
    "images in JSON": lambda client, image: client.post(
        CLOTHES, json={"images": [BOOT_PIXELS.tolist(), image.tolist()]}
    ),
    "one npy": lambda client, image: client.post(CLOTHES, data=npy(image), content_type=NPY),
    "a batch in npy": lambda client, image: client.post(CLOTHES, data=npy(np.stack([image] * 3)), content_type=NPY),
    "untyped npy": lambda client, image: client.post(CLOTHES, data=npy(image)),
    "a chain": lambda client, image: client.post("/chains/number", data=npy(image), content_type=NPY),
    "a chain in JSON": lambda client, image: client.post("/chains/number", json={"image": image.tolist()}),
    "the page": lambda client, image: client.post(f"{CLOTHES}/input", json={"image": image.tolist()}),
}


@pytest.mark.parametrize("road", ROADS)
def test_arrays_of_a_route_of_pixels(client, road):
    for wrong, reason in ((MASK, "like a mask"), (MASK.astype(float), "like a mask"), (FRACTIONS, "divided by 255")):
        answer = ROADS[road](client, wrong)
        assert answer.status_code == 400, road
        assert "0–255" in answer.json["error"] and reason in answer.json["error"]
    for right in (BLACK, BLACK.astype(float), BOOT_PIXELS, BOOT_PIXELS.astype(float)):
        assert ROADS[road](client, right).status_code == 200, road


@pytest.mark.parametrize("pixels", [BLACK, MASK])
def test_encoded_images_pass_however_dark(client, pixels):
    png = encode_png(pixels)
    answers = [
        client.post(CLOTHES, data=png, content_type="image/png"),
        client.post(CLOTHES, json={"image": base64.b64encode(png).decode()}),
        client.post(CLOTHES, data={"image": (io.BytesIO(png), "x.png")}),
        client.post("/chains/number", data=png, content_type="image/png"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4


def flat(batch):
    return [float(value) for value in batch.ravel()]


TENSOR_ROADS = {
    "instances": lambda client, batch: client.post("/v1/models/M:predict", json={"instances": batch.tolist()}),
    "inputs": lambda client, batch: client.post("/v1/models/M:predict", json={"inputs": {"image": batch.tolist()}}),
    "classify": lambda client, batch: client.post(
        "/v1/models/M:classify", json={"examples": [{"image": flat(example)} for example in batch]}
    ),
    "v2": lambda client, batch: client.post(
        "/v2/models/M/infer",
        json={"inputs": [{"name": "image", "shape": list(batch.shape), "datatype": "FP32", "data": flat(batch)}]},
    ),
    "v2 binary": lambda client, batch: _binary(client, batch),
}


def _binary(client, batch):
    content = batch.astype("<f4").tobytes()
    entry = {"name": "image", "shape": list(batch.shape), "datatype": "FP32"}
    head = json.dumps({"inputs": [{**entry, "parameters": {"binary_data_size": len(content)}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return client.post("/v2/models/M/infer", data=head + content, headers=headers)


@pytest.fixture(scope="module")
def scaled(bright):
    """The client of a model for images scaled to 0–1, and of one that takes pixels 0–255 as they are."""
    pixels = InputSpec((28, 28, 1), size=(28, 28), high=255.0)
    engine = PythonEngine(lambda inputs: bright.engine.predict(inputs / np.float32(255)))
    models = [replace(bright, name="M"), replace(bright, name="M", input=pixels, engine=engine)]
    return [create_app(model).test_client() for model in models]


@pytest.mark.parametrize("road", TENSOR_ROADS)
def test_tensors(scaled, road):
    ask, batch = TENSOR_ROADS[road], np.stack([BOOT_PIXELS] * 2)[..., np.newaxis].astype(np.float32)
    unit, pixels = scaled
    for client, right, wrong, reason in (
        (unit, batch / 255, batch, "from 0 to 255; the model takes images scaled to 0–1"),
        (pixels, batch, batch / 255, "divided by 255 already"),
        (pixels, batch, (batch > 100).astype(np.float32), "like a mask"),
    ):
        refused = ask(client, wrong)
        assert refused.status_code == 400 and reason in refused.json["error"]
        assert ask(client, right).status_code == 200
        assert ask(client, np.zeros_like(batch)).status_code == 200


def test_both_grpc_services(bright):
    grpc = pytest.importorskip("grpc")
    from mlops_lab.serve.grpc_server.protos import inference_pb2, tensorflow_pb2, tensorflow_serving_pb2
    from mlops_lab.serve.grpc_server.server import serve_grpc

    server = serve_grpc(create_app(bright).extensions["mlops_lab"])
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
    batch = BOOT_PIXELS.reshape(1, 28, 28, 1).astype(np.float32)

    def predict(batch):
        shape = tensorflow_pb2.TensorShapeProto(dim=[{"size": side} for side in batch.shape])
        tensor = tensorflow_pb2.TensorProto(dtype=1, tensor_shape=shape, tensor_content=batch.tobytes())
        model = tensorflow_serving_pb2.ModelSpec(name="bright")
        return tensorflow_serving_pb2.PredictRequest(model_spec=model, inputs={"image": tensor})

    def infer(batch):
        entry = {"name": "image", "datatype": "FP32", "shape": batch.shape}
        return inference_pb2.ModelInferRequest(
            model_name="bright", inputs=[entry], raw_input_contents=[batch.tobytes()]
        )

    try:
        for path, request in (
            ("/tensorflow.serving.PredictionService/Predict", predict),
            ("/inference.GRPCInferenceService/ModelInfer", infer),
        ):
            call = channel.unary_unary(path)
            assert call(request(batch / 255).SerializeToString(), timeout=20)
            assert call(request(0 * batch).SerializeToString(), timeout=20)
            with pytest.raises(grpc.RpcError) as raised:
                call(request(batch).SerializeToString(), timeout=20)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "from 0 to 255; the model takes images scaled to 0–1" in raised.value.details()
    finally:
        channel.close()
        server.stop().wait()


def test_what_a_chain_passes_on_is_no_clients_array(bright):
    """Find-digits may cut out next to nothing: only arrays from a client are judged."""
    chain = Chain(["find-digits", "bright/v1"], name="dim")
    sheet = np.zeros((60, 60), np.uint8)
    sheet[20:40, 28:32] = 200
    answer = create_app([bright], chains=[chain]).test_client().post("/chains/dim", json={"image": sheet.tolist()})
    assert answer.status_code == 200
