import json
import os
import shutil

import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import UnknownModel, UnknownVersion, WrongUsage
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import Registry


def constant(version, name="m"):
    engine = PythonEngine(lambda inputs: [[1.0, 0.0]] * len(inputs))
    return Predictor(name, version, InputSpec(shape=(2,)), ("a", "b"), engine)


@pytest.mark.parametrize("wrap", [lambda store: store, lambda store: store.root, lambda store: str(store.root)])
def test_a_store_or_its_folder(shared_models, wrap):
    registry = Registry.of(wrap(shared_models))
    assert registry.get("digits", "v1").version == 1
    assert registry.is_ready()


def test_predictors_and_registries():
    one = constant(1)
    registry = Registry.of(one)
    assert Registry.of(registry) is registry
    assert Registry.of([one, constant(2)]).get("m", "v2").version == 2


def test_what_holds_no_models():
    with pytest.raises(WrongUsage, match="A int holds no models"):
        Registry.of(17)


def test_every_word_for_a_version():
    registry = Registry.of([constant(number) for number in (1, 2, 10)])
    words = {"v1": 1, "1": 1, "v2": 2, "v10": 10, "latest": 10, "": 10}
    assert {word: registry.get("m", word).version for word in words} == words
    for word in ("v3", "v01", "V1", "production", "v1 ", "v1\0", "../1"):
        with pytest.raises(UnknownVersion):
            registry.get("m", word)


def test_production_is_the_default_and_aliases_answer(models, digits_run):
    models.publish(digits_run, "digits")
    models.promote("digits", 1)
    models.promote("digits", 2, alias="staging")
    registry = Registry.of(models)
    assert registry.get("digits").version == 1
    assert registry.get("digits", "production").version == 1
    assert registry.get("digits", "staging").version == 2
    assert registry.get("digits", "latest").version == 2


def test_an_alias_written_by_hand_cannot_stand_for_another_version(models, digits_run):
    models.publish(digits_run, "digits")
    (models.root / "digits/aliases.json").write_text(json.dumps({"v2": 1, "latest": 1, "gone": 9}))
    registry = Registry.of(models)
    assert registry.get("digits", "v2").version == 2
    assert registry.get("digits", "latest").version == 2
    with pytest.raises(UnknownVersion) as caught:
        registry.get("digits", "gone")
    assert "gone" not in caught.value.hint  # it would be no help to name it
    assert "gone" not in registry.listing()[0]["aliases"]


def test_a_damaged_version_does_not_keep_the_others_from_serving(models, digits_run):
    models.publish(digits_run, "digits")
    (models.root / "digits/2/model.onnx").write_bytes(b"damaged")
    registry = Registry.of(models)
    assert registry.get("digits", "v1").version == 1
    assert registry.get("digits", "latest").version == 1
    states = registry.entry("digits").states()
    assert states["v1"] == "ready"
    assert states["v2"].startswith("failed: ")
    with pytest.raises(UnknownVersion, match="not the file that was published"):
        registry.get("digits", "v2")
    assert registry.is_ready()


def test_a_model_without_a_version_is_not_ready(models):
    (models.root / "digits/1/model.onnx").write_bytes(b"damaged")
    assert not Registry.of(models).is_ready()
    assert not Registry.of([]).is_ready()


def test_a_model_without_a_version_takes_nothing_from_the_others(models, digits_run):
    from mlops_lab.serve import create_app

    models.publish(digits_run, "other")
    (models.root / "digits/1/model.onnx").write_bytes(b"damaged")
    client = create_app(models).test_client()
    ready = client.get("/readyz")
    assert ready.status_code == 200 and list(ready.json["failed"]) == ["digits"]
    assert ready.json["failed"]["digits"]["v1"].startswith("failed: ")
    assert client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/digits/ready").status_code == 400


def test_a_file_that_is_not_published_is_named_with_the_command_that_publishes_it(tmp_path, models):
    from mlops_lab.errors import StoreError

    folder = tmp_path / "my models"
    folder.mkdir()
    (folder / "My Clothes.keras").write_bytes(b"")
    with pytest.raises(StoreError) as caught:
        Registry.of(str(folder)).require_models()
    assert "There are no models in" in caught.value.message
    command = (
        f"mlops-lab models publish '{folder}/My Clothes.keras' --name my-clothes --data test.npz --models '{folder}'"
    )
    assert command in caught.value.hint
    assert Registry.of(models).unpublished() == []


def test_the_nearest_model_is_named():
    with pytest.raises(UnknownModel, match="Did you mean 'digits'"):
        Registry.of([constant(1, "digits"), constant(1, "clothes")]).get("digit")


def test_a_long_name_is_not_sent_back():
    with pytest.raises(UnknownModel) as caught:
        Registry.of(constant(1)).get("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_representations(shared_models):
    registry = Registry.of(shared_models)
    assert registry.listing() == [{"name": "digits", "versions": ["v1"], "aliases": {}}]
    assert "ready" in registry._repr_html_()


def test_a_folder_that_cannot_be_read_does_not_keep_the_others_from_serving(models, monkeypatch, caplog):
    shutil.copytree("models/clothes", models.root / "clothes")
    served = Registry.of(models)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("digits"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    registry = Registry.of(models)
    assert registry.get("clothes").version == 1
    with pytest.raises(UnknownVersion, match=r"digits cannot be read: Permission denied\. Make it readable\. There"):
        registry.get("digits")
    assert "digits cannot be read: Permission denied" in caplog.text
    served.refresh()
    assert served.get("digits").version == 1  # from memory


def test_what_stays_damaged_is_said_once(models, caplog):
    registry = Registry.of(models)
    for damage in ("{", "{", "[]"):
        (models.root / "digits/aliases.json").write_text(damage)
        registry.refresh()
    said = [message.removeprefix(str(models.root / "digits/aliases.json")) for message in caplog.messages]
    assert [message[:19] for message in said] == [" cannot be read: Ex", " is not an object o"]
