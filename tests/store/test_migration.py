import json
import zipfile
from pathlib import Path

import pytest

from mlops_lab.errors import IncompatibleFile, StoreError, WrongUsage
from mlops_lab.store import compat
from mlops_lab.store.compat import keys, migrate

DATA = Path(__file__).parents[1] / "data"
LENET = DATA / "keras-matrix" / "files"
KINDS = DATA / "keras-kinds" / "files"
OLD, NEW = LENET / "tf2.15_lenet.keras", LENET / "3.15.1_lenet.keras"


def config(path):
    return json.loads(zipfile.ZipFile(path).read("config.json"))


def changed(tmp_path, change, source=NEW):
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        description = json.loads(old.read("config.json"))
        change(description)
        for name in old.namelist():
            new.writestr(name, json.dumps(description) if name == "config.json" else old.read(name))
    return path


@pytest.mark.parametrize("row", keys.versions())
@pytest.mark.parametrize("source", [OLD, NEW, KINDS / "3.15.1_emb.keras", KINDS / "2.15.0_tower.keras"])
def test_what_was_migrated_loads_by_the_table(tmp_path, source, row):
    out = tmp_path / "out.keras"
    migrate(source, out, f"keras=={row}", verify=False)
    report = compat.check(out, f"keras=={row}")
    assert report.loads and report.safe
    assert report.written_by == f"keras=={row}"


def test_the_weights_are_the_same_bytes(tmp_path):
    out = tmp_path / "out.keras"
    migrate(NEW, out, "keras==3.4.1", verify=False)
    old, new = (zipfile.ZipFile(path) for path in (NEW, out))
    assert new.namelist() == old.namelist()
    assert new.read("model.weights.h5") == old.read("model.weights.h5")
    assert "quantization_config" not in new.read("config.json").decode()


def test_a_graph_of_keras_2_becomes_one_of_keras_3(tmp_path):
    out = tmp_path / "out.keras"
    migrate(KINDS / "2.15.0_recur.keras", out, "keras==3.15.1", verify=False)
    layers = {layer["name"]: layer for layer in config(out)["config"]["layers"]}
    node = layers["simple"]["inbound_nodes"][0]
    assert node["args"][0]["config"]["keras_history"] == ["inner", 0, 0]
    assert [one["config"]["keras_history"][1] for one in layers["join"]["inbound_nodes"][0]["args"][0]] == [0, 0, 1]
    assert config(out)["config"]["output_layers"] == ["out", 0, 0]


def test_a_key_that_says_something_is_refused_by_name(tmp_path):
    def change(description):
        description["config"]["layers"][-1]["config"]["quantization_config"] = {"mode": "int8"}

    path = changed(tmp_path, change)
    with pytest.raises(IncompatibleFile, match=r"layer 'dense_2'.*'quantization_config' for Dense"):
        migrate(path, tmp_path / "out.keras", "keras==3.12.4", verify=False)
    assert not (tmp_path / "out.keras").exists()


def test_an_initializer_that_says_something_is_refused_by_name(tmp_path):
    def change(description):
        description["config"]["layers"][1]["config"]["kernel_initializer"]["config"]["input_axes"] = [0]

    with pytest.raises(IncompatibleFile, match=r"layer 'conv2d'.*'input_axes' for GlorotUniform"):
        migrate(changed(tmp_path, change), tmp_path / "out.keras", "keras==3.14.1", verify=False)


def test_a_layer_that_the_target_lacks_is_refused_by_name(tmp_path):
    def change(description):
        layer = description["config"]["layers"][1]
        layer["class_name"], layer["config"] = "RMSNormalization", {"name": "norm"}

    with pytest.raises(IncompatibleFile, match=r"layer 'norm'.*no RMSNormalization"):
        migrate(changed(tmp_path, change), tmp_path / "out.keras", "keras==3.4.1", verify=False)


@pytest.mark.parametrize(
    ("source", "target"), [("2.15.0_sink", "keras==3.15.1"), ("3.15.1_sink", "tensorflow==2.15.1")]
)
def test_attention_keeps_its_weights_elsewhere_in_keras_2(tmp_path, source, target):
    with pytest.raises(IncompatibleFile, match=r"layer 'attention'.*weights of MultiHeadAttention"):
        migrate(KINDS / f"{source}.keras", tmp_path / "out.keras", target, verify=False)


def test_a_graph_that_keras_2_cannot_say_is_refused_by_name(tmp_path):
    with pytest.raises(IncompatibleFile, match="layer 'not_equal'"):
        migrate(KINDS / "3.15.1_recur.keras", tmp_path / "out.keras", "tensorflow==2.15.1", verify=False)


def test_nothing_is_overwritten_unless_told(tmp_path):
    out = tmp_path / "out.keras"
    out.write_bytes(b"mine")
    with pytest.raises(StoreError, match="there already"):
        migrate(NEW, out, "keras==3.4.1", verify=False)
    assert out.read_bytes() == b"mine"
    migrate(NEW, out, "keras==3.4.1", verify=False, overwrite=True)
    assert zipfile.is_zipfile(out)


def test_a_file_is_not_migrated_onto_itself(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(NEW.read_bytes())
    with pytest.raises(StoreError, match="the file itself"):
        migrate(path, path, "keras==3.4.1", overwrite=True)


@pytest.mark.parametrize(("source", "out"), [(LENET / "3.15.1_lenet.h5", "out.keras"), (NEW, "out.h5")])
def test_only_keras_files_are_migrated(tmp_path, source, out):
    with pytest.raises((StoreError, WrongUsage), match=r"\.keras"):
        migrate(source, tmp_path / out, "keras==3.4.1", verify=False)


def test_a_report_says_what_was_not_verified(tmp_path):
    report = migrate(NEW, tmp_path / "out.keras", "keras==3.4.1", verify=False)
    assert report.difference is None and report.not_verified
    assert "Dense: 'quantization_config' left out (3×)" in report.changes
    assert json.loads(json.dumps(report.to_dict()))["target"] == "keras==3.4.1"
    assert "not verified" in report._repr_html_() and "GlorotUniform" in str(report)


@pytest.mark.tensorflow
@pytest.mark.parametrize("target", ["keras==3.4.1", "tensorflow==2.15.1"])
def test_predictions_are_compared_where_keras_reads_the_source(tmp_path, target):
    report = migrate(NEW, tmp_path / "out.keras", target)
    assert report.difference is not None and report.difference <= 1e-6
    assert any("predictions differ" in what for what in report.verified)
    assert any("not installed here" in what for what in report.not_verified)


@pytest.mark.tensorflow
def test_where_keras_cannot_read_the_source_the_report_says_so(tmp_path):
    report = migrate(OLD, tmp_path / "out.keras")
    assert report.difference is None
    assert any("it loads and predicts" in what for what in report.verified)
    assert any("cannot read the source" in what for what in report.not_verified)


@pytest.mark.tensorflow
def test_a_file_that_does_not_load_is_not_written(tmp_path):
    def change(description):
        description["config"]["layers"][1]["config"]["filters"] = 7

    with pytest.raises(IncompatibleFile, match="was not written"):
        migrate(changed(tmp_path, change), tmp_path / "out.keras", "keras==3.4.1")
    assert not (tmp_path / "out.keras").exists()
