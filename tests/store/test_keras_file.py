import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlops_lab.errors import DamagedArtifact, IncompatibleFile, NotFound, StoreError, WrongUsage
from mlops_lab.store import keras_file, load_keras, save_keras
from mlops_lab.store.keras_file import differences, read_versions, running_versions, stamp

tensorflow = pytest.mark.tensorflow


def archive(metadata):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("metadata.json", metadata)
        target.writestr("config.json", "{}")
    return out.getvalue()


def test_the_stamp_adds_versions_and_keeps_the_rest():
    stamped = stamp(archive('{"keras_version": "3.12.4", "date_saved": "today"}'))
    with zipfile.ZipFile(io.BytesIO(stamped)) as found:
        entries = json.loads(found.read("metadata.json"))
        assert found.namelist() == ["metadata.json", "config.json"]
        assert all(member.compress_type == zipfile.ZIP_STORED for member in found.infolist())
    assert entries["keras_version"] == "3.12.4"
    assert entries["date_saved"] == "today"
    assert entries["tensorflow_version"] == running_versions()["tensorflow"]
    assert entries["python_version"] == running_versions()["python"]


def test_versions_are_read_with_and_without_the_stamp(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(archive('{"keras_version": "3.12.4"}'))
    assert read_versions(path) == {"keras": "3.12.4"}
    path.write_bytes(stamp(path.read_bytes()))
    assert read_versions(path) == {**running_versions(), "keras": "3.12.4"}


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip", archive("[]"), archive("{"), archive("17")])
def test_what_is_no_keras_file(tmp_path, content):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=r"m\.keras"):
        read_versions(path)


def test_no_file_or_a_folder(tmp_path):
    with pytest.raises(NotFound):
        load_keras(tmp_path / "nowhere.keras")
    with pytest.raises(StoreError):
        load_keras(tmp_path)


@pytest.mark.parametrize("name", ["m.h5", "m", "m.keras.zip"])
def test_a_name_that_does_not_end_in_keras(tmp_path, name):
    with pytest.raises(WrongUsage, match=r"does not end in \.keras"):
        save_keras(object(), tmp_path / name)


def test_a_model_that_is_not_keras_s(tmp_path, digits_run):
    with pytest.raises(WrongUsage, match="MLPClassifier is not a Keras model"):
        save_keras(digits_run.model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_differences_are_named():
    assert differences(running_versions()) == ""
    assert differences({"python": "2.7"}) == ""
    both = differences({"tensorflow": "2.15.0", "keras": "2.15.0"})
    assert "TensorFlow 2.15.0 (here " in both
    assert " and Keras 2.15.0 (here " in both


@pytest.fixture(scope="module")
def model():
    from mlops_lab import train

    model = train.lenet5()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)  # as training does
    return model


@tensorflow
def test_a_model_comes_back(model, tmp_path):
    path = save_keras(model, tmp_path / "new" / "clothes.keras")
    inputs = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_keras(path, on_mismatch="error")
    assert np.array_equal(loaded(inputs).numpy(), model(inputs).numpy())
    assert read_versions(path)["tensorflow"] == running_versions()["tensorflow"]


@tensorflow
def test_a_stamped_file_loads_in_plain_keras(model, tmp_path):
    import keras

    path = save_keras(model, tmp_path / "clothes.keras")
    assert keras.saving.load_model(path).count_params() == 44_426


@tensorflow
def test_a_plain_file_loads(model, tmp_path):
    path = tmp_path / "plain.keras"
    model.save(path)
    assert read_versions(path).keys() == {"keras"}
    assert load_keras(path, on_mismatch="error").count_params() == 44_426


@tensorflow
@pytest.mark.parametrize("on_mismatch", ["warn", "error", "ignore"])
def test_a_file_of_another_version(model, tmp_path, monkeypatch, on_mismatch):
    path = save_keras(model, tmp_path / "clothes.keras")
    elsewhere = {**running_versions(), "tensorflow": "2.99.0"}
    monkeypatch.setattr(keras_file, "running_versions", lambda: elsewhere)
    if on_mismatch == "error":
        with pytest.raises(IncompatibleFile, match=r"TensorFlow .*here 2\.99\.0"):
            load_keras(path, on_mismatch=on_mismatch)
        return
    if on_mismatch == "warn":
        with pytest.warns(UserWarning, match=r"here 2\.99\.0"):
            loaded = load_keras(path)
    else:
        loaded = load_keras(path, on_mismatch=on_mismatch)
    assert loaded.count_params() == 44_426


@tensorflow
def test_a_full_disk_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "clothes.keras"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        save_keras(model, path)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["clothes.keras"]


@tensorflow
def test_a_file_that_keras_cannot_load(model, tmp_path):
    path = tmp_path / "odd.keras"
    path.write_bytes(archive(json.dumps({"keras_version": running_versions()["keras"]})))
    with pytest.raises((IncompatibleFile, StoreError)) as caught:
        load_keras(path)
    assert len(caught.value.message) < 600


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2, not ours
def test_a_model_is_loaded_without_a_loss_that_is_not_here():
    path = Path(__file__).parents[1] / "data" / "field" / "custom-loss.keras"
    with pytest.warns(UserWarning, match="without its settings of compile"):
        model = load_keras(path)
    assert model.compiled is False
    with pytest.raises(IncompatibleFile, match="dice_loss"):
        load_keras(path, on_mismatch="error")
