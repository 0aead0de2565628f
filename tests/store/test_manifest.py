import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_lab.errors import DamagedArtifact, LabError
from mlops_lab.inputs import InputSpec
from mlops_lab.signature import OutputSpec, Signature
from mlops_lab.store import ModelStore
from mlops_lab.store.golden_arrays import Golden, from_bytes
from mlops_lab.store.manifest import FORMAT, MAX_BYTES, ModelManifest

MANIFESTS = Path(__file__).parents[1] / "data" / "manifests"


@pytest.fixture(scope="module")
def text(shared_models):
    return (shared_models.root / "digits/1/manifest.json").read_bytes()


@pytest.fixture
def entry(text):
    return json.loads(text)


@pytest.fixture
def first():
    """The entries of a manifest of format 1, which held its golden examples itself."""
    return json.loads((MANIFESTS / "1.json").read_text())


def read(entry):
    return ModelManifest.from_json(json.dumps(entry).encode(), "manifest.json")


def test_it_comes_back_as_it_was_written(text, shared_models):
    manifest = ModelManifest.from_json(
        text, "manifest.json", lambda name: (shared_models.root / "digits/1" / name).read_bytes()
    )
    assert manifest.to_json().encode() == text
    assert manifest.to_dict()["format"] == FORMAT
    assert manifest.golden.outputs.shape == (10, 10)


def test_it_has_a_line_for_each_key(text):
    lines = text.decode().splitlines()
    assert (lines[0], lines[-1]) == ("{", "}")
    assert len(lines) == len(json.loads(text)) + 2


def test_it_says_what_the_design_asks_for(entry):
    assert {
        "format", "name", "version", "description", "framework", "engine", "versions", "files", "task",
        "inputs", "outputs", "max_batch", "notes", "number_of_parameters", "trainable_parameters",
        "optimizer_parameters", "metrics", "training", "data", "seed", "created", "golden",
    } == entry.keys()  # fmt: skip
    assert entry["versions"].keys() == {"python", "scikit-learn", "numpy"}  # of what it was made with, and no more
    assert all(len(file["sha256"]) == 64 and file["size"] > 0 for file in entry["files"].values())
    assert {"name", "shape", "dtype", "range", "preprocessing"} == entry["inputs"][0].keys()
    assert {"name", "task", "shape", "dtype", "role", "labels", "activation"} == entry["outputs"][0].keys()
    assert entry["golden"] == {"file": "golden.npz", "tolerance": 1e-05}


def test_a_client_sees_no_hashes_and_no_examples(text):
    public = ModelManifest.from_json(text, "manifest.json").public()
    assert not {"files", "golden", "format"} & public.keys()
    assert public["version"] == "v1"
    assert {"tensorflow_version", "keras_version"} <= public.keys()


def test_keys_that_nobody_knows_are_ignored(entry):
    assert read({**entry, "new_in_a_later_version": 1}).name == "digits"


@pytest.mark.parametrize("number", [0, 3, True, "1", None, [], {}])
def test_another_format_is_refused(entry, number):
    with pytest.raises(DamagedArtifact, match=rf"format .*reads {FORMAT}"):
        read({**entry, "format": number})


@pytest.mark.parametrize("damaged", [b"", b"{", b"null", b"[]", b"17", b'"x"', b"\xff\xfe", b"[" * 10**5, b"{}"])
def test_what_is_no_manifest_is_damaged(damaged):
    with pytest.raises(DamagedArtifact, match=r"manifest\.json"):
        ModelManifest.from_json(damaged, "manifest.json")


def test_a_manifest_of_many_megabytes_is_not_parsed(monkeypatch):
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("it was parsed"))
    with pytest.raises(DamagedArtifact, match="the limit is 8,388,608"):
        ModelManifest.from_json(b" " * (MAX_BYTES + 1), "manifest.json")


@pytest.mark.parametrize(
    "key", ["name", "version", "files", "inputs", "outputs", "max_batch", "golden", "engine", "seed"]
)
def test_a_missing_key_is_named(entry, key):
    del entry[key]
    with pytest.raises(DamagedArtifact, match=key):
        read(entry)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "a//b", "", ".hidden", "a\\b", "a\0", "c:x", "a/.."]
)
def test_a_file_name_that_leaves_the_folder(entry, name):
    entry["files"][name] = {"size": 1, "sha256": "0" * 64}
    with pytest.raises(DamagedArtifact, match="file name"):
        read(entry)


def test_labels_and_classes_must_agree(first):
    with pytest.raises(DamagedArtifact, match="label"):
        read({**first, "labels": first["labels"][:9]})


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("inputs", {"dtype": "complex64"}),
        ("inputs", {"shape": [0]}),
        ("inputs", {"shape": [None]}),
        ("inputs", {"columns": ["a"]}),
        ("inputs", {"preprocessing": {"kind": "image", "size": [8, 8], "mean": [1, 2], "deviation": [1, 1]}}),
        ("outputs", {"task": "prophecy"}),
        ("outputs", {"role": "oracle"}),
        ("outputs", {"activation": "relu"}),
        ("outputs", {"shape": [-1]}),
        ("outputs", {"dtype": "object"}),
        ("outputs", {"classes_first": True}),
        ("outputs", {"classes_first": "yes", "shape": [2, 8, 8]}),
    ],
)
def test_a_signature_that_no_model_has(entry, part, change):
    entry[part][0] |= change
    with pytest.raises(DamagedArtifact):
        read(entry)


def test_names_that_are_not_different_and_a_batch_that_is_none(entry):
    for change in ({"inputs": entry["inputs"] * 2}, {"outputs": []}, {"max_batch": 0}, {"max_batch": True}):
        with pytest.raises(DamagedArtifact):
            read({**entry, **change})


def test_a_signature_comes_back():
    inputs = (
        InputSpec((None,), name="words", dtype="str"),
        InputSpec((2,), name="numbers", dtype="float64", columns=("a", "b")),
        InputSpec((3, 4, 4), (4, 4), "photo", mode="rgb", mean=(0.1, 0.2, 0.3), deviation=(1.0, 2.0, 3.0)),
    )
    outputs = (
        OutputSpec("kind", "binary", (1,), role="logits", labels=("no", "yes"), activation="sigmoid"),
        OutputSpec("price", "regression", (), "float64", "value"),
    )
    signature = Signature(inputs, outputs, max_batch=4)
    assert Signature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature
    assert (signature.task, signature.is_classifier) == ("other", False)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": []},
        {"outputs": []},
        {"inputs": [], "outputs": []},
        {"dtype": "object"},
        {"dtype": "nonsense"},
        {"inputs": [[[300]]] * 10},
        {"outputs": [[float("nan")] * 10] * 10},
        {"outputs": [0.1] * 10},
        {"tolerance": "x"},
    ],
)
def test_golden_examples_that_make_no_sense(first, change):
    first["golden"] |= change
    with pytest.raises(DamagedArtifact):
        read(first)


def texts():
    signature = Signature(
        (InputSpec((), name="text", dtype="str"), InputSpec((2,), name="x")), (OutputSpec("y", "regression", ()),)
    )
    examples = {"text": np.array(["one", "zwölf"], object), "x": np.zeros((2, 2), np.float32)}
    return signature, Golden.of(examples, {"y": np.array([1.0, 2.0])}, 1e-4)


def test_golden_examples_come_back_bit_by_bit():
    signature, golden = texts()
    examples, answers = from_bytes(golden.to_bytes(), signature)
    assert examples["text"].tolist() == ["one", "zwölf"] and examples["text"].dtype == object
    np.testing.assert_array_equal(answers["y"], golden.outputs)
    again = Golden.from_file(signature, 1e-4, lambda name: golden.to_bytes())
    np.testing.assert_array_equal(again.inputs, golden.inputs)


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"inputs.0": np.array(["a"]), "inputs.1": np.zeros((1, 2))},
        {"inputs.0": np.array(["a"]), "inputs.1": np.zeros((1, 3)), "outputs.0": np.zeros(1)},
        {"inputs.0": np.array([1.0]), "inputs.1": np.zeros((1, 2)), "outputs.0": np.zeros(1)},
        {"inputs.0": np.array(["a"]), "inputs.1": np.zeros((1, 2)), "outputs.0": np.zeros(2)},
        {"inputs.0": np.array(["a"]), "inputs.1": np.zeros((1, 2)), "outputs.0": np.full(1, np.nan)},
        {"inputs.0": np.zeros(0, "U1"), "inputs.1": np.zeros((0, 2)), "outputs.0": np.zeros(0)},
        {"inputs.0": np.array([["a"]], object), "inputs.1": np.zeros((1, 2)), "outputs.0": np.zeros(1)},
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_golden_arrays_that_make_no_sense(arrays, save):
    file = io.BytesIO()
    save(file, **arrays)
    golden = Golden.from_file(texts()[0], 1e-4, lambda name: file.getvalue())
    with pytest.raises(DamagedArtifact, match="golden examples cannot be read"):
        golden.examples  # noqa: B018


def test_golden_examples_that_are_not_at_hand(text):
    with pytest.raises(DamagedArtifact, match="not at hand"):
        ModelManifest.from_json(text, "manifest.json").golden.inputs  # noqa: B018


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 500), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value, path=()):
    """Return the path of every value in nested JSON, of lists only the first."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    return [path, *(place for key, child in items for place in places(child, (*path, key)))]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_raises_anything_but_damaged(shared_models, tmp_path_factory, data):
    store, entry = shared_models, json.loads((shared_models.root / "digits/1/manifest.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(entry)[1:]))
        parent = entry
        for key in path[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and data.draw(st.booleans()):
            del parent[path[-1]]
        else:
            parent[path[-1]] = data.draw(JUNK)
    root = tmp_path_factory.mktemp("mutated")
    folder = root / "digits/1"
    folder.mkdir(parents=True)
    for name in ("model.onnx", "model.skops", "golden.npz"):
        (folder / name).hardlink_to(store.root / "digits/1" / name)
    (folder / "manifest.json").write_text(json.dumps(entry))
    try:
        predictor = ModelStore(root).load("digits", 1)
    except LabError:
        return
    assert len(predictor.predict(np.zeros((1, 8, 8), np.uint8))) == 1
    assert json.loads(json.dumps(ModelStore(root).get("digits").manifest.public()))["version"] == "v1"
    assert ModelStore(root).get("digits")._repr_html_()


def test_a_manifest_of_format_1_is_read_for_ever():
    manifest = ModelManifest.from_json((MANIFESTS / "1.json").read_bytes(), "1.json")
    assert manifest.input.size == (8, 8)
    assert len(manifest.golden.inputs) > 0


def test_an_image_was_called_picture_once_and_is_written_as_image(entry):
    old = json.loads((MANIFESTS / "1.json").read_text())
    assert old["input"]["preprocessing"]["kind"] == "picture"
    assert read(old).to_dict()["inputs"][0]["preprocessing"]["kind"] == "image"


def test_a_key_that_appears_twice_is_refused(text):
    doubled = text.replace(b'"version": 1,', b'"version": 1, "version": 1,', 1)
    with pytest.raises(DamagedArtifact, match="twice"):
        ModelManifest.from_json(doubled, "manifest.json")
