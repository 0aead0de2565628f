import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mlops_lab.errors import UnsafeFile
from mlops_lab.store import trial
from mlops_lab.store.trial import TrialLimits, TrialReport, trial_load

FILES = Path(__file__).parents[1] / "data" / "keras-matrix" / "files"
LENET = FILES / "3.15.1_lenet.keras"
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="this limit exists on Linux only")


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Return a function that puts a script in the place of the child that loads models."""

    def use(body):
        script = tmp_path / "child.py"
        script.write_text(f"import os, sys, json, time\nsys.stdin.buffer.read(16)\n{body}\n")
        monkeypatch.setattr(trial, "CHILD", script)

    return use


@pytest.mark.tensorflow
def test_a_good_file_loads_and_gives_its_golden_answer():
    inputs = np.random.RandomState(0).rand(4, 28, 28, 1).astype("float32")
    report = trial_load(LENET.read_bytes(), golden=(inputs, np.load(FILES / "3.15.1_lenet.npy")))
    assert (report.passed, report.code, report.parameters) == (True, "ok", 44_426)
    assert report.output_shape == "(None, 10)"
    report.require_passed()


@pytest.mark.tensorflow
def test_another_answer_than_the_golden_one_is_told():
    inputs = np.zeros((1, 28, 28, 1), "float32")
    report = trial_load(LENET.read_bytes(), golden=(inputs, np.full((1, 10), 0.5, "float32")))
    assert (report.passed, report.code) == (False, "trial_golden")


@pytest.mark.tensorflow
def test_a_file_that_keras_refuses_is_told_in_one_line():
    report = trial_load((FILES / "tf2.15_lenet.keras").read_bytes())
    assert (report.passed, report.code) == (False, "trial_load")
    assert "batch_input_shape" in report.reason
    assert "\n" not in report.reason


@pytest.mark.tensorflow
def test_a_lambda_does_not_run_in_the_child(tmp_path):
    import hostile_base
    import hostile_configs

    canary = tmp_path / "canary"
    case = next(case for case in hostile_configs.cases(canary) if case.name == "config_lambda_marshal.keras")
    report = trial_load(case.content)
    assert (report.passed, canary.exists()) == (False, False)
    assert hostile_base.keras()


@pytest.mark.tensorflow
def test_weights_with_nan_are_told():
    import hostile_base

    weights = hostile_base.h5(lambda file: file["layers/dense/vars/0"].write_direct(np.full((256, 120), np.nan, "f4")))
    report = trial_load(hostile_base.keras(weights=weights))
    assert report.code == "weights_not_finite"


@linux_only
def test_too_much_memory_ends_the_child(child):
    child("held = bytearray(400 << 20)\ntime.sleep(30)")
    report = trial_load(b"x", limits=TrialLimits(memory_bytes=100 << 20))
    assert (report.passed, report.code) == (False, "trial_memory")


def test_too_much_time_ends_the_child(child):
    child("time.sleep(60)")
    report = trial_load(b"x", limits=TrialLimits(wall_seconds=0.3))
    assert (report.passed, report.code) == (False, "trial_timeout")


def test_a_flood_of_output_is_cut_off(child):
    child("while True: sys.stdout.write('x' * 65536)")
    assert trial_load(b"x").code == "trial_answer"


@pytest.mark.parametrize(
    "body", ["os._exit(0)", "os.abort()", "print('[]')", "print('{\"passed\": 1}')", "print('{' * 9000)"]
)
def test_an_end_without_a_proper_answer_is_no_success(child, body):
    child(body)
    report = trial_load(b"x")
    assert (report.passed, report.code) == (False, "trial_crash")


def test_the_childs_environment_is_empty(child, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("MY_SECRET", "s3cret")
    child("print(json.dumps({'passed': False, 'code': 'x', 'reason': ' '.join(sorted(os.environ))}))")
    reason = trial_load(b"x").reason
    assert "HOME" in reason
    assert "PROXY" not in reason and "SECRET" not in reason


def limited_child(body):
    """Return a child that sets its limits as the real one does, and then does something else."""
    path = str(Path(trial.__file__).parent)
    limits = "{'cpu_seconds': 1, 'address_bytes': 1 << 30, 'size': 1000}"
    return f"sys.path.insert(0, {path!r})\nimport trial_child\nnotes = trial_child.limit({limits})\n{body}"


@linux_only
def test_processor_time_is_limited(child):
    child(limited_child("while True: pass"))
    assert trial_load(b"x", limits=TrialLimits(cpu_seconds=1)).code == "trial_cpu"


@linux_only
def test_address_space_and_file_size_are_limited(child):
    child(
        limited_child(
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nfound = []\n"
            "try: bytearray(2 << 30)\nexcept MemoryError: found.append('memory')\n"
            "try:\n    with open('big', 'wb') as f: f.write(bytes(3 << 20))\nexcept OSError: found.append('file')\n"
            "print(json.dumps({'passed': False, 'code': 'x', 'reason': ' '.join(found)}))"
        )
    )
    assert trial_load(b"x").reason == "memory file"


@linux_only
def test_the_network_is_cut_off_or_the_report_says_that_it_is_not(child):
    child(
        limited_child(
            "import socket\nhost = socket.socket()\nfound = 'open'\n"
            "try:\n    host.settimeout(2); host.connect(('127.0.0.1', 9))\n"
            "except OSError as error: found = type(error).__name__ + str(error.errno)\n"
            "print(json.dumps({'passed': False, 'code': 'x', 'reason': found, 'notes': notes}))"
        )
    )
    report = trial_load(b"x")
    unreachable = "OSError101" in report.reason
    assert unreachable != (trial.NET in report.notes)


def test_the_report_has_three_faces():
    report = TrialReport(False, "trial_load", "<b>no</b>", notes=("a note",))
    assert json.loads(json.dumps(report.to_dict()))["notes"] == ["a note"]
    assert "<b>" not in report._repr_html_()
    with pytest.raises(UnsafeFile) as caught:
        report.require_passed()
    assert caught.value.code == "trial_load"


def test_the_child_is_where_the_package_says():
    assert hashlib.sha256(trial.CHILD.read_bytes()).hexdigest()


def test_an_onnx_model_is_tried_with_zeros(shared_models):
    data = (shared_models.root / "digits/1/model.onnx").read_bytes()
    report = trial_load(data, format="onnx")
    assert (report.passed, report.code) == (True, "ok"), report
    assert "10" in report.output_shape


def test_what_onnx_runtime_does_not_take_fails_its_trial():
    assert trial_load(b"\x08\x08\x12\x07tf2onnx", format="onnx").code == "trial_load"


def test_an_onnx_model_of_texts_is_run_too():
    from onnx import TensorProto, helper

    info = [helper.make_tensor_value_info(name, TensorProto.STRING, ["N", 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", info[:1], info[1:])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    report = trial_load(model.SerializeToString(), format="onnx")
    assert (report.passed, report.reason) == (True, ""), report


@pytest.mark.parametrize("kind", ["FLOAT", "UINT16"])
def test_an_onnx_model_that_grows_is_stopped_whatever_it_takes(kind):
    from onnx import TensorProto, helper, numpy_helper

    times = numpy_helper.from_array(np.array([20_000, 20_000], np.int64), "t")
    info = [helper.make_tensor_value_info(name, getattr(TensorProto, kind), ["N", 1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Tile", ["x", "t"], ["y"])], "g", [info[0]], [info[1]], [times])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    report = trial_load(model.SerializeToString(), format="onnx", limits=TrialLimits(memory_bytes=300_000_000))
    assert (report.passed, report.code) == (False, "trial_memory")
