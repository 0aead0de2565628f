import io
import json
import re

import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, Registry, create_app
from mlops_lab.serve.chains.chain import Chain
from mlops_lab.serve.openapi.document import make_document


def draft_2020():
    """Return the validator; importing it takes a second, which only a process that runs these tests should spend."""
    return pytest.importorskip("jsonschema").Draft202012Validator


def flat_model(name="flat", version=1, labels=("a", "b")):
    """Return a model that takes three numbers and no images."""
    engine = PythonEngine(lambda inputs: np.full((len(inputs), len(labels)), 1 / len(labels), np.float32))
    return Predictor(name, version, InputSpec((3,)), labels, engine)


@pytest.fixture(scope="module")
def api(app):
    return app.test_client().get("/openapi.json").json


def validator(api, schema):
    """Return what checks a value against a part of the document."""
    return draft_2020()({**schema, "components": api["components"]})


def answer_schema(api, path, verb, status):
    found = api["paths"][path][verb]["responses"][str(status)]
    if "$ref" in found:
        found = api["components"]["responses"][found["$ref"].rpartition("/")[2]]
    return found["content"]["application/json"]["schema"]


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere(api):
    found = set(references(api))
    assert len(found) > 10
    for reference in found:
        place = api
        for word in reference.removeprefix("#/").split("/"):
            place = place[word]


def test_every_schema_is_one(api):
    for schema in api["components"]["schemas"].values():
        draft_2020().check_schema(schema)


@pytest.fixture
def published(models):
    models.promote("digits", 1)
    return create_app(models).test_client()


TENSOR = {"name": "image", "shape": [1, 64], "datatype": "FP32", "data": [0] * 64}
TENSOR_BODIES = {
    "/v1/models/digits:predict": [
        ({"instances": [0] * 64}, False),
        ({"instances": [[0] * 64]}, True),
        ({"instances": [[0] * 63]}, False),
        ({"instances": [{"image": [0.5] * 64}, {"image": [1] * 64}], "other": 1}, True),
        ({"instances": [{"image": [0.5] * 64, "more": 1}]}, False),
        ({"instances": [{"image": [0.5] * 64}, [1] * 64]}, False),
        ({"instances": [[0] * 64], "inputs": [[0] * 64]}, False),
        ({"instances": [[0] * 64], "inputs": "x"}, False),
        ({"instances": []}, False),
        ({"inputs": [[0] * 64] * 2, "signature_name": "serving_default"}, True),
        ({"inputs": {"image": [[0] * 64], "more": 1}}, True),
        ({"inputs": [[0] * 64], "signature_name": "other"}, False),
        ({"inputs": [["0"] * 64]}, False),
        ([], False),
    ],
    "/v1/models/digits:classify": [
        ({"examples": [{"image": [0] * 64, "more": "x"}], "context": {}}, True),
        ({"examples": [{"scan": [0] * 64}]}, False),
        ({"examples": [{"image": [0] * 64}], "context": []}, False),
        ({"examples": []}, False),
    ],
    "/v2/models/digits/infer": [
        ({"inputs": [TENSOR], "id": None}, True),
        ({"inputs": [{"name": "image", "shape": [2, 64], "datatype": "FP64", "data": [[0] * 64] * 2}]}, True),
        ({"inputs": [TENSOR | {"name": "scan"}]}, False),
        ({"inputs": [TENSOR | {"shape": [1, 63]}]}, False),
        ({"inputs": [TENSOR | {"datatype": "BYTES"}]}, False),
        ({"inputs": []}, False),
        ({"inputs": [TENSOR], "id": 5}, False),
        ({"inputs": [TENSOR], "parameters": []}, False),
        ({"inputs": [TENSOR],
          "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}]}, True),
        ({"inputs": [TENSOR],
          "outputs": [{"name": "probabilities", "parameters": {"classification": -1}}]}, False),
        ({"inputs": [TENSOR],
          "outputs": [{"name": "others"}]}, False),
    ],
    "/v2/repository/index": [({}, True), ({"ready": True}, True), ({"ready": "yes"}, False)],
}  # fmt: skip


@pytest.mark.parametrize("path, body, taken", [(path, *row) for path, rows in TENSOR_BODIES.items() for row in rows])
def test_the_document_and_the_server_agree_on_tensors(client, api, path, body, taken):
    operation = api["paths"][path]["post"]
    described = operation["requestBody"]
    if "$ref" in described:
        described = api["components"]["requestBodies"][described["$ref"].rpartition("/")[2]]
    content = described["content"]["application/json"]
    assert validator(api, content["schema"]).is_valid(body) is taken
    answer = client.post(path, json=body)
    assert answer.status_code == (200 if taken else 400), answer.json
    validator(api, answer_schema(api, path, "post", answer.status_code)).validate(answer.json)
    if "example" in content:
        assert client.post(path, json=content["example"]).status_code == 200


def test_no_two_operations_have_one_name(published):
    paths = published.get("/openapi.json").json["paths"].values()
    names = [item[verb]["operationId"] for item in paths for verb in ("get", "post") if verb in item]
    assert len(names) > 30
    assert len(names) == len(set(names))


def test_what_speaks_of_tensors_answers_as_described(published):
    api = published.get("/openapi.json").json
    words = {"{version}": "1", "{label}": "production"}
    reads = [path for path, item in api["paths"].items() if path.startswith(("/v1", "/v2")) and "get" in item]
    assert len(reads) > 12
    for path in reads:
        asked = re.sub(r"\{\w+\}", lambda found: words[found[0]], path)
        answer = published.get(asked)
        assert answer.status_code == 200, asked
        validator(api, answer_schema(api, path, "get", 200)).validate(answer.json)


def test_it_is_made_from_what_is_loaded(bright):
    registry = Registry.of([bright])
    client = create_app(registry).test_client()
    assert "/models/bright/{version}" in client.get("/openapi.json").json["paths"]
    registry.add([flat_model()])
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/models/flat/{version}"]["parameters"][0]["schema"]["enum"] == ["1", "latest", "v1"]
    registry.entries = {}
    assert not [path for path in client.get("/openapi.json").json["paths"] if path.startswith("/models/")]


# Pages' files, chains where there are none, addresses that only refuse, and one that is another's with a slash.
LEFT_OUT = re.compile(r"/pages/|/chains/|/v1/<|/v1/models$|.*:regress$|/v2/$")


def test_it_names_every_route(published):
    rules = {rule.rule for rule in published.application.url_map.iter_rules()}
    expected = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", re.sub(r"<(?:\w+:)?name>", "digits", rule))
        for rule in rules
        if not LEFT_OUT.match(rule)
    }
    assert len(expected) > 30
    assert expected == {path for path in published.get("/openapi.json").json["paths"] if path != "/chains/{chain}"}


@pytest.mark.parametrize(
    "path", ["/models", "/chains", "/healthz", "/readyz", "/models/digits", "/models/bright", "/models/digits/traffic"]
)
def test_answers_are_as_described(client, api, path):
    validator(api, answer_schema(api, path, "get", 200)).validate(client.get(path).json)


@pytest.mark.parametrize("word", ["v1", "1", "latest"])
def test_versions_are_as_described(client, api, word):
    path = "/models/digits/{version}"
    assert word in api["paths"][path]["parameters"][0]["schema"]["enum"]
    schema = answer_schema(api, path, "get", 200)
    validator(api, schema).validate(client.get(f"/models/digits/{word}").json)
    assert len(api["components"]["schemas"]["digits.Version"]["required"]) > 10


@pytest.mark.parametrize("name", ["digits", "bright"])
def test_the_example_is_a_request_that_works(client, api, name):
    content = api["paths"][f"/models/{name}"]["post"]["requestBody"]["content"]["application/json"]
    validator(api, content["schema"]).validate(content["example"])
    answer = client.post(f"/models/{name}", json=content["example"])
    assert answer.status_code == 200
    validator(api, answer_schema(api, f"/models/{name}", "post", 200)).validate(answer.json)


def body_accepted(api, name, body):
    schema = api["components"]["schemas"][f"{name}.Images"]
    return validator(api, schema).is_valid(body)


BLACK = np.zeros((8, 8), int).tolist()


@pytest.mark.parametrize(
    "body",
    [
        {"image": BLACK},
        {"image": np.zeros(64, int).tolist()},
        {"image": np.zeros((8, 8, 1), int).tolist()},
        {"images": [BLACK, BLACK]},
        {"images": []},
        {"image": BLACK, "images": [BLACK]},
        {"image": BLACK[:7]},
        {"image": np.full((8, 8), 256).tolist()},
        {"image": np.full((8, 8), -1).tolist()},
        {"images": [BLACK] * 257},
        {"scan": BLACK},
        {"image": None},
        {"image": {}},
        {"image": 5},
        {"image": [["a"] * 8] * 8},
        [BLACK],
        5,
    ],
    ids=lambda body: json.dumps(body)[:30],
)
def test_the_document_and_the_server_agree_on_a_body(client, api, body):
    assert body_accepted(api, "digits", body) == (client.post("/models/digits", json=body).status_code == 200)


@pytest.mark.parametrize(
    "path, body, kind, status",
    [
        ("/models/digits", b"{", "application/json", 400),
        ("/models/digits/v9", b"{}", "application/json", 404),
        ("/models/digits", b"x" * (2 * 1024 * 1024 + 1), "image/png", 413),
        ("/models/digits", b"x", "text/plain", 415),
    ],
)
def test_errors_are_as_described(client, api, path, body, kind, status):
    answer = client.post(path, data=body, content_type=kind)
    assert answer.status_code == status
    described = "/models/digits" if path.count("/") == 2 else "/models/digits/{version}"
    validator(api, answer_schema(api, described, "post", status)).validate(answer.json)


def test_every_content_type_that_is_described_is_read(client, api):
    content = api["paths"]["/models/digits/{version}"]["post"]["requestBody"]["content"]
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 8, 8), np.uint8))
    png = encode_png(np.zeros((8, 8)))
    bodies = {
        "image/png": png,
        "image/jpeg": png,
        "application/json": json.dumps({"image": BLACK}),
        "application/x-npy": stream.getvalue(),
        "multipart/form-data": {"image": (io.BytesIO(png), "p.png")},
    }
    assert set(content) == set(bodies)
    for kind, body in bodies.items():
        assert client.post("/models/digits/v1", data=body, content_type=kind).status_code == 200, kind


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_model_without_images_takes_arrays():
    client = create_app([flat_model()]).test_client()
    api = client.get("/openapi.json").json
    content = api["paths"]["/models/flat"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "application/x-npy"}
    assert body_accepted(api, "flat", {"image": [1.5, -2, 3]})
    assert not body_accepted(api, "flat", {"image": "aGVsbG8="})
    edge = 2.0**128 - 2.0**103  # from here on a float32 is infinite
    for number, taken in [(edge, False), (np.nextafter(edge, 0), True), (-edge, False), (1e300, False)]:
        body = {"image": [float(number), 0, 0]}
        assert body_accepted(api, "flat", body) is taken
        assert (client.post("/models/flat", json=body).status_code == 200) is taken
    assert client.post("/models/flat", json=content["application/json"]["example"]).status_code == 200
    assert "/models/flat/{version}/input" not in api["paths"]


def test_versions_that_differ_are_all_described():
    registry = Registry.of([flat_model(), flat_model(version=2, labels=("a", "b", "c"))])
    schemas = make_document(registry, Limits())["components"]["schemas"]
    prediction = schemas["flat.Prediction"]["properties"]
    assert prediction["label"]["enum"] == ["a", "b", "c"]
    assert (prediction["probabilities"]["minItems"], prediction["probabilities"]["maxItems"]) == (2, 3)


def test_chains_are_described(shared_models):
    links = [{"step": "find-digits"}, {"model": "digits"}, {"step": "join"}]
    client = create_app(shared_models, chains=Chain(links, "number", "Read a number")).test_client()
    api = client.get("/openapi.json").json
    path = "/chains/{chain}"
    assert api["paths"][path]["parameters"][0]["schema"]["enum"] == ["number"]
    validator(api, answer_schema(api, path, "get", 200)).validate(client.get("/chains/number").json)
    sheet = np.zeros((40, 90), np.uint8)
    sheet[8:32, 20:24] = 255
    answer = client.post("/chains/number", data=encode_png(sheet), content_type="image/png")
    validator(api, answer_schema(api, path, "post", 200)).validate(answer.json)


def test_keys_are_described_where_they_are_asked_for(bright):
    client = create_app([bright], api_keys=["k"]).test_client()
    api = client.get("/openapi.json", headers={"X-API-Key": "k"}).json
    assert api["security"] == [{"bearer": []}, {"header": []}]
    assert "401" in api["paths"]["/models"]["get"]["responses"]
    assert "401" in api["paths"]["/models/bright/{version}"]["post"]["responses"]
    assert api["paths"]["/healthz"]["get"]["security"] == []
    assert "401" not in api["paths"]["/healthz"]["get"]["responses"]
    for path, item in api["paths"].items():
        refused = client.get(path.replace("{version}", "v1")).status_code == 401 if "get" in item else True
        assert refused == (item.get("get", {}).get("security") != [])


def test_a_proxys_path_is_named(client):
    api = client.get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/proxy/8000"}).json
    assert api["servers"] == [{"url": "/proxy/8000"}]


def test_limits_are_named_with_their_values(bright):
    schemas = make_document(Registry.of([bright]), Limits(batch=7))["components"]["schemas"]
    assert schemas["bright.Images"]["oneOf"][1]["properties"]["images"]["maxItems"] == 7


def test_a_part_without_a_name_is_refused_and_breaks_nothing(client):
    part = b"--x\r\nContent-Disposition: form-data%s\r\n\r\n1\r\n"
    body = part % b"; name*=bad" + part % b"" + b"--x--\r\n"
    answer = client.post("/models/digits", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
