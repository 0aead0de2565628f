"""A version is held against its thresholds; bad ones are refused for the right reason, with evidence."""

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from onnx import helper, numpy_helper

from mlops_lab import data, serve, store, validate
from mlops_lab.errors import WrongUsage
from mlops_lab.validate import assessment
from mlops_lab.validate.gates import read_gates

pytestmark = pytest.mark.usefixtures("no_servers")


@pytest.fixture
def clothes(request, tmp_path):
    """Return a store with the shipped clothes in production, and a function that publishes a spoilt one as v2."""
    root = request.config.rootpath / "models" / "clothes" / "1"
    models = store.ModelStore(tmp_path / "models")
    right = models_get(request)
    run = store.from_onnx(
        root / "model.onnx",
        input=right.manifest.input,
        labels=right.manifest.labels,
        examples=right.manifest.golden.inputs,
        metrics={"test_accuracy": 0.9081},
    )
    models.publish(run, "clothes")
    models.promote("clothes", 1)

    def publish(labels=None, change=None):
        graph = onnx.load(root / "model.onnx")
        if change:
            change(graph.graph)
        spoilt = replace(run, model=graph.SerializeToString(), labels=labels or run.labels, metrics={})
        return models.publish(spoilt, "clothes")

    models.spoil = publish
    return models


def models_get(request):
    return store.ModelStore(request.config.rootpath / "models").get("clothes", 1)


@pytest.fixture(scope="module")
def shipped(request):
    """The shipped clothes, measured once: whole, and served."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assessment, "user_name", lambda: "a tester")
        found = validate.assess(models_get(request), images=200)
    serve.stop_all()
    return found


def add_to_answer(graph, nodes, constants, name):
    """Put nodes between the model's last output and what it answers."""
    output = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if out == output else out for out in node.output]
    graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in constants.items())
    graph.node.extend(nodes)
    graph.node.append(helper.make_node("Identity", [name], [output]))


def never_bags(graph):
    """Answer bags as shirts: a matrix that moves the probability of one class to another."""
    matrix = np.eye(10, dtype=np.float32)
    matrix[8, 8], matrix[8, 6] = 0, 1
    add_to_answer(graph, [helper.make_node("MatMul", ["before", "m"], ["after"])], {"m": matrix}, "after")


def hurt_bright(graph):
    """Give every bright image the answer of the next class: one group is hurt."""
    add_switch(graph, "ReduceMean", np.float32(0.38), np.roll(np.eye(10, dtype=np.float32), 1, axis=1))


def brittle(graph):
    """Change the answer wherever a corner pixel is lit."""
    add_switch(graph, "corner", np.float32(0.3), np.roll(np.eye(10, dtype=np.float32), 1, axis=1))


def add_switch(graph, kind, limit, matrix):
    source = graph.input[0].name
    if kind == "corner":
        constants = {"starts": np.array([0, 0]), "ends": np.array([1, 1]), "axes": np.array([1, 2])}
        first = [helper.make_node("Slice", [source, "starts", "ends", "axes"], ["part"])]
    else:
        constants, first = {}, [helper.make_node("Identity", [source], ["part"])]
    constants |= {"limit": limit, "matrix": matrix}
    size = np.array([0, -1])
    constants["size"] = size
    nodes = [
        *first,
        helper.make_node("Reshape", ["part", "size"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Greater", ["mean", "limit"], ["chosen"]),
        helper.make_node("MatMul", ["before", "matrix"], ["other"]),
        helper.make_node("Where", ["chosen", "other", "before"], ["after"]),
    ]
    add_to_answer(graph, nodes, constants, "after")


def failed(assessment):
    return {(gate.section, gate.name) for gate in assessment.failed}


def assess(models, version, **options):
    return validate.assess(models.get("clothes", version), baseline=models.get("clothes", 1), images=200, **options)


def test_the_shipped_model_passes_and_is_served(shipped):
    found = shipped
    assert found.passed, str(found)
    assert {gate.section for gate in found.gates} == {"data", "quality", "groups", "behaviour", "robustness", "server"}


def test_reversed_labels_are_refused_and_told(clothes):
    version = clothes.spoil(labels=clothes.get("clothes", 1).manifest.labels[::-1])
    found = assess(clothes, version.version, server=False)
    assert ("quality", "accuracy") in failed(found)
    gate = next(one for one in found.failed if one.name == "accuracy")
    assert "labels are in the wrong order: in the data's order 0.9081" in gate.message
    assert gate.missed_by == pytest.approx(0.5 - gate.value) and len(gate.images) == 100


def test_a_group_that_is_hurt_is_refused_and_named(clothes):
    found = assess(clothes, clothes.spoil(change=hurt_bright).version, server=False)
    assert ("groups", "accuracy by brightness") in failed(found)
    gate = next(one for one in found.failed if one.name == "accuracy by brightness")
    assert "for 3 of 3 (highest)" in gate.message and gate.missed_by > 0.1
    assert gate.images and gate.samples


def test_a_class_that_is_hurt_is_refused_and_named(clothes):
    found = assess(clothes, clothes.spoil(change=never_bags).version, server=False)
    gate = next(one for one in found.failed if one.name == "class recall")
    assert "of Bag" in gate.message


def test_a_brittle_version_is_refused_although_its_accuracy_is_right(clothes):
    found = assess(clothes, clothes.spoil(change=brittle).version, server=False)
    assert failed(found) == {("behaviour", "one pixel")}
    assert "top left" in found.failed[0].message
    assert found.measured.quality.accuracy > 0.9


def test_worse_than_production_is_refused(clothes):
    def tilt(graph):
        matrix = np.eye(10, dtype=np.float32)
        matrix[6] = 0.5 * matrix[6]
        matrix[6, 0] = 0.5
        add_to_answer(graph, [helper.make_node("MatMul", ["before", "m"], ["after"])], {"m": matrix}, "after")

    found = assess(clothes, clothes.spoil(change=tilt).version, server=False)
    assert ("quality", "against production") in failed(found)


def test_promotion_is_refused_where_a_gate_failed(clothes, shipped):
    version = clothes.spoil(change=never_bags)
    validate.require_gates(version)  # nobody has looked yet
    validate.keep(version, assess(clothes, version.version, server=False))
    with pytest.raises(validate.GateFailed, match=r"class recall: .* of Bag.*missed by 0\.\d+.*Images: test\["):
        clothes.promote("clothes", version.version)
    assert clothes.aliases("clothes")["production"] == 1
    validate.keep(clothes.get("clothes", 1), shipped)
    clothes.promote("clothes", 1)
    assert clothes.history("clothes")[-1]["gates"] == "passed"


def numbers_in(values):
    if isinstance(values, dict):
        for key, value in values.items():
            yield from numbers_in(value)
            yield from numbers_in(key)
    elif isinstance(values, list):
        for value in values:
            yield from numbers_in(value)
    elif isinstance(values, str):
        yield from map(float, re.findall(r"\d+(?:\.\d+)?", values))
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield float(values)


def test_every_figure_of_the_card_is_one_of_the_evidence(clothes, shipped):
    version = clothes.get("clothes", 1)
    folder = validate.keep(version, shipped)
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    assert set(kept) >= {
        "gates",
        "model",
        "data",
        "quality",
        "groups",
        "behaviour",
        "robustness",
        "comparison",
        "server",
    } - {"comparison"}
    known = np.array(sorted(set(numbers_in(kept))))
    card = (version.path / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"\d+\.\d+", card.replace("127.0.0.1", ""))
    assert len(told) > 150
    for figure in told:
        assert np.abs(known - float(figure)).min() <= 0.5 * 10 ** -len(figure.split(".")[1]) + 1e-12, figure


def test_the_card_has_its_headings_and_front_matter(clothes, shipped):
    version = clothes.get("clothes", 1)
    validate.keep(version, shipped)
    card = (version.path / "README.md").read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["pipeline_tag"] == "image-classification"
    result = about["model-index"][0]["results"][0]
    assert {one["type"]: one["value"] for one in result["metrics"]}["accuracy"] == 0.9081
    assert result["dataset"]["name"] == "fashion-mnist"
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert {"Quality", "Calibration", "Groups", "Behaviour", "Gates"} <= set(headings)
    quality = text.partition("## Quality")[2].partition("## Calibration")[0]
    assert all(f"| {name} | 1000 | " in quality for name in data.load().classes)
    assert "Recall per class" in quality and "| 0.7380 |" in quality
    assert "These images show no people" in text


def test_names_cannot_write_into_the_card(clothes, shipped):
    facts = {**shipped.facts, "description": "Good.\n# Evil\n<script>|\n---", "labels": ["<b>", "`"]}
    version = clothes.get("clothes", 1)
    validate.keep(version, replace(shipped, facts=facts))
    card = (version.path / "README.md").read_text(encoding="utf-8")
    assert "<script>" not in card and "<b>" not in card
    assert "\n# Evil" not in card and "Good. # Evil &lt;script>\\| ---" in card


def test_the_report_is_a_page_of_its_own(clothes, shipped):
    version = clothes.get("clothes", 1)
    folder = validate.keep(version, shipped)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", page).replace(
        "http-", ""
    )
    assert "color-scheme" in page and "prefers-color-scheme: dark" in page


def test_thresholds_of_the_models_folder_and_of_a_file(clothes, tmp_path):
    (clothes.root / "clothes" / "gates.toml").write_text("[quality]\nmin_accuracy = 0.95\n")
    assert failed(assess(clothes, 1, server=False)) == {("quality", "accuracy")}
    other = tmp_path / "other.toml"
    other.write_text("[quality]\nmin_class_recall = 0.9\n[groups]\nby = ['contrast']\n")
    found = assess(clothes, 1, server=False, gates=other)
    assert failed(found) == {("quality", "class recall")}
    assert [report.attribute for report in found.measured.groups] == ["contrast"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[quality]\nmin_acuracy = 1", "min_acuracy"),
        ("[qualty]\n", "qualty"),
        ("[quality]\nmin_accuracy = 'high'", "is no float"),
        ("[data]\nrequired = 1", "is no bool"),
        ("[quality", "is not TOML"),
    ],
)
def test_thresholds_that_make_no_sense_are_told(tmp_path, text, said):
    path = tmp_path / "gates.toml"
    path.write_text(text)
    with pytest.raises(WrongUsage, match=said):
        read_gates(path)


def test_a_version_whose_data_are_not_here(models, tmp_path, digits):
    version = models.get("digits", 1)
    elsewhere = replace(version, manifest=replace(version.manifest, data={"name": "my images"}))
    found = validate.assess(elsewhere, server=False)
    assert failed(found) == {("data", "data set")}
    assert not validate.assess(elsewhere, server=False, required=False).failed
    path = tmp_path / "test.npz"
    groups = np.where(np.arange(359) % 2, "odd", "even")
    np.savez(path, images=digits.test.images, labels=digits.test.labels, groups=groups)
    found = validate.assess(elsewhere, server=False, data=path, images=100)
    assert found.passed, str(found)
    assert {one.attribute for one in found.measured.groups} == {"groups", "coverage", "brightness"}
    names = np.array(digits.classes)[digits.test.labels]
    np.savez(path, images=digits.test.images, labels=names)
    assert validate.assess(elsewhere, server=False, data=path, images=100).measured.quality.accuracy > 0.97


@pytest.mark.parametrize(
    "arrays", [{}, {"images": np.zeros((3, 8, 8))}, {"images": np.zeros((3, 8, 8)), "labels": [0, 1, 77]}]
)
def test_data_that_do_not_fit(models, tmp_path, arrays):
    path = tmp_path / "test.npz"
    np.savez(path, **arrays)
    with pytest.raises(WrongUsage, match=r"test\.npz"):
        validate.assess(models.get("digits", 1), data=path)


def test_a_version_that_cannot_be_loaded(models):
    version = models.get("digits", 1)
    (version.path / "model.onnx").write_bytes(b"no model")
    found = validate.assess(version)
    assert failed(found) == {("load", "load")}
    validate.keep(version, found)
    assert "Not measured" in (version.path / "README.md").read_text(encoding="utf-8")


def test_the_assessment_has_three_faces(clothes):
    found = assess(clothes, clothes.spoil(change=never_bags).version, server=False)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["passed"] is False and plain["failed"][0]["missed_by"] > 0
    assert "is refused" in found._repr_html_() and "✗ failed" in found._repr_html_()
    assert str(found).endswith(found.summary)
