import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import hostile  # noqa: E402
import hostile_base  # noqa: E402
import hostile_others  # noqa: E402
import hostile_weights  # noqa: E402

from mlops_lab.errors import NotFound, UnsafeFile  # noqa: E402
from mlops_lab.store import safety  # noqa: E402
from mlops_lab.store.safety import allowed  # noqa: E402
from mlops_lab.store.safety.codes import CODES  # noqa: E402

FIXTURES = ROOT / "tests" / "data"
KERAS_FILES = sorted(FIXTURES.glob("keras-*/files/*.keras"))
H5_FILES = sorted(FIXTURES.glob("keras-*/files/*.h5"))
HOSTILE = hostile.corpus(Path(hostile.CANARY))  # what a file of it would write, were it run


@pytest.fixture
def no_keras(monkeypatch):
    """Any import of Keras or TensorFlow raises."""
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)


def test_the_corpus_is_large():
    assert len(HOSTILE) >= 160
    assert {case.code for case in HOSTILE} <= CODES.keys()


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile_file_is_refused_with_its_code(case, tmp_path, monkeypatch, no_keras):
    monkeypatch.chdir(tmp_path)
    report = safety.inspect(case.write(tmp_path))
    assert (report.safe, report.code) == (False, case.code), str(report)
    assert report.findings[0].message and report.findings[0].hint
    assert not (tmp_path / hostile.CANARY).exists()
    # What is safe has no findings, runs no code and costs no more than its bound.
    assert report.safe is (not report.findings)
    assert not (report.safe and (report.runs_code or not report.bounded))
    assert not (report.runs_code and report.bounded)


@pytest.mark.parametrize(
    ("name", "runs_code", "bounded"),
    [
        ("pickle_eval.pkl", True, False),
        ("onnx_unbounded_loop_by_data.onnx", False, False),
        ("zip_no_config.keras", False, True),
    ],
)
def test_the_report_tells_code_and_cost_apart(name, runs_code, bounded, tmp_path):
    report = safety.inspect(next(case for case in HOSTILE if case.name == name).write(tmp_path))
    assert (report.runs_code, report.bounded) == (runs_code, bounded)
    assert (report.to_dict()["runs_code"], report.to_dict()["bounded"]) == (runs_code, bounded)


def test_every_code_has_a_hostile_file():
    tested = {case.code for case in HOSTILE}
    # audit_failed is the net below the others, and h5_name and too_large have tests of their own.
    assert CODES.keys() - tested <= {"audit_failed", "h5_name", "too_large"}


@pytest.mark.parametrize("path", KERAS_FILES, ids=lambda path: path.name)
def test_files_of_every_keras_version_pass(path, no_keras):
    report = safety.audit(path)
    assert (report.format, report.code, report.needs_pin) == ("keras", "ok", False)


@pytest.mark.parametrize("path", H5_FILES, ids=lambda path: path.name)
def test_legacy_files_pass_but_need_a_pin(path, no_keras):
    report = safety.audit(path)
    assert (report.format, report.code, report.needs_pin) == ("legacy-h5", "ok", True)


def test_the_version_fixtures_are_there():
    assert len(KERAS_FILES) >= 17
    assert len(H5_FILES) >= 17


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (hostile_base.keras(), "keras"),
        (hostile_base.zipped([hostile_base.Member(m.name, m.data, method=8) for m in hostile_base.parts()]), "keras"),
        (hostile_others.onnx(), "onnx"),
        (hostile_weights.legacy(hostile_weights.plain(hostile_base.lenet_layers())), "legacy-h5"),
    ],
)
def test_the_good_files_under_the_hostile_ones_pass(data, format):
    report = safety.inspect(data)
    assert (report.safe, report.format, report.code) == (True, format, "ok")


def test_a_good_version_folder_passes(tmp_path):
    hostile_base.Case("v1", "ok", hostile_others.version({"model.keras": hostile_base.keras()})).write(tmp_path)
    (tmp_path / "v1" / "README.md").write_text("# a model card")
    report = safety.audit(tmp_path / "v1")
    assert (report.format, report.sha256) == ("version-folder", "")


def test_a_folder_whose_saver_saves_passes():
    saver = b"".join(hostile_others.field(n, text) for n, text in ((1, "f:0"), (2, "save:0"), (3, "restore")))
    node = hostile_others._graph_node("StatefulPartitionedCall", "save", "keep")
    keep = {"keep": [hostile_others._graph_node("SaveV2")]}
    files = hostile_others.saved_model([node], keep, hostile_others.field(3, saver))
    assert safety.inspect(safety.Source("saved", files=files, folder=True)).code == "ok"


def test_the_format_comes_from_the_content_not_the_name(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(hostile_base.keras())
    assert safety.inspect(path).format == "keras"


def test_audit_raises_with_the_code_of_the_finding():
    with pytest.raises(UnsafeFile) as caught:
        safety.audit(hostile_base.keras(metadata=b"junk"))
    assert caught.value.code == "json_syntax"
    assert caught.value.hint == CODES["json_syntax"]


def test_several_findings_are_all_told():
    layers = hostile_base.lenet_layers()
    layers += [hostile_base.layer("Lambda", "one"), hostile_base.layer("TFSMLayer", "two")]
    config = hostile_base.config_bytes(hostile_base.model(layers))
    report = safety.inspect(hostile_base.keras(config=config))
    assert [item.code for item in report.findings] == ["lambda_layer", "tfsm_layer"]
    assert "'two'" in report.findings[1].where


def test_the_report_has_three_faces():
    report = safety.inspect(hostile_base.keras(metadata=b'{"keras_version": "<b>"}'))
    assert json.loads(json.dumps(report.to_dict()))["code"] == "metadata"
    assert "refused" in str(report)
    assert "&lt;b&gt;" in report._repr_html_()
    assert "<b>" not in report._repr_html_()


def test_what_a_file_names_is_printed_on_one_line():
    report = safety.inspect(hostile_base.keras(metadata=b'{"keras_version": "\\u001b[31m\\n"}'))
    assert str(report).isprintable() is False  # its own line breaks
    assert "\x1b" not in str(report)


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "big.keras"
    with open(path, "wb") as file:
        file.truncate(safety.COURSE_LIMIT + 1)
    assert safety.inspect(path).code == "too_large"
    assert safety.inspect(path, max_bytes=2 * safety.COURSE_LIMIT).code == "unknown_format"


def test_an_h5_name_that_cannot_be_printed_is_refused():
    weights = hostile_base.h5(lambda file: file.create_group("layers/dense/\x1b"))
    assert safety.inspect(hostile_base.keras(weights=weights)).code == "h5_name"


def test_the_bytes_that_were_judged_are_the_bytes_that_are_loaded(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(hostile_base.keras())
    source = safety.read(path)
    path.write_bytes(b"swapped")
    report = safety.audit(source)
    assert report.sha256 == hashlib.sha256(source.data).hexdigest()


def test_a_link_inside_a_folder_is_not_followed(tmp_path):
    (tmp_path / "saved_model.pb").symlink_to("/etc/hostname")
    with pytest.raises(UnsafeFile) as caught:
        safety.read(tmp_path)
    assert caught.value.code == "symlink"


def test_a_missing_file_is_a_verdict_too(tmp_path):
    assert safety.inspect(tmp_path / "nothing.keras").code == "not_a_file"
    with pytest.raises(NotFound, match=r"nothing\.keras"):
        safety.read(tmp_path / "nothing.keras")


def test_pin_accepts_only_the_trusted_bytes():
    data = b"a pickle, say"
    digest = hashlib.sha256(data).hexdigest()
    safety.require_pin(data, trust=True, sha256=digest.upper())
    for wrong in ({}, {"trust": True}, {"sha256": digest}, {"trust": 1, "sha256": digest}):
        with pytest.raises(UnsafeFile) as caught:
            safety.require_pin(data, **wrong)
        assert caught.value.code == "needs_pin"
    with pytest.raises(UnsafeFile) as caught:
        safety.require_pin(data + b"!", trust=True, sha256=digest)
    assert caught.value.code == "wrong_pin"


def test_the_audit_imports_neither_keras_nor_tensorflow():
    code = (
        "import sys; from mlops_lab.store import safety; safety.audit(sys.argv[1]);"
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'skops', 'onnx'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code, KERAS_FILES[0]], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def sklearn_models():
    from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kinds = [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GaussianNB(),
        KNeighborsClassifier(algorithm="brute"),
    ]
    return [*kinds, SGDClassifier(), MLPClassifier((4,), solver="lbfgs"), MLPClassifier((4,), max_iter=300), Ridge()]


def fitted(model):
    import warnings

    import numpy as np

    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few steps to converge is fine here
        return model.fit(random.normal(size=(40, 4)).astype("float32"), np.arange(40) % 2)


@pytest.mark.parametrize("model", sklearn_models(), ids=lambda model: type(model).__name__)
def test_good_scikit_learn_models_pass(model):
    from skl2onnx import to_onnx
    from skops import io as skops

    fitted(model)
    assert safety.audit(skops.dumps(model)).format == "skops"
    graph = to_onnx(model, __import__("numpy").zeros((1, 4), "float32")).SerializeToString()
    assert safety.audit(graph).format == "onnx"


def sized(nodes, **constants):
    """Return an ONNX file whose sizes are constants: int64, or float32 where one is a fraction."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    arrays = {name: np.array(numbers) for name, numbers in constants.items()}
    held = [
        numpy_helper.from_array(array.astype("float32" if array.dtype.kind == "f" else "int64"), name)
        for name, array in arrays.items()
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, 32, 32])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = [helper.make_node(operator, inputs.split(","), ["y" if i + 1 == len(nodes) else f"v{i}"], **more)
            for i, (operator, inputs, more) in enumerate(nodes)]  # fmt: skip
    return helper.make_model(helper.make_graph(made, "g", [x], [y], held)).SerializeToString()


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        # torch.nn.functional.pad: the pads are filled up with zeros, turned round, and cast.
        (
            [
                ("ConstantOfShape", "four", {}),
                ("Concat", "pads,v0", {"axis": 0}),
                ("Reshape", "v1,pairs", {}),
                ("Slice", "v2,last,first,axis,last", {}),
                ("Transpose", "v3", {"perm": [1, 0]}),
                ("Reshape", "v4,last", {}),
                ("Cast", "v5", {"to": 7}),
                ("Pad", "x,v6", {}),
            ],
            {"four": [4], "pads": [200] * 4, "pairs": [-1, 2], "last": [-1], "first": [-(2**63) + 1], "axis": [0]},
        ),
        # A batch of any size, and the rest of the shape up to its end.
        (
            [
                ("Shape", "x", {}),
                ("Slice", "v0,one,end", {}),
                ("Shape", "x", {}),
                ("Gather", "v2,zero", {"axis": 0}),
                ("Concat", "v3,v1", {"axis": 0}),
                ("Expand", "x,v4", {}),
            ],
            {"zero": [0], "one": [1], "end": [2**63 - 1]},
        ),
        # nn.Upsample: the sides of the input are multiplied, and the channels stay.
        (
            [
                ("Shape", "x", {}),
                ("Slice", "v0,two,four", {}),
                ("Cast", "v1", {"to": 1}),
                ("Mul", "v2,scale", {}),
                ("Floor", "v3", {}),
                ("Cast", "v4", {"to": 7}),
                ("Slice", "v0,zero,two", {}),
                ("Concat", "v6,v5", {"axis": 0}),
                ("Resize", "x,,,v7", {}),
            ],
            {"zero": [0], "two": [2], "four": [4], "scale": [16.0, 16.0]},
        ),
        ([("Resize", "x,,scales", {})], {"scales": [1.0, 1.0, 0.5, 64.0]}),
        ([("Resize", "x,,,sizes", {})], {"sizes": [1, 3, 2048, 2048]}),
        # torch's expand: -1 stands for the size that is there.
        (
            [
                ("ConstantOfShape", "four", {}),
                ("Mul", "v0,minus", {}),
                ("Equal", "shape,v1", {}),
                ("Where", "v2,v0,shape", {}),
                ("Expand", "x,v3", {}),
            ],
            {"four": [4], "minus": -1, "shape": [64, 3, 512, 512]},
        ),
        ([("Range", "start,limit,delta", {})], {"start": 0, "limit": 10**12, "delta": 10**11}),
        ([("Range", "start,limit,delta", {})], {"start": 0.0, "limit": 1.0, "delta": 0.001}),
        ([("ConstantOfShape", "mask", {})], {"mask": [1, 1, 4096, 4096]}),
        ([("Tile", "x,times", {})], {"times": [1, 1, 16, 16]}),
    ],
)
def test_the_sizes_that_exporters_write_pass(nodes, constants):
    report = safety.inspect(sized(nodes, **constants))
    assert report.safe, str(report)


def test_trees_are_refused_as_skops_refuses_them():
    from sklearn.tree import DecisionTreeClassifier
    from skops import io as skops

    data = skops.dumps(fitted(DecisionTreeClassifier()))
    assert skops.get_untrusted_types(data=data) == ["sklearn.tree._tree.Tree"]
    assert safety.inspect(data).code == "skops_tree"


@pytest.mark.parametrize("case", [c for c in HOSTILE if c.code == "skops_untrusted"], ids=lambda case: case.name)
def test_skops_agrees_that_hostile_types_are_untrusted(case):
    from skops import io as skops

    with zipfile.ZipFile(io.BytesIO(case.content)) as archive:
        loaders = archive.read("schema.json").decode()
    try:
        untrusted = skops.get_untrusted_types(data=case.content)
    except (TypeError, KeyError, ValueError, AttributeError):
        return  # skops cannot even read it
    assert untrusted, loaders


def test_every_allowed_name_of_onnx_is_a_standard_operator():
    import onnx

    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas()}
    assert {(d, n) for d in allowed.parts("onnx") for n in allowed.names("onnx", d)} <= known


DANGEROUS = "Lambda TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer StringLookup IntegerLookup TextVectorization"


def test_what_holds_code_is_not_on_the_list():
    assert not set(DANGEROUS.split()) & allowed.keras_names()


@pytest.mark.tensorflow
def test_every_layer_of_keras_is_allowed_or_refused_on_purpose():
    import keras

    layers = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    on_the_list = {name for module, name in allowed.keras_classes() if module == "keras.layers"}
    assert layers - on_the_list == {*DANGEROUS.split(), "Layer", "Wrapper", "InputSpec"}


@pytest.mark.tensorflow
def test_the_list_is_what_the_tool_drafts():
    import allowed_names

    assert (
        allowed_names.draft()["keras_classes"]
        == json.loads((ROOT / "mlops_lab/store/safety/allowed.json").read_text())["keras_classes"]
    )


def keras_models():
    import keras
    from keras import layers

    def sequential(*rest):
        return keras.Sequential([keras.Input((16, 16, 3)), *rest])

    yield sequential(
        layers.Rescaling(1 / 255), layers.RandomFlip(seed=1), layers.RandomRotation(0.1), layers.Resizing(8, 8)
    )
    yield sequential(
        layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)
    )
    yield sequential(
        layers.SeparableConv2D(4, 3), layers.LayerNormalization(), layers.MaxPooling2D(2), layers.Flatten()
    )
    yield sequential(layers.DepthwiseConv2D(3), layers.GroupNormalization(1), layers.PReLU(), layers.UpSampling2D(2))
    yield sequential(layers.Conv2DTranspose(4, 3, strides=2), layers.ZeroPadding2D(1), layers.Cropping2D(1))
    yield sequential(layers.TimeDistributed(layers.Dense(4)), layers.GlobalAveragePooling2D(), layers.Softmax())
    yield sequential(
        layers.Reshape((16, 48)), layers.Bidirectional(layers.LSTM(4)), layers.RepeatVector(3), layers.GRU(4)
    )
    yield sequential(
        layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3), layers.Permute((3, 1, 2)), layers.Dense(2)
    )
    words = keras.Input((12,), dtype="int32")
    hidden = layers.Embedding(50, 8, mask_zero=True)(words)
    hidden = layers.LayerNormalization()(hidden + layers.MultiHeadAttention(2, 4)(hidden, hidden))
    model = keras.Model(words, layers.Dense(3, "softmax")(keras.ops.mean(hidden, axis=1)))
    model.compile("adam", keras.losses.sparse_categorical_crossentropy, metrics=["accuracy"])
    yield model


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2, not ours
def test_ordinary_keras_models_pass(tmp_path):
    for index, model in enumerate(keras_models()):
        model.save(tmp_path / f"{index}.keras")
        report = safety.inspect(tmp_path / f"{index}.keras")
        assert report.safe, f"{[layer.name for layer in model.layers]}: {report}"


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on NumPy 2, not ours
def test_what_keras_exports_passes(tmp_path):
    import keras

    lenet = keras.models.load_model(FIXTURES / "keras-matrix" / "files" / "3.15.1_lenet.keras", compile=False)
    lenet(__import__("numpy").zeros((1, 28, 28, 1), "float32"))
    lenet.export(tmp_path / "saved", verbose=False)
    report = safety.audit(tmp_path / "saved")
    assert (report.format, report.needs_pin) == ("saved-model", True)
