"""``/openapi.json`` for every task: its examples are answered, and its schemas fit what is sent and answered."""

import pytest
from task_models import CASES, MODELS, PIXELS

from mlops_lab.serve import create_app


def draft_2020():
    """Return the validator; importing it takes a second, which only a process that runs these tests should spend."""
    return pytest.importorskip("jsonschema").Draft202012Validator


@pytest.fixture(scope="module")
def client():
    return create_app(MODELS).test_client()


@pytest.fixture(scope="module")
def api(client):
    return client.get("/openapi.json").json


def fits(api, schema, value):
    checker = draft_2020()({**schema, "components": api["components"]})
    return not list(checker.iter_errors(value))


def described(api, path):
    """Return the body and the answer that the document says a path takes and gives."""
    operation = api["paths"][path]["post"]
    body = operation["requestBody"]
    if "$ref" in body:
        body = api["components"]["requestBodies"][body["$ref"].rpartition("/")[2]]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return body["content"]["application/json"], answer


def paths(name):
    return [f"/models/{name}", f"/v1/models/{name}:predict", f"/v2/models/{name}/infer"]


@pytest.mark.parametrize("name", CASES)
def test_every_example_is_answered_as_described(client, api, name):
    verbs = [f"/v1/models/{name}:{verb}" for verb in ("classify", "regress")]
    for path in [*paths(name), *(path for path in verbs if path in api["paths"])]:
        body, answer = described(api, path)
        draft_2020().check_schema(body["schema"])
        assert fits(api, body["schema"], body["example"]), (path, body["example"])
        found = client.post(path, json=body["example"])
        assert found.status_code == 200, found.text
        assert fits(api, answer, found.json), (path, found.json)


@pytest.mark.parametrize("name", CASES)
def test_what_the_server_takes_is_described(client, api, name):
    inputs = CASES[name][0] if name != "paint" else {"photo": (255 * PIXELS).astype(int).tolist()}
    body, answer = described(api, f"/models/{name}")
    for content in (inputs, next(iter(inputs.values())) if len(inputs) == 1 else inputs):
        assert fits(api, body["schema"], {"inputs": content})
        assert fits(api, answer, client.post(f"/models/{name}", json={"inputs": content}).json)
    assert not fits(api, body["schema"], {"inputs": {"nothing": []}})
    assert not fits(api, body["schema"], {})


def test_only_the_verbs_that_a_model_answers_are_described(api):
    found = {path for path in api["paths"] if path.endswith((":classify", ":regress"))}
    assert found >= {"/v1/models/spam:classify", "/v1/models/price:regress", "/v1/models/several:regress"}
    assert not found & {"/v1/models/price:classify", "/v1/models/spam:regress", "/v1/models/embed:classify"}


def test_types_and_columns_are_described(api):
    body, _ = described(api, "/models/price")
    assert fits(api, body["schema"], {"inputs": [{"rooms": 1, "area": 2}]})
    assert not fits(api, body["schema"], {"inputs": [{"rooms": 1}]})
    body, _ = described(api, "/models/several")
    good = {"house": [[1.0, 2.0]], "years": [[1, 2, 3]], "text": ["a"]}
    assert fits(api, body["schema"], {"inputs": good})
    for wrong in ({"years": [[0.5]]}, {"text": [1]}, {"years": [[2**40]]}, {"house": [[1.0]]}):
        assert not fits(api, body["schema"], {"inputs": {**good, **wrong}})
