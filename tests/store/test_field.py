"""Files that people met elsewhere and that tools like this one judged wrongly: each with what must be said of it."""

from pathlib import Path

import pytest

from mlops_lab.store import check

FIELD = Path(__file__).parents[1] / "data" / "field"
HERE = "keras==3.15.1"


def told(report):
    return " ".join([*report.reasons, report.hint, *(f"{found.message} {found.hint}" for found in report.findings)])


@pytest.mark.parametrize(
    "name",
    [
        "unzipped-model", "hashing.keras", "lora-dense.keras", "layer-name-cyrillic.keras", "augment.keras",
        "model-name-with-space.keras", "zipped-again.keras", "normalization-adapted.keras", "mixed-float16.keras",
    ],
)  # fmt: skip
def test_a_good_keras_model_loads_and_is_safe(name):
    report = check(FIELD / name, HERE)
    assert (report.loads, report.safe, report.reasons) == (True, True, ()), str(report)


@pytest.mark.parametrize("name", ["onnx-without-suffix", "unused-opset-import.onnx", "local-function.onnx"])
def test_a_good_onnx_file_loads_and_is_safe_whatever_its_name(name):
    report = check(FIELD / name)
    assert (report.format, report.loads, report.safe) == ("onnx", True, True), str(report)


@pytest.mark.parametrize(
    ("name", "named", "hint"),
    [
        ("regression-mse.h5", "'mse'", "compile=False"),
        ("custom-loss.keras", "'dice_loss'", "compile=False"),
        ("adam-lr-keras2.2.h5", "'lr' of Adam", "compile=False"),
    ],
)
def test_where_only_compile_stands_in_the_way_the_hint_is_to_leave_it_out(name, named, hint):
    report = check(FIELD / name, HERE)
    assert (report.loads, report.loads_without_compile, report.safe) == (False, True, True)
    assert named in report.reasons[0]
    assert hint in report.hint
    assert "with compile=False it does" in str(report)


def test_a_function_of_ones_own_is_no_code_in_the_file():
    assert "its name only, not its code" in check(FIELD / "custom-loss.keras", HERE).reasons[0]


def test_an_archive_under_the_name_of_an_h5_file_does_not_load_until_it_is_renamed():
    report = check(FIELD / "zip-inside.h5", HERE)
    assert (report.loads, report.loads_without_compile) == (False, False)
    assert "A .keras file is inside" in report.reasons[0]
    assert report.hint.startswith("mv ") and report.hint.endswith("zip-inside.keras")


def test_operators_are_not_taken_for_layers_of_the_same_name():
    report = check(FIELD / "scaled-by-operators.h5", HERE)
    assert (report.loads, report.loads_without_compile) == (False, False)
    assert "layer Multiply" in report.reasons[0] and "layer Add" in report.reasons[1]


def test_a_policy_of_another_time_is_named_with_its_layer():
    report = check(FIELD / "mixed-precision-tf2.4.h5", HERE)
    assert (report.loads, report.loads_without_compile) == (False, False)
    assert "layer 'dense'" in report.reasons[0] and "Policy ('mixed_float16')" in report.reasons[0]


def test_a_lambda_under_an_activation_neither_loads_nor_is_safe():
    report = check(FIELD / "activation-lambda.keras", HERE)
    assert (report.loads, report.safe, report.code) == (False, False, "python_lambda")
    assert "'activation'" in report.findings[0].message


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("lfs-pointer.keras", "Git LFS pointer", "git lfs pull"),
        ("web-page.h5", "web page", "download"),
        ("converted_keras.zip", "keras_model.h5", "Unpack it"),
        ("webp-named.png", "WebP", "PNG or JPEG"),
    ],
)
def test_what_is_no_model_is_called_by_its_name(name, what, remedy):
    report = check(FIELD / name)
    assert (report.loads, report.safe) == (False, False)
    assert what in report.reasons[0] and remedy in report.hint
    assert what in report.findings[0].message and remedy in report.findings[0].hint


def test_no_remedy_speaks_of_keras_where_the_file_is_of_another_format():
    for name in ("lfs-pointer.keras", "web-page.h5", "webp-named.png"):
        assert "Keras never writes" not in told(check(FIELD / name))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("batch-of-one.onnx", ["'x': float32 of shape [1, 1, 8, 8]", "takes one example at a time", "dynamic_axes"]),
        ("embedding-before-probabilities.onnx", ["'emb': float32", "'p': float32", "2 outputs of numbers: 'emb', 'p'"]),
        ("zipmap.onnx", ["'output_probability': list of dictionaries", "options={'zipmap': False}"]),
        ("uint8-input.onnx", ["'x': uint8 of shape [n, 1, 8, 8]", "takes uint8, not float32"]),
        ("unused-opset-import.onnx", ["It takes 'x': float32 of shape [n, 1, 8, 8], and answers 'p'"]),
    ],
)
def test_what_an_onnx_file_takes_and_answers_is_told(name, told):
    report = check(FIELD / name)
    assert (report.loads, report.safe, report.hint) == (True, True, "")
    said = " ".join(report.reasons)
    assert all(words in said for words in told), said


def test_a_link_that_the_user_names_is_followed(tmp_path):
    for name in ("lora-dense.keras", "unzipped-model"):
        (tmp_path / name).symlink_to(FIELD / name)
        report = check(tmp_path / name, HERE)
        assert (report.loads, report.safe) == (True, True), str(report)
