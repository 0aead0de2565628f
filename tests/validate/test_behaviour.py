"""Tests of behaviour catch spoilt models that accuracy may not see, and accuse no good one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mlops_lab import data, validate
from mlops_lab.errors import WrongUsage
from mlops_lab.store import ModelStore
from mlops_lab.validate import perturbations
from mlops_lab.validate.behaviour import BehaviourLimits


@pytest.fixture(scope="module")
def fashion():
    return data.load()


@pytest.fixture(scope="module")
def clothes(request):
    return ModelStore(request.config.rootpath / "models").load("clothes", 1)


def swap(rows, first, second):
    rows = np.array(rows)
    rows[:, [first, second]] = rows[:, [second, first]]
    return rows


def sharpen(rows):
    return np.eye(10)[rows.argmax(axis=1)]


def never(rows, number):
    rows = np.array(rows)
    rows[:, number] = 0
    return rows / rows.sum(axis=1, keepdims=True)


def chosen(images, rows, where, number):
    """Return the answers, but one class for the images where something holds."""
    return np.where(where[:, None], np.eye(10)[number], rows)


def cover(images, rows=slice(None), columns=slice(None)):
    covered = images.copy()
    covered[:, rows, columns] = 0
    return covered


def parity(images):
    return images.reshape(len(images), -1).sum(axis=1) % 2


class Drifting:
    """Answers otherwise every time."""

    def __init__(self, model):
        self.model, self.random = model, np.random.default_rng(0)

    def __call__(self, images):
        rows = self.model.probabilities(images)
        wrong = self.random.random(len(rows)) < 0.1
        return np.where(wrong[:, None], np.roll(rows, 1, axis=1), rows)


SPOILT = {
    "constant": lambda m: lambda x: np.tile(np.eye(10)[3], (len(x), 1)),
    "hates bags": lambda m: lambda x: never(m.probabilities(x), 8),
    "hates sandals": lambda m: lambda x: never(m.probabilities(x), 5),
    "labels 0 and 6 swapped": lambda m: lambda x: swap(m.probabilities(x), 0, 6),
    "labels reversed": lambda m: lambda x: m.probabilities(x)[:, ::-1],
    "labels moved by one": lambda m: lambda x: np.roll(m.probabilities(x), 1, axis=1),
    "sure of everything": lambda m: lambda x: sharpen(m.probabilities(x)),
    "surer of noise": lambda m: lambda x: chosen(x, m.probabilities(x), x[:, :4].mean(axis=(1, 2)) > 60, 8),
    "reads the upper half": lambda m: lambda x: m.probabilities(cover(x, rows=slice(14, None))),
    "reads the lower half": lambda m: lambda x: m.probabilities(cover(x, rows=slice(None, 14))),
    "reads the left half": lambda m: lambda x: m.probabilities(cover(x, columns=slice(14, None))),
    "brittle to a corner": lambda m: lambda x: chosen(x, m.probabilities(x), x[:, 0, 0] > 100, 2),
    "brittle to one bit": lambda m: lambda x: chosen(x, m.probabilities(x), parity(x) == 1, 4),
    "by heart": lambda m: lambda x: chosen(x, m.probabilities(x), parity(x * np.uint32(7)) % 2 == 1, 0),
    "not divided": lambda m: lambda x: m.engine.predict(x[..., None].astype(np.float32)),
    "divided twice": lambda m: lambda x: m.engine.predict(x[..., None].astype(np.float32) / 65025),
    "transposed": lambda m: lambda x: m.probabilities(x.transpose(0, 2, 1)),
    "inverted": lambda m: lambda x: m.probabilities(255 - x),
    "by the batch": lambda m: lambda x: m.probabilities(np.roll(x, 1, axis=0)),
    "by chance": Drifting,
}


@pytest.fixture(scope="module")
def reports(clothes, fashion):
    return {name: validate.check_behaviour(spoil(clothes), fashion, images=200) for name, spoil in SPOILT.items()}


def test_at_least_18_of_20_spoilt_models_are_caught(reports):
    assert len(reports) == 20
    missed = [name for name, report in reports.items() if report.passed]
    assert len(missed) <= 2, missed


@pytest.mark.parametrize(
    ("name", "caught_by"),
    [
        ("constant", "clear images"),
        ("hates bags", "clear images"),
        ("labels 0 and 6 swapped", "clear images"),
        ("sure of everything", "more noise"),
        ("not divided", "more noise"),
        ("reads the upper half", "every part"),
        ("brittle to a corner", "one pixel"),
        ("brittle to one bit", "noise"),
        ("by the batch", "consistency"),
        ("by chance", "consistency"),
    ],
)
def test_it_is_caught_by_the_right_test(reports, name, caught_by):
    assert caught_by in [finding.name for finding in reports[name].failed]


def test_the_shipped_models_are_accused_of_nothing(clothes, fashion, shared_models, digits):
    for model, dataset in ((clothes, fashion), (shared_models.load("digits", 1), digits)):
        report = validate.check_behaviour(model, dataset)
        assert report.passed, str(report)


@pytest.mark.parametrize("kind", [LogisticRegression(max_iter=25), RandomForestClassifier(60, random_state=0)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_ordinary_models_are_accused_of_nothing(tiny_fashion, kind):
    train = tiny_fashion.train
    model = kind.fit(train.images.reshape(len(train), -1) / 255, train.labels)
    report = validate.check_behaviour(lambda x: model.predict_proba(x.reshape(len(x), -1) / 255), tiny_fashion)
    assert report.passed, str(report)


def test_images_whose_answers_changed_are_named_and_shown(reports):
    finding = next(one for one in reports["brittle to a corner"].failed if one.name == "one pixel")
    assert "top left" in finding.message and finding.value < 0.3
    assert finding.images[0].startswith("test[") and finding.samples[0].shape == (28, 56)
    assert finding.worst <= finding.value == min(finding.details.values())


def test_labels_are_followed_by_name(clothes, fashion):
    renamed = replace(clothes, labels=clothes.labels[::-1])
    assert "clear images" in [one.name for one in validate.check_behaviour(renamed, fashion, images=100).failed]


def test_answers_that_are_no_distribution_end_the_tests(fashion):
    report = validate.check_behaviour(lambda x: np.full((len(x), 10), 0.5), fashion, images=50)
    assert [finding.name for finding in report.findings] == ["probabilities"]
    assert not report.passed


def test_thresholds_can_be_set(clothes, fashion):
    report = validate.check_behaviour(clothes, fashion, BehaviourLimits(move=0.999), images=100)
    assert [finding.name for finding in report.failed] == ["move"]


def test_a_split_without_a_training_split(clothes, fashion):
    assert validate.check_behaviour(clothes, fashion.test.sample(600), images=200).passed


def test_behaviour_needs_images():
    with pytest.raises(WrongUsage, match="images"):
        validate.check_behaviour(lambda x: x, data.Split(np.zeros((5, 3)), np.zeros(5, int)))


@pytest.mark.parametrize("kind", perturbations.SMALL)
@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 8, 8), (3, 32, 32, 3)])
def test_small_changes_keep_shape_and_type_and_leave_the_image_alone(kind, shape):
    images = np.random.default_rng(0).integers(1, 60, shape).astype(np.uint8)
    before = images.copy()
    for change in perturbations.SMALL[kind].values():
        changed = change(images)
        assert (changed.shape, changed.dtype) == (shape, np.uint8)
        assert (changed != images).any()
    assert (images == before).all()


def test_moving_by_one_pixel_is_exact():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 10, 10] = 200
    moved = perturbations.moved(image, down=1 / 28, right=-1 / 28)
    assert moved[0, 11, 9] == 200 and moved.sum() == 200


def test_the_report_has_three_faces(reports):
    plain = json.loads(json.dumps(reports["constant"].to_dict()))
    assert plain["passed"] is False and plain["findings"][0]["name"] == "probabilities"
    assert "✗ failed" in reports["brittle to a corner"]._repr_html_()
    assert str(reports["constant"]).endswith(reports["constant"].summary)


def test_saliency_finds_where_a_model_looks(clothes, fashion):
    def square(images):
        bright = images[:, 4:8, 20:24].mean(axis=(1, 2)) / 255
        return np.stack([bright, 1 - bright], axis=1)

    found = validate.explain(square, np.full((28, 28), 255, np.uint8))
    row, column = np.unravel_index(found.heat.argmax(), found.heat.shape)
    assert 3 <= row <= 8 and 19 <= column <= 24
    assert abs(found.heat[20, 5]) < 1e-9
    shown = validate.explain(clothes, fashion.test.images[0])
    assert shown.answer == 9 and shown.heat.shape == (28, 28)
    assert "red where it matters" in shown._repr_html_()
    with pytest.raises(WrongUsage, match="One grey image"):
        validate.explain(clothes, fashion.test.images[:2])


@pytest.mark.parametrize(("sides", "width"), [((28, 20), 40), ((28, 28), 40), ((28, 56), 80)])
def test_an_image_that_failed_is_drawn_whatever_its_shape(sides, width):
    pixels = np.zeros(sides, np.uint8)
    finding = validate.BehaviourFinding(False, "It changed.", name="move", images=("test 3",), samples=(pixels, pixels))
    assert finding.draw().count(f'width="{width}"') == 2
    assert "test 3, move" in finding.draw() and "an image, move" in finding.draw()
