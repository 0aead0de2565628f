import json
import socket

import pytest

from mlops_lab.data import sources
from mlops_lab.doctor import examine, machine


def find(checkup, name):
    return next(finding for finding in checkup.findings if finding.name == name)


def test_a_working_environment(shared_models):
    checkup = examine(shared_models.root, port=0)
    assert checkup.passed
    assert find(checkup, "models").message == "digits v1"
    assert find(checkup, "Fashion-MNIST").state == "passed"
    assert find(checkup, "onnxruntime").state == "passed"


def test_no_models_is_a_warning_with_a_way_out(tmp_path):
    checkup = examine(tmp_path / "models")
    assert checkup.passed
    assert find(checkup, "models").state == "warning"
    assert f"models: There are no models in {tmp_path / 'models'}. → mlops-lab train publishes one." in str(checkup)


def test_a_damaged_model_is_an_error(models):
    (models.root / "digits/1/manifest.json").write_text("{}")
    checkup = examine(models.root)
    assert not checkup.passed
    assert "manifest.json" in find(checkup, "models").message


def test_damaged_data_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "FASHION_MNIST", tmp_path)
    checkup = examine(tmp_path)
    assert not checkup.passed
    assert "train-images" in find(checkup, "Fashion-MNIST").message


def test_a_port_in_use_is_a_warning(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = find(examine(tmp_path, port), f"port {port}")
        assert taken.state == "warning" and "a server in a thread of this process" in taken.message
    assert find(examine(tmp_path, port), f"port {port}").state == "passed"


def test_missing_packages_are_warnings_with_install_lines(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "installed", lambda name: None)
    checkup = examine(tmp_path)
    assert find(checkup, "TensorFlow and Keras").hint == "pip install tensorflow"
    assert find(checkup, "onnxruntime").hint == "pip install onnxruntime"
    assert checkup.passed


def test_tensorflow_and_keras_that_do_not_fit(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "installed", lambda name: {"tensorflow": "2.21.0", "keras": "2.15.0"}.get(name))
    monkeypatch.setattr(machine.metadata, "requires", lambda name: ["h5py", "keras>=3.12.0"])
    pair = find(examine(tmp_path), "TensorFlow and Keras")
    assert (pair.state, pair.hint) == ("warning", "pip install 'keras>=3.12.0'")
    monkeypatch.setattr(machine, "installed", lambda name: {"tensorflow": "2.21.0", "keras": "3.15.1"}.get(name))
    assert find(examine(tmp_path), "TensorFlow and Keras").state == "passed"


def test_the_variable_that_brings_keras_2_back(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "installed", lambda name: "9")
    monkeypatch.setattr(machine.metadata, "requires", lambda name: [])
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    assert "TF_USE_LEGACY_KERAS" in find(examine(tmp_path), "TensorFlow and Keras").message


@pytest.mark.parametrize(("free", "state"), [(10, "warning"), (2 * 1024**3, "passed")])
def test_a_full_disk(monkeypatch, tmp_path, free, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: type("usage", (), {"free": free}))
    assert find(examine(tmp_path), "disk").state == state


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert "not writable" in find(examine(tmp_path / "models"), "disk").message


def test_representations(tmp_path):
    checkup = examine(tmp_path)
    assert json.loads(json.dumps(checkup.to_dict()))["passed"] is True
    assert str(checkup).startswith("passed   Python: 3.")
    assert "This environment is ready" in checkup._repr_html_()
