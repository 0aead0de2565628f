import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import BadImage, BadRequest, WrongShape, WrongUsage
from mlops_lab.image import InputSpec, decode
from mlops_lab.predict import Prediction, Predictor, draw, draw_png, from_probabilities
from mlops_lab.signature import OutputSpec, Signature


def test_a_prediction_for_each_image_in_order(bright, images):
    answers = bright.predict(images)
    assert [answer.label for answer in answers] == ["dark", "dark", "dark", "bright", "bright"]
    assert [answer.probabilities[1] for answer in answers] == pytest.approx([0, 0.2, 0.4, 0.6, 1])
    assert all(answer.image is not None for answer in answers)


def test_a_batch_answers_as_its_images_do(bright, images):
    singly = [bright.predict([image])[0] for image in images]
    assert [item.to_dict() for item in bright.predict(images)] == [item.to_dict() for item in singly]


def test_no_images_no_predictions(bright):
    assert bright.predict([]) == []


def test_wrong_images_are_refused_before_the_engine_sees_them():
    def engine(inputs):
        pytest.fail("the engine was called")

    predictor = Predictor("m", 1, InputSpec(shape=(8, 8, 1), size=(8, 8)), ("a", "b"), PythonEngine(engine))
    with pytest.raises(WrongShape):
        predictor.predict(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(BadImage):
        predictor.predict(np.full((1, 8, 8), 0.5))


def test_one_image_where_several_are_expected(bright, images):
    with pytest.raises(WrongShape, match=r"received one, of shape \(28, 28\).*newaxis"):
        bright.predict(images[0])


def test_a_model_without_images_has_predictions_without_images():
    predictor = Predictor("m", 1, InputSpec(shape=(2,)), ("a", "b"), PythonEngine(lambda inputs: inputs))
    answer = predictor.predict([[0.25, 0.75]])[0]
    assert (answer.label, answer.confidence, answer.image) == ("b", 0.75, None)


def test_a_model_without_labels_answers_the_numbers_of_its_classes():
    predictor = Predictor("m", 1, InputSpec(shape=(2,)), (), PythonEngine(lambda inputs: inputs))
    assert predictor.predict([[0.25, 0.75]])[0].label == predictor.class_names(2)[1]


def answering(output, rows):
    """Return a model of one output that answers these rows."""
    signature = Signature((InputSpec(shape=(2,)),), (output,))
    return Predictor("m", 1, signature.inputs[0], output.labels, PythonEngine(lambda inputs: rows), signature=signature)


def test_logits_become_probabilities_before_they_are_told():
    output = OutputSpec("y", "classification", (2,), role="logits", labels=("a", "b"), activation="softmax")
    model = answering(output, np.array([[0.0, np.log(3)]], np.float32))
    assert model.probabilities([[1, 2]]).tolist() == [pytest.approx([0.25, 0.75])]
    assert (model.predict([[1, 2]])[0].label, model.predict([[1, 2]])[0].confidence) == ("b", pytest.approx(0.75))


def test_one_sigmoid_unit_has_two_classes():
    model = answering(OutputSpec("y", "binary", (1,), labels=("no", "yes")), np.array([[0.25]], np.float32))
    assert model.probabilities([[1, 2]]).tolist() == [[0.75, 0.25]]
    assert model.predict([[1, 2]])[0].label == "no"


def test_a_regressor_answers_its_value_and_has_no_probabilities():
    model = answering(OutputSpec("price", "regression", (1,), role="value"), np.array([[23.5]], np.float32))
    assert model.predict([[1, 2]])[0].value == 23.5
    with pytest.raises(WrongUsage, match="its output 'price' is regression"):
        model.probabilities([[1, 2]])


def test_several_inputs_go_by_their_names():
    class Sum:
        def run(self, inputs):
            return {"sum": inputs["a"] + inputs["b"]}

    signature = Signature(
        (InputSpec((1,), name="a"), InputSpec((1,), name="b")), (OutputSpec("sum", "regression", (1,), role="value"),)
    )
    model = Predictor("m", 1, signature.inputs[0], (), Sum(), signature=signature)
    assert model.predict({"a": [[1]], "b": [[2]]})[0].value == 3
    with pytest.raises(BadRequest, match="takes the inputs a, b; received a, c"):
        model.predict({"a": [[1]], "c": [[2]]})


def test_numbers_are_plain_and_not_longer_than_float32():
    answer = from_probabilities(np.array([[1 / 3, 2 / 3]], np.float32), ["a", "b"])[0]
    assert answer.to_dict() == {
        "label": "b",
        "class": 1,
        "confidence": 0.6666667,
        "probabilities": [0.3333333, 0.6666667],
    }
    assert all(type(value) is float for value in answer.probabilities)
    assert type(answer.class_index) is int


def test_representations_of_a_prediction(bright, images):
    answer = bright.predict(images)[4]
    assert str(answer) == "bright (100.0%)"
    assert 'alt="The image that was classified as bright (100.0%)"' in answer._repr_html_()
    assert decode(draw_png(answer), "rgb").ndim == 3


def test_a_prediction_without_image_or_labels_draws_too():
    answer = Prediction("1", 1, 0.75, (0.25, 0.75))
    assert "<img" not in draw(answer)
    assert "75.0%" in draw(answer)
    assert draw_png(answer).startswith(b"\x89PNG")


def test_the_face_of_a_predictor(bright):
    assert "bright v1, ready" in bright._repr_html_()
    assert "PythonEngine" in bright._repr_html_()
