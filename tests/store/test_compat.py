import json
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.store import compat
from mlops_lab.store.compat import formats, keys, verdict

DATA = Path(__file__).parents[1] / "data"
LENET = DATA / "keras-matrix" / "files"
KINDS = DATA / "keras-kinds" / "files"
NEWEST = LENET / "3.15.1_lenet.keras"

# How Keras names the key in its error.
NAMED = re.compile(r"arguments(?: passed to \w+)?: \{?\[?'(\w+)'|unexpected keyword argument '(\w+)'")


def observations():
    for folder in ("keras-matrix", "keras-kinds"):
        observed = json.loads((DATA / folder / "observed.json").read_text())
        for reader, answers in observed.items():
            yield pytest.param(DATA / folder / "files", reader, answers, id=f"{folder}-{reader}")


# Each file is asked about by every reader, and read once.
read = cache(formats.read)


def target_of(reader):
    return keys.target(f"keras=={reader.replace('tf2.15', '2.15.0')}")


@pytest.mark.parametrize(("files", "reader", "answers"), list(observations()))
def test_every_cell_is_what_keras_answered(files, reader, answers):
    wrong = {}
    for name, answer in answers.items():
        found = verdict.incompatibilities(read(files / name), target_of(reader))
        if (not found) != (answer == "ok"):
            wrong[name] = (answer, [one.message for one in found])
    assert not wrong


@pytest.mark.parametrize(("files", "reader", "answers"), list(observations()))
def test_the_key_that_keras_names_is_named(files, reader, answers):
    for name, answer in answers.items():
        named = [key for pair in NAMED.findall(answer) for key in pair if key]
        found = {one.key for one in verdict.incompatibilities(read(files / name), target_of(reader))}
        assert set(named[-1:]) <= found, name


def test_the_matrix_is_whole():
    cells = [answer for param in observations() for answer in param.values[2].values()]
    assert len(cells) == 17 * 34 + 17 * 99
    assert 0 < sum(answer == "ok" for answer in cells) < len(cells)


def test_a_file_of_here_loads_here():
    report = compat.check(NEWEST, "keras==3.15.1")
    assert report.loads and report.safe
    assert report.reasons == () and report.hint == ""
    assert report.written_by == "keras==3.15.1"


def test_the_reason_names_layer_key_and_class_and_the_fix_is_a_command():
    report = compat.check(LENET / "3.13.2_lenet.keras", "keras==3.12.4")
    assert not report.loads
    assert "layer 'dense'" in report.reasons[0] and "'quantization_config' of Dense" in report.reasons[0]
    assert report.hint.startswith("mlops-lab migrate ") and report.hint.endswith("--for keras==3.12.4")


def test_an_h5_file_cannot_be_migrated_so_the_fix_is_an_install_line():
    assert compat.check(LENET / "3.15.1_lenet.h5", "keras==3.4.1").hint == 'pip install "keras==3.15.1"'


def test_a_file_of_keras_2_is_explained_to_keras_3():
    report = compat.check(LENET / "tf2.15_lenet.keras", "keras==3.15.1")
    assert "'batch_input_shape' of Conv2D" in report.reasons[0]
    assert "migrate" in report.hint


def test_a_graph_that_lost_a_call_is_told_apart_from_one_that_loads():
    report = compat.check(KINDS / "3.2.1_recur.keras", "keras==3.15.1")
    assert not report.loads and "other numbers" in report.reasons[0]


@pytest.mark.parametrize(
    ("asked", "row", "noted"),
    [
        ("keras==3.4.1", "3.4.1", False),
        ("keras==3.4.0", "3.4.1", True),
        ("keras==3.9.9", "3.9.2", True),
        ("keras==3.99.0", "3.15.1", True),
        ("keras==2.12.0", "2.15.0", True),
        ("tensorflow==2.15.1", "2.15.0", False),
        ("tensorflow==2.16.1", "3.0.5", True),
    ],
)
def test_a_version_that_is_not_in_the_table_is_stood_for_and_said_so(asked, row, noted):
    target = keys.target(asked)
    assert (target.row, bool(target.note)) == (row, noted)
    if noted:
        assert target.note in compat.check(NEWEST, asked).reasons


def test_a_target_that_is_no_target_is_refused():
    with pytest.raises(WrongUsage, match="torch"):
        compat.check(NEWEST, "torch==2.0")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"\x89HDF\r\n\x1a\nshort", b"hello"])
def test_a_damaged_file_is_a_report_and_no_crash(tmp_path, content):
    path = tmp_path / "model.keras"
    path.write_bytes(content)
    report = compat.check(path)
    assert (report.loads, report.format) == (False, "unknown")
    assert report.reasons and not report.safe


def test_a_file_that_is_not_there_is_an_error_of_one_sentence(tmp_path):
    with pytest.raises(StoreError, match=r"There is no file .*none\.keras\."):
        compat.check(tmp_path / "none.keras")


def test_what_must_not_be_loaded_is_said_before_whether_it_loads(tmp_path):
    def hide_code(config):
        config["config"]["layers"][1] |= {"class_name": "Lambda", "config": {"name": "spy", "function": {}}}

    report = compat.check(changed(tmp_path, hide_code))
    lines = str(report).splitlines()
    assert lines[1].startswith("✗ not safe: ") and lines[1].endswith(", so do not load it")
    assert report.hint == report.findings[0].hint and "load_model" not in report.hint
    assert report._repr_html_().index("so do not load it") < report._repr_html_().index(f"with {report.target}")
    assert "✓ loads" in str(compat.check(NEWEST)).splitlines()[1]


def changed(tmp_path, change):
    """Return a copy of the newest LeNet whose description was changed."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(NEWEST) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)
    return path


def test_an_activation_that_the_target_lacks_is_named(tmp_path):
    def change(config):
        config["config"]["layers"][1]["config"]["activation"] = "sparsemax"

    path = changed(tmp_path, change)
    assert compat.check(path, "keras==3.15.1").loads
    assert any("'sparsemax'" in reason for reason in compat.check(path, "keras==3.7.0").reasons)


def test_a_class_of_ones_own_is_named(tmp_path):
    def change(config):
        config["config"]["layers"][1].update(module=None, class_name="Mine", registered_name="pkg>Mine")

    report = compat.check(changed(tmp_path, change), "keras==3.15.1")
    assert not report.loads and "not part of Keras" in report.reasons[0]


def test_reports_have_three_faces():
    report = compat.check(LENET / "3.13.2_lenet.keras", "keras==3.12.4")
    assert list(report.to_dict()) == [
        "path", "format", "written_by", "target", "loads", "loads_without_compile", "reasons", "hint", "safe", "code",
        "runs_code", "bounded", "findings",
    ]  # fmt: skip
    assert json.loads(json.dumps(report.to_dict()))["loads"] is False
    assert "does not load" in report._repr_html_() and "<script" not in report._repr_html_()
    assert "✗ does not load with keras==3.12.4" in str(report)


def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 127
        out += bytes([low | (128 if number else 0)])
        if not number:
            return out


def block(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field, value):
    return varint(field << 3) + varint(value)


def saved_model(folder, version, min_consumer=12):
    graph = block(4, number(1, 2000) + number(2, min_consumer))
    meta = block(1, block(5, version.encode())) + block(2, graph)
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(number(1, 1) + block(2, meta))
    return folder


@pytest.mark.parametrize(
    ("writer", "min_consumer", "loads"),
    [("2.15.1", 12, True), ("2.21.0", 12, True), ("2.21.0", 9999, False), ("1.15.0", 12, True)],
)
def test_a_saved_model_is_judged_by_its_own_numbers(tmp_path, writer, min_consumer, loads):
    report = compat.check(saved_model(tmp_path / "saved", writer, min_consumer), "tensorflow==2.16.1")
    assert (report.format, report.written_by, report.loads) == ("saved_model", f"tensorflow=={writer}", loads)
    assert bool(report.hint) is not loads


@pytest.mark.parametrize(("opset", "ir", "loads"), [(13, 8, True), (99, 8, False), (13, 99, False)])
def test_an_onnx_file_is_judged_by_its_operator_set_and_version(tmp_path, opset, ir, loads):
    path = tmp_path / "model.onnx"
    path.write_bytes(number(1, ir) + block(2, b"tf2onnx") + block(3, b"1.17 None") + block(8, number(2, opset)))
    report = compat.check(path)
    assert (report.loads, report.written_by) == (loads, "tf2onnx==1.17")
    assert report.target.startswith("onnxruntime==")
    assert len(report.reasons) == (0 if loads else 1)


@pytest.mark.parametrize(("protocol", "loads"), [(0, True), (2, True), (99, False), ("x", False)])
def test_a_skops_file_is_judged_by_its_protocol(tmp_path, protocol, loads):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps({"protocol": protocol, "_skops_version": "0.16.0"}))
    report = compat.check(path)
    assert (report.format, report.loads) == ("skops", loads)
    assert report.target.startswith("skops==")


def test_a_version_folder_is_judged_by_its_model(tmp_path):
    (tmp_path / "model.keras").write_bytes(NEWEST.read_bytes())
    manifest = {"format": 1, "versions": {"tensorflow": "2.21.0"}, "files": {"model.keras": {}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    report = compat.check(tmp_path, "keras==3.12.4")
    assert (report.format, report.loads) == ("version", False)
    assert "tensorflow==2.21.0" in report.written_by
    (tmp_path / "model.keras").unlink()
    assert "not there" in compat.check(tmp_path, "keras==3.15.1").reasons[0]


def test_whoever_names_a_part_of_a_saved_model_is_told_its_folder(tmp_path):
    folder = saved_model(tmp_path / "saved", "2.16.1")
    with pytest.raises(WrongUsage) as caught:
        compat.check(folder / "saved_model.pb")
    assert str(folder) in caught.value.hint


def test_a_finding_says_which_file_it_is_about(tmp_path):
    (tmp_path / "model.onnx").write_bytes(number(1, 8) + block(2, b"x") + block(8, number(2, 13)))
    manifest = {"format": 1, "versions": {}, "files": {"model.onnx": {"size": 1, "sha256": "0" * 64}}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    report = compat.check(tmp_path)
    assert report.target.startswith("onnxruntime==")
    assert "[model.onnx]" in str(report)


def test_checking_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys; from mlops_lab.store import compat\n"
        f"assert not compat.check({str(NEWEST)!r}, 'keras==3.4.1').loads\n"
        "print([m for m in ('tensorflow', 'keras', 'onnxruntime', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
