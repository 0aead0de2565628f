"""Every kind is published, loaded by a store that knows nothing of it, and answers as its own framework does."""

import warnings

import numpy as np
import pytest
from kinds import KINDS, PARAMETERS, published, tensors_of

from mlops_lab import tensors
from mlops_lab.store.golden import inputs_of


@pytest.mark.parametrize("make", PARAMETERS)
def test_a_kind_answers_as_its_own_framework_does(make, tmp_path):
    made = make()
    version, predictor = published(made, tmp_path, "mine")
    signature = predictor.signature
    assert signature == version.manifest.signature
    assert signature.task == made.task
    answers = tensors.run(predictor, tensors_of(made, signature))
    assert answers.keys() == made.answers.keys()
    for name, expected in made.answers.items():
        np.testing.assert_allclose(
            answers[name].reshape(expected.shape), expected, atol=made.tolerance, rtol=made.tolerance
        )
    if made.labels:
        assert made.labels in {spec.labels for spec in signature.outputs} or made.task == "other"
    card = (version.path / "README.md").read_text()
    assert "curl" in card and all(f"`{spec.name}`" in card for spec in (*signature.inputs, *signature.outputs))
    assert "curl" in version._repr_html_()
    framework = version.manifest.framework  # the packages of others say nothing of it
    assert ("keras" in version.manifest.versions) == (framework == "keras")
    assert ("scikit-learn" in version.manifest.versions) == (framework == "scikit-learn")
    assert framework not in ("xgboost", "lightgbm") or framework in " ".join(version.manifest.versions)


def test_there_are_at_least_25_kinds():
    assert len(KINDS) >= 25


@pytest.mark.parametrize("name", ["sklearn_pipeline", "text", "onnx_fixed_batch", "onnx_several_inputs"])
def test_one_example_alone_and_many_together(name, tmp_path):
    made = KINDS[name]()
    _, predictor = published(made, tmp_path, "mine")
    given = tensors_of(made, predictor.signature)
    together = tensors.run(predictor, given)
    for place in range(3):
        alone = tensors.run(predictor, {key: array[place : place + 1] for key, array in given.items()})
        for key, array in alone.items():
            np.testing.assert_allclose(array[0], together[key][place], rtol=1e-5, atol=1e-6)


def test_the_examples_become_pixels_where_they_are_pixels(tmp_path):
    made = KINDS["onnx_segmentation"]()
    version, predictor = published(made, tmp_path, "masks")
    (spec,) = predictor.signature.inputs
    assert (spec.size, spec.mode, spec.range) == ((8, 8), "rgb", (0.0, 1.0))
    golden = version.manifest.golden.examples
    assert golden[spec.name].dtype == np.uint8
    np.testing.assert_allclose(inputs_of(predictor.signature.inputs, golden)[spec.name], made.examples, atol=1e-6)


def test_publishing_says_nothing(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        published(KINDS["random_forest"](), tmp_path, "mine")
    assert capfd.readouterr() == ("", "")
