import dataclasses

import pytest

from mlops_lab import deploy, serve
from mlops_lab.deploy import smoke
from mlops_lab.errors import UnknownModel


@pytest.fixture
def spec(models):
    return deploy.make_spec(models.root, "digits")


def test_a_server_of_that_version_answers_as_published(spec, models):
    with serve.start(models, name="smoke") as server:
        found = smoke.run(spec, server.url)
    assert found.examples == len(models.get("digits", 1).manifest.golden.inputs) > 1
    assert found.difference < 1e-5
    assert str(found).startswith(f"smoke test: {found.examples} golden examples answered as published")
    assert found.to_dict()["url"] == server.url


def test_a_server_of_another_model_under_that_name(spec, bright):
    other = dataclasses.replace(bright, name="digits")
    with serve.start([other], name="smoke") as server, pytest.raises(smoke.WrongAnswers, match="digits v1"):
        smoke.run(spec, server.url)


def test_a_server_without_the_model(spec, bright):
    with serve.start([bright], name="smoke") as server, pytest.raises(UnknownModel, match="digits"):
        smoke.run(spec, server.url)


def test_an_application_of_one_s_own_is_not_asked(spec, tmp_path):
    found = smoke.run(dataclasses.replace(spec, app=tmp_path / "api.py"), "http://127.0.0.1:9")
    assert str(found) == "smoke test: http://127.0.0.1:9 answers"
