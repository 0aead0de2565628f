import numpy as np
import pytest

from mlops_lab.answers import (
    LabelSet,
    Mask,
    NamedAnswers,
    Prediction,
    Score,
    Tensor,
    Value,
    Vector,
    agree,
    classes_of,
    from_outputs,
    read,
    summary_rows,
)
from mlops_lab.errors import LabError
from mlops_lab.inputs import InputSpec
from mlops_lab.signature import OutputSpec, Signature

CAT = Prediction("cat", 0, 0.75, (0.75, 0.25), ("cat", "dog"))


def signature(*outputs):
    return Signature((InputSpec((2,)),), outputs)


def only(array, *spec, **more):
    return from_outputs({"y": np.asarray(array)}, signature(OutputSpec("y", *spec, **more)))


@pytest.mark.parametrize(
    "answer",
    [
        *(CAT, LabelSet(("a",), (0.75, 0.25), ("a", "b")), Value(1.5), Value((1.5, 2.0)), Vector(np.array([0.5, 1.0]))),
        *(Mask(np.array([[0, 1]])), Score(-0.5, True), Tensor(np.array([[1, 2]])), Tensor(np.array(["a"]))),
        NamedAnswers({"cat": CAT, "price": Value(3.0)}),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_every_answer_comes_back_from_the_wire(answer):
    found = read(answer.to_dict(), {"": ("cat", "dog"), "cat": ("cat", "dog")})
    assert type(found) is type(answer) and found.to_dict() == answer.to_dict()
    assert agree(found, answer) and (str(found) == str(answer) or isinstance(answer, Mask))


def test_numbers_are_as_short_as_their_type_allows():
    assert only(np.array([[23.4]], np.float32), "regression", (1,))[0].to_dict() == {"value": 23.4}
    assert only(np.array([23.4]), "regression", ())[0].to_dict() == {"value": 23.4}
    assert only(np.array([[0.1, 1e-9]], np.float32), "embedding", (2,))[0].to_dict() == {"vector": [0.1, 1e-9]}
    assert only(np.array([[7]]), "regression", (1,))[0].to_dict() == {"value": 7}


def test_one_sigmoid_unit_becomes_two_classes():
    yes, no = only([[0.75], [0.25]], "binary", (1,), labels=("no", "yes"))
    assert (yes.label, yes.class_index, yes.probabilities) == ("yes", 1, (0.25, 0.75))
    assert (no.label, no.confidence) == ("no", 0.75)
    assert [one.label for one in only([0.75, 0.25], "binary", ())] == ["1", "0"]


@pytest.mark.parametrize(
    "array, role, mask, first",
    [
        (np.eye(3)[[[0, 2], [1, 1]]], "probabilities", [[0, 2], [1, 1]], False),
        (np.moveaxis(np.eye(3)[[[0, 2], [1, 1]]], -1, 0), "probabilities", [[0, 2], [1, 1]], True),
        ([[[0.25], [0.75]], [[0.5], [1.0]]], "probabilities", [[0, 1], [0, 1]], False),
        ([[[0.25, 0.75], [0.5, 1.0]]], "probabilities", [[0, 1], [0, 1]], True),
        ([[0.25, 0.75], [0.5, 1.0]], "probabilities", [[0, 1], [0, 1]], False),
        ([[2, 0], [1, 1]], "mask", [[2, 0], [1, 1]], False),
        ([[[2], [0]], [[1], [1]]], "mask", [[2, 0], [1, 1]], False),
        ([[[2, 0], [1, 1]]], "mask", [[2, 0], [1, 1]], True),
    ],
)
def test_a_mask_is_the_class_of_every_pixel(array, role, mask, first):
    batch = np.asarray(array)[np.newaxis]
    labels = ("a", "b", "c") if 3 in batch.shape else ()
    (found,) = only(batch, "segmentation", batch.shape[1:], role=role, labels=labels, classes_first=first)
    assert found.mask.tolist() == mask


@pytest.mark.parametrize("task", ["classification", "multilabel", "segmentation"])
def test_labels_that_do_not_match_are_an_error(task):
    array = np.zeros((1, 5, 5, 3)) if task == "segmentation" else np.zeros((1, 3))
    with pytest.raises(LabError, match="3 classes and 2 labels"):
        only(array, task, (None,), labels=("a", "b"))


def test_what_is_counted_and_what_agrees():
    assert classes_of(CAT) == ["cat"] and classes_of(LabelSet(("a", "b"), (1.0, 1.0))) == ["a", "b"]
    assert classes_of(Score(1.0, False)) == ["usual"] and classes_of(Vector(np.zeros(2))) == []
    dog = Prediction("dog", 1, 0.75, (0.25, 0.75), ("cat", "dog"))
    assert not agree(CAT, dog) and not agree(CAT, Value(1.0)) and not agree(Value(1.0), Value((1.0, 2.0)))
    assert agree(Mask(np.eye(2)), Mask(np.eye(2))) and not agree(Mask(np.eye(2)), Mask(np.ones((2, 2))))
    assert not agree(NamedAnswers({"a": CAT}), NamedAnswers({"b": CAT}))


def test_a_log_gets_one_row_of_numbers_for_each_example():
    spec = OutputSpec("y", "segmentation", (2, 2), role="mask", labels=("a", "b", "c"))
    rows = summary_rows({"y": np.array([[[0, 0], [0, 2]]])}, signature(spec))
    assert rows.tolist() == [[0.75, 0.0, 0.25]] and rows.dtype == np.float32
    text = OutputSpec("y", "other", (), "str", "tensor")
    assert summary_rows({"y": np.array(["a", "b"], object)}, signature(text)).shape == (2, 0)
    two = OutputSpec("y", "binary", (1,))
    assert summary_rows({"y": np.array([[0.75]])}, signature(two)).tolist() == [[0.25, 0.75]]
