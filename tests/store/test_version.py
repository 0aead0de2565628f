import hashlib
import json
import os
import shutil
import warnings

import numpy as np
import pytest

from mlops_lab.errors import DamagedArtifact, IncompatibleFile, UnsafeFile, WrongUsage
from mlops_lab.image import to_input
from mlops_lab.store import version as versions

FILES = ("model.onnx", "model.skops")


def forge(models, change):
    """Change the manifest of digits v1 by a function."""
    path = models.root / "digits/1/manifest.json"
    entry = json.loads(path.read_text())
    change(entry)
    path.write_text(json.dumps(entry))


def relist(entry, folder, name):
    content = (folder / name).read_bytes()
    entry["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("engine", ["onnx", "sklearn"])
def test_every_engine_answers_as_the_model_that_was_trained(shared_models, digits, digits_run, engine):
    answer = shared_models.load("digits", engine=engine).probabilities(digits.test.images)
    expected = digits_run.model.predict_proba(to_input(digits.test.images, digits.input))
    assert np.abs(answer - expected).max() < 1e-5


def test_a_loaded_version_knows_itself(shared_models):
    predictor = shared_models.load("digits")
    assert (predictor.name, predictor.version, len(predictor.labels)) == ("digits", 1, 10)
    assert predictor.info["description"] == "Read handwritten digits"
    assert type(predictor.engine).__name__ == "OnnxEngine"


def test_an_engine_that_reads_none_of_the_files(shared_models):
    with pytest.raises(WrongUsage, match="nothing for an engine 'keras'"):
        shared_models.load("digits", engine="keras")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit(models, name):
    path = models.root / "digits/1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=rf"{name} .*SHA-256"):
        models.load("digits")


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(models, name):
    path = models.root / "digits/1" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedArtifact, match=rf"{name} .*size"):
        models.load("digits")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(models, name):
    (models.root / "digits/1" / name).unlink()
    with pytest.raises(DamagedArtifact, match=name):
        models.load("digits")


@pytest.mark.parametrize("name", FILES)
def test_a_symlink_in_place_of_a_file_even_to_the_same_bytes(models, name, tmp_path):
    path = models.root / "digits/1" / name
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedArtifact, match=name):
        models.load("digits")


def test_a_folder_or_a_pipe_in_place_of_a_file(models):
    path = models.root / "digits/1/model.onnx"
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedArtifact, match=r"model\.onnx"):
        models.load("digits")
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(DamagedArtifact, match=r"model\.onnx"):
        models.load("digits")


def test_files_that_the_manifest_does_not_list_do_no_harm(models):
    (models.root / "digits/1/evidence").mkdir()
    (models.root / "digits/1/evidence/report.json").write_text("{}")
    assert models.load("digits").version == 1


@pytest.mark.parametrize("engine", ["onnx", "sklearn"])
def test_a_model_that_answers_differently(models, engine, forge_golden):
    def change(arrays):
        arrays["outputs.0"][3, 4] += 1e-3

    forge_golden(change)
    with pytest.raises(DamagedArtifact, match="differs by"):
        models.load("digits", engine=engine)


@pytest.mark.parametrize("engine", ["onnx", "sklearn"])
def test_junk_whose_hash_is_right(models, engine):
    folder = models.root / "digits/1"
    for name in FILES:
        (folder / name).write_bytes(b"no model at all")
        forge(models, lambda entry, name=name: relist(entry, folder, name))
    with pytest.raises((DamagedArtifact, UnsafeFile)):
        models.load("digits", engine=engine)


def test_a_model_of_another_shape_whose_hash_is_right(models):
    def change(entry):
        entry["inputs"][0]["shape"] = [4, 16]

    forge(models, change)
    with pytest.raises(DamagedArtifact, match="cannot be loaded by the onnx engine"):
        models.load("digits")


def test_an_engine_that_nobody_knows(models):
    forge(models, lambda entry: entry.update(engine="magic"))
    with pytest.raises(WrongUsage, match="'magic'"):
        models.load("digits")


def test_what_was_hashed_is_what_is_loaded(models, monkeypatch):
    """The files may change after the hashes were checked: the bytes that were checked are loaded."""
    found = models.get("digits")
    read = versions.ModelVersion.read

    def read_then_replace(self):
        files = read(self)
        (self.path / "model.onnx").write_bytes(b"replaced")
        return files

    monkeypatch.setattr(versions.ModelVersion, "read", read_then_replace)
    assert versions.load_version(found).version == 1


def test_other_versions_matter_only_where_keras_reads(models):
    forge(models, lambda entry: entry["versions"].update(keras="2.15.0"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.load("digits", engine="onnx", on_mismatch="error").version == 1


@pytest.mark.parametrize("on_mismatch", ["warn", "error", "ignore"])
def test_the_comparison_of_versions(models, on_mismatch):
    forge(models, lambda entry: entry["versions"].update(keras="2.15.0"))
    found = models.get("digits")
    if on_mismatch == "error":
        with pytest.raises(IncompatibleFile, match=r"Keras 2\.15\.0"):
            versions._compare_versions(found, on_mismatch)
    elif on_mismatch == "warn":
        with pytest.warns(UserWarning, match=r"Keras 2\.15\.0"):
            versions._compare_versions(found, on_mismatch)
    else:
        versions._compare_versions(found, on_mismatch)


def test_representations(shared_models):
    found = shared_models.get("digits")
    assert str(found) == "digits v1"
    assert found.to_dict()["path"] == str(found.path)
    assert "Read handwritten digits" in found._repr_html_()
    assert "4,810" in found._repr_html_()
