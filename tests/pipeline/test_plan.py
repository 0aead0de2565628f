import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.pipeline import ReleasePlan


def test_an_unknown_environment_is_refused():
    with pytest.raises(WrongUsage, match=r"the moon.*local, docker, compose"):
        ReleasePlan("models", "clothes", environment="the moon")


@pytest.mark.parametrize("environment", ["docker", "compose"])
def test_in_containers_production_is_a_port(environment):
    with pytest.raises(WrongUsage, match="set port=8000"):
        ReleasePlan("models", "clothes", environment=environment, url="http://127.0.0.1:8000")


def test_the_api_key_is_in_no_output():
    plan = ReleasePlan("models", "clothes", api_key="open sesame")
    assert "sesame" not in repr(plan) + str(plan.to_dict())
    assert plan.to_dict()["models"] == "models" and plan.to_dict()["expected"]["images"] == plan.expected.images
