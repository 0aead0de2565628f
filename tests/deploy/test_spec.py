from pathlib import Path

import pytest

from mlops_lab import deploy
from mlops_lab.errors import UnknownModel, UnknownVersion, WrongUsage

MODELS = Path(__file__).parents[2] / "models"


def test_an_alias_becomes_a_number():
    spec = deploy.make_spec(MODELS, "clothes", "production")
    assert (spec.version, spec.engine, spec.image) == (1, "onnx", "mlops-lab/clothes:1")


def test_settings_are_kept_and_the_spec_is_plain(tmp_path):
    api = tmp_path / "api.py"
    api.write_text("from sklearn.svm import SVC\nfrom server import app\n")
    spec = deploy.make_spec(MODELS, "digits", image="registry.example/digits:7", port=9000, replicas=3, app=str(api))
    assert spec.to_dict() == {
        "name": "digits",
        "version": 1,
        "models": str(MODELS),
        "engine": "sklearn",
        "image": "registry.example/digits:7",
        "app": str(api),
        "port": 9000,
        "grpc_port": None,
        "replicas": 3,
        "mount": False,
        "api_key": False,
        "cpus": 1.0,
        "gpus": 0.0,
        "most": None,
        "trusted": (),
    }


@pytest.mark.parametrize("settings", [{"port": 0}, {"port": 70000}, {"port": 80, "grpc_port": 80}, {"replicas": 0}])
def test_settings_that_make_no_sense(settings):
    with pytest.raises(WrongUsage):
        deploy.make_spec(MODELS, "clothes", **settings)


@pytest.mark.parametrize("image", ["clothes", "a/b__c:V1.0", "localhost:5000/a-b", "Reg.example/a@sha256:" + "0" * 64])
def test_an_image_is_named_as_docker_takes_it(image):
    assert deploy.make_spec(MODELS, "clothes", image=image).image == image


@pytest.mark.parametrize("image", ["BAD IMAGE", "Clothes", "a//b", "a:", "a/-b", "a:b:c", "-a", "a\n", "a@sha256:0"])
def test_what_docker_takes_for_no_image_is_refused(image):
    with pytest.raises(WrongUsage, match="Invalid image name"):
        deploy.make_spec(MODELS, "clothes", image=image)


@pytest.mark.parametrize(
    ("name", "version", "error"), [("cloths", "latest", UnknownModel), ("clothes", "v7", UnknownVersion)]
)
def test_what_is_not_in_the_store(name, version, error):
    with pytest.raises(error):
        deploy.make_spec(MODELS, name, version)
