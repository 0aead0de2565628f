"""A delivery of images is looked at before it is trusted: broken ones are found by name, honest ones raise nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlops_lab import data
from mlops_lab.data import Split
from mlops_lab.data.sources import FASHION_CLASSES
from mlops_lab.errors import DataError, WrongUsage
from mlops_lab.image import encode_png


@pytest.fixture
def delivery(tiny_fashion):
    """Return arrays of one's own."""
    test = tiny_fashion.test.sample(300)
    return test.images.copy(), test.labels.copy()


def break_with(name, images, labels):
    """Return the delivery with one thing broken, and the images it is broken in."""
    if name == "finite":
        images = images.astype(np.float32)
        images[[3, 200], 5, 5] = np.nan, np.inf
        return images, labels, {3, 200}
    if name == "range":
        images = images.astype(np.int16)
        images[17, 0, 0] = 300
        images[18, 0, 0] = -1
        return images, labels, {17, 18}
    if name == "constant":
        images[41] = 9
        images[42] = 0
        return images, labels, {41, 42}
    if name == "inverted":
        chosen = range(100, 140)
        images[100:140] = 255 - images[100:140]
        return images, labels, set(chosen)
    if name == "unknown label":
        labels[[7, 8]] = 10, -1
        return images, labels, {7, 8}
    if name == "duplicates":
        images[299], labels[299] = images[0], labels[0]
        return images, labels, {299}
    if name == "conflict":
        images[299], labels[299] = images[0], (labels[0] + 1) % 10
        return images, labels, {0, 299}
    raise AssertionError(name)


@pytest.mark.parametrize("name", ["finite", "range", "constant", "inverted", "unknown label", "duplicates", "conflict"])
def test_a_broken_delivery_is_found_by_its_name_and_its_images(delivery, name):
    images, labels, wrong = break_with(name, *delivery)
    report = data.check(images, labels, classes=FASHION_CLASSES)
    finding = next(one for one in report.findings if one.name == name)
    assert not report.passed and name in report.problems
    found = {int(image.removeprefix("images[").removesuffix("]")) for image in finding.images}
    # Of forty inverted ones a few fill the frame, so that nobody can tell their ground.
    assert found == wrong or (name == "inverted" and found < wrong and len(found) >= 38)
    assert finding.count == len(found) and len(finding.samples) == min(8, len(found))


def test_images_that_are_divided_already(delivery):
    images, labels = delivery
    assert data.check(images / 255, labels).problems == ("range",)


def test_other_shapes_are_named(delivery):
    images, labels = delivery
    mixed = [*images[:20], np.zeros((8, 8), np.uint8)]
    report = data.check(mixed, labels[:21])
    finding = report.findings[1]
    assert (finding.name, finding.images, finding.state) == ("shape", ("images[20]",), "failed")


def test_flattened_images_and_those_that_are_no_numbers(delivery):
    images, labels = delivery
    assert data.check(images.reshape(len(images), -1), labels).problems == ("shape",)
    assert "range" in data.check(images.astype(str), labels).problems


def test_a_class_that_is_missing_and_one_that_is_rare(delivery):
    images, labels = delivery
    kept = labels != 7
    report = data.check(images[kept], labels[kept], classes=FASHION_CLASSES)
    assert report.problems == ("missing class",)
    assert "Sneaker" in report.failed[0].message
    rare = np.flatnonzero(labels != 7).tolist() + np.flatnonzero(labels == 7)[:2].tolist()
    report = data.check(images[rare], labels[rare])
    assert (report.problems, report.passed) == (("balance",), True)


def test_the_first_problem_does_not_hide_the_second(delivery):
    images, labels = delivery
    images = images.astype(np.float64)
    images[3] = np.nan
    images[4] = 700
    labels[5] = 99
    assert {"finite", "range", "constant", "unknown label"} <= set(
        data.check(images, labels, classes="0123456789").problems
    )


@pytest.mark.parametrize(
    "honest", [lambda x: x // 4, lambda x: x.astype(np.float64), lambda x: np.minimum(x * 1.2, 255)]
)
def test_honest_deliveries_raise_nothing(delivery, honest):
    images, labels = delivery
    assert data.check(honest(images), labels).problems == ()


def test_leakage_between_the_splits_of_a_data_set(tiny_fashion):
    images = tiny_fashion.test.images.copy()
    images[10] = tiny_fashion.train.images[1000]
    labels = tiny_fashion.test.labels.copy()
    labels[10] = tiny_fashion.train.labels[1000]
    leaked = replace(tiny_fashion, test=Split(images, labels))
    report = data.check(leaked)
    assert (report.problems, report.failed[0].images) == (("leakage",), ("test[10]",))
    assert data.check(tiny_fashion).passed


@pytest.mark.parametrize("images", [np.empty((0, 28, 28), np.uint8), []])
def test_a_report_survives_nothing_at_all(images):
    assert "count" in data.check(images, np.array([], np.int64)).problems


def test_fewer_labels_than_images(delivery):
    images, labels = delivery
    assert "count" in data.check(images, labels[:-1]).problems


def test_images_without_labels(delivery):
    with pytest.raises(WrongUsage, match="labels"):
        data.check(delivery[0])


@pytest.fixture
def folder(tmp_path, delivery):
    images, labels = delivery
    for place in range(40):
        name = FASHION_CLASSES[labels[place]].replace("/", "-")
        path = tmp_path / ("train" if place < 30 else "test") / name / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(images[place]))
    return tmp_path


def test_a_folder_with_damaged_files_strangers_and_copies(folder):
    first = next((folder / "train").rglob("*.png"))
    (first.parent / "cut.png").write_bytes(first.read_bytes()[:60])
    (folder / "test" / "Hat").mkdir()
    (folder / "test" / "Hat" / "1.png").write_bytes(encode_png(np.arange(784).reshape(28, 28) % 251))
    (folder / "test" / first.parent.name).mkdir(exist_ok=True)
    (folder / "test" / first.parent.name / "copy.png").write_bytes(first.read_bytes())
    (first.parent / "large.png").write_bytes(encode_png(np.arange(900).reshape(30, 30) % 251))
    (first.parent / "notes.txt").write_text("not an image")
    hidden = folder / "train" / first.parent.name / ".ipynb_checkpoints"
    hidden.mkdir()
    (hidden / "1-checkpoint.png").write_bytes(b"hidden, so not looked at")
    report = data.check(folder)
    named = {one.name: one.images for one in report.failed}
    assert named["damaged"] == (f"train/{first.parent.name}/cut.png",)
    assert named["unknown label"] == ("test/Hat/1.png",)
    assert named["leakage"] == (f"test/{first.parent.name}/copy.png",)
    assert named["shape"] == (f"train/{first.parent.name}/large.png",)
    assert str(report.name) == str(folder)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(DataError, match="no PNG or JPEG"):
        data.check(tmp_path)


def test_a_light_ground_may_be_meant(delivery):
    images, labels = delivery
    assert data.check(255 - images, labels).problems == ("inverted",)
    assert data.check(255 - images, labels, light_ground=True).problems == ()
    assert data.check(images, labels, light_ground=True).problems == ("inverted",)


def test_the_report_has_three_representations(delivery):
    images, labels, _ = break_with("finite", *delivery)
    report = data.check(images, labels)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["passed"] is False and plain["findings"][3]["images"] == ["images[3]", "images[200]"]
    assert "images[200]" in report._repr_html_() and "✗ failed" in report._repr_html_()
    assert str(report).splitlines()[-1] == report.summary


def test_of_two_shapes_that_are_equally_frequent_the_first_is_the_common_one():
    from mlops_lab.data.subject import read_subject

    sides = (8, 9, 9, 8)
    _, subject = read_subject([np.zeros((side, side), np.uint8) for side in sides], [0, 1, 0, 1], (), "L")
    (part,) = subject.parts
    assert (part.images.shape, part.names) == ((2, 8, 8), ["images[0]", "images[3]"])
    assert part.misfits == (("images[1]", "9×9"), ("images[2]", "9×9"))
