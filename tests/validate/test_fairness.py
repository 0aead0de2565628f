"""A metric by group equals fairlearn's to 1e-12; small groups are shown and not ranked; mitigation helps."""

import json

import numpy as np
import pytest
from fairlearn import metrics as fair
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_lab import data, validate
from mlops_lab.errors import WrongUsage

RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(0, 2, 900)
PREDICTED = np.where(RANDOM.random(900) < 0.8, LABELS, 1 - LABELS)
GROUPS = RANDOM.choice(["a", "b", "c", "d"], 900, p=[0.5, 0.3, 0.15, 0.05])
SEVERAL = RANDOM.integers(0, 5, 900)
SEVERAL_SAID = np.where(RANDOM.random(900) < 0.7, SEVERAL, RANDOM.integers(0, 5, 900))


def macro(function):
    return lambda labels, predicted: function(labels, predicted, average="macro", zero_division=0)


BINARY = {
    "accuracy": reference.accuracy_score,
    "recall": reference.recall_score,
    "precision": reference.precision_score,
    "f1": reference.f1_score,
    "selection_rate": fair.selection_rate,
    "true positive rate": fair.true_positive_rate,
    "false positive rate": fair.false_positive_rate,
    "balanced accuracy": reference.balanced_accuracy_score,
}
MULTICLASS = {
    "accuracy": reference.accuracy_score,
    "recall": macro(reference.recall_score),
    "precision": macro(reference.precision_score),
    "f1": macro(reference.f1_score),
}


def hold_against_fairlearn(report, frame):
    assert set(report.values) == set(frame.by_group.index)
    assert max(abs(report.values[name] - frame.by_group[name]) for name in report.values) <= 1e-12
    assert abs(report.overall - frame.overall) <= 1e-12
    assert abs(report.difference - frame.difference(method="between_groups")) <= 1e-12
    assert abs(report.ratio - frame.ratio(method="between_groups")) <= 1e-12
    exact = {name: group["value"] for name, group in report.to_dict()["groups"].items()}
    assert exact == report.values


@pytest.mark.parametrize("metric", BINARY)
def test_two_classes_equal_fairlearn(metric):
    frame = fair.MetricFrame(metrics=BINARY[metric], y_true=LABELS, y_pred=PREDICTED, sensitive_features=GROUPS)
    hold_against_fairlearn(validate.by_group(metric, LABELS, PREDICTED, GROUPS), frame)


@pytest.mark.parametrize("metric", MULTICLASS)
def test_several_classes_equal_fairlearn(metric):
    frame = fair.MetricFrame(metrics=MULTICLASS[metric], y_true=SEVERAL, y_pred=SEVERAL_SAID, sensitive_features=GROUPS)
    hold_against_fairlearn(validate.by_group(metric, SEVERAL, SEVERAL_SAID, GROUPS), frame)


def test_any_function_is_a_metric():
    frame = fair.MetricFrame(
        metrics=reference.matthews_corrcoef, y_true=LABELS, y_pred=PREDICTED, sensitive_features=GROUPS
    )
    report = validate.by_group(reference.matthews_corrcoef, LABELS, PREDICTED, GROUPS)
    hold_against_fairlearn(report, frame)
    assert report.metric == "matthews corrcoef"
    assert all(one.interval[0] < one.value < one.interval[1] for one in report.groups)


def test_several_attributes_are_combined():
    sex = RANDOM.choice(["f", "m"], 900)
    report = validate.by_group("recall", LABELS, PREDICTED, {"group": GROUPS, "sex": sex})
    frame = fair.MetricFrame(
        metrics=reference.recall_score,
        y_true=LABELS,
        y_pred=PREDICTED,
        sensitive_features={"group": GROUPS, "sex": sex},
    )
    assert len(report.groups) == 8
    assert report.values == pytest.approx({", ".join(key): value for key, value in frame.by_group.items()}, abs=1e-12)


def test_a_group_of_three_is_shown_and_not_ranked():
    groups = np.where(np.arange(900) < 3, "tiny", GROUPS)
    predicted = np.where(np.arange(900) < 3, 1 - LABELS, PREDICTED)
    report = validate.by_group("accuracy", LABELS, predicted, groups)
    tiny = next(one for one in report.groups if one.name == "tiny")
    assert (tiny.count, tiny.value, tiny.ranked) == (3, 0.0, False)
    assert report.difference < 0.3 and "tiny" not in report.summary
    assert "too small" in str(tiny) and "too small" in report._repr_html_()


def test_a_group_in_which_nothing_can_be_counted_is_not_ranked():
    labels = np.where(GROUPS == "c", 0, LABELS)
    report = validate.by_group("recall", labels, PREDICTED, GROUPS)
    assert not next(one for one in report.groups if one.name == "c").ranked
    assert report.difference < 0.3


def test_nobody_large_enough():
    report = validate.by_group("accuracy", [0, 1], [0, 1], ["a", "b"])
    assert (report.difference, report.ratio, report.check(max_difference=0).state) == (0, 1, "skipped")


def test_intervals_are_wider_for_smaller_groups():
    groups = {one.name: one for one in validate.by_group("accuracy", LABELS, PREDICTED, GROUPS).groups}
    widths = [groups[name].interval[1] - groups[name].interval[0] for name in "abcd"]
    assert widths == sorted(widths)


@pytest.mark.parametrize("labels", [[], [0, 1, 1]])
def test_arrays_that_do_not_belong_together(labels):
    with pytest.raises(WrongUsage, match="do not fit"):
        validate.by_group("accuracy", labels, [0, 1], ["a", "b"])


def test_a_metric_that_there_is_not():
    with pytest.raises(WrongUsage, match="selection rate"):
        validate.by_group("selection rate", SEVERAL, SEVERAL_SAID, GROUPS)


def test_only_one_class_is_there():
    assert validate.by_group("recall", [1] * 60, [1] * 60, GROUPS[:60]).overall == 1.0
    assert validate.by_group("accuracy", ["yes"] * 60, ["yes"] * 60, GROUPS[:60]).overall == 1.0


@pytest.fixture(scope="module")
def admissions():
    learn, judge = data.load_admissions().halves()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(learn.features, learn.labels)
    return model, learn, judge


def test_the_invented_admissions_fail_the_gate_and_pass_after_mitigation(admissions):
    model, learn, judge = admissions
    before = validate.by_group("recall", judge.labels, model.predict(judge.features), judge.groups, attribute="school")
    assert (round(before.values["evening"], 2), round(before.values["day"], 2)) == (0.55, 0.89)
    gate = before.check(max_difference=0.1)
    assert (gate.state, gate.name) == ("failed", "groups by school")
    assert "evening" in gate.message
    decide = validate.mitigate(model, learn.features, learn.labels, learn.groups)
    after = validate.by_group("recall", judge.labels, decide(judge.features, judge.groups), judge.groups)
    assert after.check(max_difference=0.1).state == "passed"
    accuracy = [
        (said == judge.labels).mean() for said in (model.predict(judge.features), decide(judge.features, judge.groups))
    ]
    assert accuracy[1] > accuracy[0] - 0.01


def test_a_ratio_can_be_the_gate(admissions):
    model, _, judge = admissions
    rates = validate.by_group("selection rate", judge.labels, model.predict(judge.features), judge.groups)
    assert "ratio" in rates.check(min_ratio=0.8).message


def test_the_group_is_in_no_column_and_yet_it_shows(admissions):
    assert "school" not in admissions[2].names and admissions[2].features.shape[1] == len(admissions[2].names)


def test_groups_by_what_an_image_shows(request):
    from mlops_lab.store import ModelStore

    test = data.load().test
    predicted = (
        ModelStore(request.config.rootpath / "models").load("clothes", 1).probabilities(test.images).argmax(axis=1)
    )
    report = validate.by_group("accuracy", test.labels, predicted, validate.group_images(test.images))
    assert list(report.values.values()) == pytest.approx([0.969, 0.888, 0.867], abs=0.002)
    quarters = validate.group_images(test.images, "brightness", 4)
    report = validate.by_group("accuracy", test.labels, predicted, quarters)
    assert list(report.values.values()) == pytest.approx([0.949, 0.916, 0.896, 0.872], abs=0.001)
    assert min(group.count for group in report.groups) > 2300


def test_images_are_not_grouped_by_everything():
    with pytest.raises(WrongUsage, match="price"):
        validate.group_images(np.zeros((4, 8, 8)), "price")
    with pytest.raises(WrongUsage, match="1 parts"):
        validate.group_images(np.zeros((4, 8, 8)), parts=1)


def test_a_holdout_sees_every_group_equally_often():
    chosen = validate.holdout(GROUPS, 30, seed=1)
    names, counts = np.unique(GROUPS[chosen], return_counts=True)
    assert (names.tolist(), counts.tolist()) == (["a", "b", "c", "d"], [30] * 4)
    assert len(set(chosen.tolist())) == 120
    assert (chosen == validate.holdout(GROUPS, 30, seed=1)).all()
    assert (chosen != validate.holdout(GROUPS, 30, seed=2)).any()
    state = np.random.get_state()[1].tolist()
    validate.holdout(GROUPS, 30)
    assert np.random.get_state()[1].tolist() == state


def test_a_holdout_of_more_than_there_are_names_the_group():
    with pytest.raises(WrongUsage, match="d: "):
        validate.holdout(GROUPS, 200)


def test_the_report_has_three_faces():
    report = validate.by_group("recall", LABELS, PREDICTED, GROUPS, attribute="place")
    assert json.loads(json.dumps(report.to_dict()))["attribute"] == "place"
    assert "recall by place" in report._repr_html_()
    assert report.summary in str(report)
    assert "recall by place" in report.check().message
