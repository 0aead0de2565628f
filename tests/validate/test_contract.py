"""The contract, held against our server, a student's, TensorFlow Serving's dialect, and servers that break it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from flask import Flask, jsonify, request

from mlops_lab import serve, validate
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import ServerError, WrongUsage
from mlops_lab.image import decode
from mlops_lab.validate import contract
from mlops_lab.validate.target import ServerUnderTest

pytestmark = pytest.mark.usefixtures("no_servers")


@pytest.fixture
def version(models):
    models.promote("digits", 1)
    return models.get("digits", 1)


def outcome(report, name):
    return next(check for check in report.checks if check.name == name)


def failed(report):
    return {check.name for check in report.failed}


@pytest.mark.parametrize("address", ["v1", "production"])
def test_our_server_keeps_it(models, version, address):
    report = validate.check_contract(serve.start(models).url, version, address=address)
    assert report.passed, str(report)
    assert {check.name for check in report.checks if check.state == "skipped"} == {"unknown model", "unknown servable"}


def test_tensorflow_serving_keeps_its_part(models, version):
    app = serve.create_app(models)

    def only_v1(environ, start_response):
        if not environ["PATH_INFO"].startswith("/v1/"):
            start_response("404 Not Found", [("Content-Type", "text/html")])
            return [b"<html>Not Found</html>"]
        return app(environ, start_response)

    report = validate.check_contract(serve.start(only_v1).url, version)
    assert report.passed, str(report)
    passed = {check.name for check in report.checks if check.state == "passed"}
    assert passed >= {"golden examples", "in one request", "described", "prediction", "unknown servable"}


def api(predictor):
    """What a student writes: the course's two routes, for a PNG."""
    app = Flask("api")

    @app.get("/models/digits/v1")
    def model_info():
        return {"version": "v1", "name": "digits", "description": "mine", "labels": list(predictor.labels)}

    @app.post("/models/digits/v1")
    def classify():
        try:
            row = predictor.probabilities([decode(request.data)])[0].tolist()
        except Exception:
            return jsonify(error="no image"), 400
        best = int(np.argmax(row))
        entry = {"label": predictor.labels[best], "class": best, "confidence": row[best], "probabilities": row}
        return {"model": "digits", "version": "v1", "predictions": [entry]}

    return app


def test_a_server_of_one_s_own_with_the_two_routes(models, version):
    report = validate.check_contract(serve.start(api(models.load("digits", 1))).url, version)
    assert report.passed, str(report)
    assert outcome(report, "golden examples").state == "passed"
    assert outcome(report, "every body").state == "skipped"


def test_a_server_of_one_s_own_that_scales_the_pixels_wrongly(models, version):
    right = models.load("digits", 1)
    wrong = replace(right, engine=PythonEngine(lambda inputs: right.engine.predict(inputs / 2)))
    report = validate.check_contract(serve.start(api(wrong)).url, version)
    assert failed(report) == {"golden examples"}
    assert re.search(r"differ from the manifest's by up to 0\.\d+", outcome(report, "golden examples").message)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.pop("version"), "the answer of GET /models/digits/v1 lacks 'version'"),
        (lambda body: body.update(labels=["a"]), "labels is ['a'], published as ['0', '1'"),
    ],
)
def test_a_description_that_differs_is_told_in_words(models, version, change, words):
    app = api(models.load("digits", 1))
    described = app.view_functions["model_info"]

    def changed():
        body = described()
        change(body)
        return body

    app.view_functions["model_info"] = changed
    report = validate.check_contract(serve.start(app).url, version)
    assert words in outcome(report, "described").message


BREAKS = {
    "golden examples": lambda body: body["predictions"][0]["probabilities"].__setitem__(0, 0.2),
    "prediction": lambda body: body["predictions"][0].update(label="another"),
    "described": lambda body: body.update(name="another") if "predictions" not in body else None,
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_breaks_it_is_named(models, version, broken):
    app = serve.create_app(models)

    @app.after_request
    def spoil(response):
        if response.is_json and request.path.startswith("/models/digits/v1") and response.status_code == 200:
            body = response.get_json()
            if "predictions" in body or broken == "described":
                BREAKS[broken](body)
                response.set_data(json.dumps(body))
        return response

    def through_flask(environ, start_response):  # the busiest routes would be answered before Flask's hooks
        return app(environ, start_response)

    assert broken in failed(validate.check_contract(serve.start(through_flask).url, version, kind="lab"))


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("/healthz", "alive"),
        ("/readyz", "ready"),
        ("/models", "listed"),
        ("/metrics", "operations"),
        ("/v1/models/digits/versions/1", "other dialects"),
    ],
)
def test_a_route_that_is_broken(models, version, path, broken):
    app = serve.create_app(models)

    def without(environ, start_response):
        if environ["PATH_INFO"] == path:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"oops"]
        return app(environ, start_response)

    report = validate.check_contract(serve.start(without).url, version, kind="lab")
    assert failed(report) == {broken}


def test_headers_that_do_not_come_back(models, version):
    app = serve.create_app(models)

    def lose(response):
        response.headers["X-Request-Id"] = "mine"
        return response

    app.after_request_funcs[None].insert(0, lose)  # the last to run
    assert failed(validate.check_contract(serve.start(app).url, version)) == {"headers"}


def test_another_version_than_the_published_one(models, version):
    url = serve.start(models).url
    other = replace(version, manifest=replace(version.manifest, number_of_parameters=7))
    assert failed(validate.check_contract(url, other)) == {"described"}


def test_nobody_answers(version):
    report = validate.check_contract("http://127.0.0.1:1", version)
    assert not report.passed
    assert failed(report) == {"answers"}


def test_a_kind_that_there_is_not(version):
    with pytest.raises(WrongUsage, match="torchserve"):
        validate.check_contract("http://127.0.0.1:1", version, kind="torchserve")


def test_every_question_is_asked_of_somebody_and_documented():
    assert all(kinds and set(kinds) <= set(contract.KINDS) for kinds in contract.CHECKS.values())
    assert all(question.__doc__ for question in contract.CHECKS)


def test_the_report_has_three_faces(models, version):
    report = validate.check_contract(serve.start(models).url, version)
    assert json.loads(json.dumps(report.to_dict()))["passed"] is True
    assert "passed" in report._repr_html_() and "<script" not in report._repr_html_()
    assert str(report).splitlines()[-1] == report.summary


@pytest.mark.parametrize(
    "url, hint",
    [("nonsense", "Give the address of a server"), ("http://127.0.0.1:1", "Look whether a server listens there")],
)
def test_an_address_where_nobody_answers_is_named(version, url, hint):
    with pytest.raises(ServerError, match=url) as caught:
        ServerUnderTest(url, version, "v1").kind()
    assert caught.value.hint.startswith(hint)
