from contextlib import contextmanager

import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import BrokenChain, LabError, UnknownModel, UnknownVersion, WrongUsage
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import Chain, Limits, Registry
from mlops_lab.serve.chains.steps import Kind, StepResult
from mlops_lab.serve.core.admission import AdmissionController
from mlops_lab.serve.core.inference import InferenceService
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.traffic import Route, TrafficRouter


def answers(number, classes=2):
    """A model that always gives one class."""
    return lambda inputs: np.tile(np.eye(classes, dtype=np.float32)[number], (len(inputs), 1))


def model(name, version, *, shape=(64,), size=(8, 8), mode="grey", labels=("a", "b"), function=None):
    spec = InputSpec(shape=shape, size=size, mode=mode)
    return Predictor(name, version, spec, labels, PythonEngine(function or answers(0, len(labels))))


@pytest.fixture
def registry():
    return Registry.of(
        [
            model("reader", 1),
            model("reader", 2, function=answers(1)),
            model("other", 1, shape=(28, 28, 1), size=(28, 28), labels=("x", "y", "z")),
            model("colours", 1, shape=(8, 8, 3), mode="rgb"),
            model("second", 1, shape=(2,), size=None, labels=("even", "odd"), function=lambda rows: rows[:, ::-1]),
            model("broken", 1, function=lambda inputs: 1 / 0),
        ]
    )


@pytest.fixture
def two_marks():
    image = np.zeros((40, 60), np.uint8)
    image[5:35, 10:16] = image[5:35, 40:46] = 255
    return image


def run(chain, registry, image, service=None):
    service = service or InferenceService.over(registry)
    steps = chain.bind(lambda name, version: Route(registry.get(name, version)))
    return chain.run(steps, [image], service, RequestContext.begin())


def test_each_link_is_fed_with_what_the_one_before_gave(registry, two_marks):
    answer = run(Chain(["find-digits", "reader/v1", "join"], "number"), registry, two_marks)
    assert (answer["chain"], answer["answer"]) == ("number", "aa")
    find, read, join = answer["links"]
    assert find["boxes"] == [[10, 5, 6, 30], [40, 5, 6, 30]]
    assert read["model"] == "reader" and read["version"] == "v1" and len(read["predictions"]) == 2
    assert join["step"] == "join"
    assert all(link["milliseconds"] >= 0 for link in answer["links"])


def test_editing_one_word_swaps_the_model(registry, two_marks):
    said = {
        word: run(Chain(["find-digits", word, "join"]), registry, two_marks)["answer"]
        for word in ("reader", "reader/v1", "reader/latest", "other")
    }
    assert said == {"reader": "bb", "reader/v1": "aa", "reader/latest": "bb", "other": "xx"}


def test_a_model_can_feed_a_model(registry):
    answer = run(Chain(["reader/v1", "second"]), registry, np.zeros((8, 8), np.uint8))
    assert [link.get("predictions", [{}])[0].get("label") for link in answer["links"]] == ["a", "odd"]
    assert answer["answer"] == answer["links"][1]["predictions"]


def test_a_blank_image_has_an_empty_answer(registry):
    answer = run(Chain(["find-digits", "broken", "join"]), registry, np.zeros((40, 60), np.uint8))
    assert answer["answer"] == "" and answer["links"][1]["predictions"] == []


@pytest.mark.parametrize(
    ("links", "error", "said"),
    [
        (["find-digits", "colours", "join"], BrokenChain, "Link 2 (colours) of the chain 'c': colours v1 takes rgb"),
        (["find-digits", "second"], BrokenChain, "Link 2 (second) of the chain 'c': second v1 takes float32 arrays"),
        (["other", "second"], BrokenChain, "is given predictions of 3 classes"),
        (["join"], BrokenChain, "Link 1 (join)"),
        (["find-digits", "join"], BrokenChain, "Link 2 (join) of the chain 'c': 'join' takes predictions"),
        (["reader", "find-digits"], BrokenChain, "Link 2 (find-digits)"),
        (["find-digits"], BrokenChain, "ends with grey images"),
        (["find-digits", "raeder", "join"], UnknownModel, "Link 2 (raeder) of the chain 'c': There is no model"),
        (["find-digits", "reader/v9", "join"], UnknownVersion, "Link 2 (reader) of the chain 'c': The model 'reader'"),
    ],
)
def test_what_does_not_fit_is_told_by_its_link(registry, links, error, said):
    with pytest.raises(error) as raised:
        Chain(links, "c").bind(lambda name, version: Route(registry.get(name, version)))
    assert said in raised.value.message and said in raised.value.args[0]
    assert raised.value.hint


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([], "1 to 16"),
        ("find-digits", "1 to 16"),
        (["join"] * 17, "1 to 16"),
        (["find-digits", 3], "Link 2 (3) of the chain 'c': It is a int"),
        (["find-digits", {"modle": "x"}], "modle"),
        ([{"step": "fnd-digits"}], "no step 'fnd-digits'"),
        ([{"step": "find-digits", "margn": 1}], "no option 'margn'"),
        ([{"step": "find-digits", "margin": "wide"}], "margin"),
        ([{"step": "join", "separator": 5}], "separator"),
        ([{"model": "../etc"}], "cannot be the name"),
        ([{"model": ["reader"]}], "not strings"),
        ([{"model": "reader", "version": 1}], "not strings"),
    ],
)
def test_a_link_that_makes_no_sense_is_told(links, said):
    with pytest.raises(WrongUsage) as raised:
        Chain(links, "c")
    assert said in raised.value.message


def test_an_error_keeps_its_class_and_names_the_link(registry, two_marks):
    with pytest.raises(LabError) as raised:
        run(Chain(["find-digits", "broken", "join"], "c"), registry, two_marks)
    assert raised.value.code == "internal"
    assert raised.value.message.startswith("Link 2 (broken) of the chain 'c'")
    assert "division" not in str(raised.value)


def test_options_reach_the_steps(registry, two_marks):
    chain = Chain(
        [
            {"step": "find-digits", "margin": 0.5},
            {"model": "reader", "version": "v1"},
            {"step": "join", "separator": "-"},
        ]
    )
    assert run(chain, registry, two_marks)["answer"] == "a-a"
    assert chain.links[0].margin == 0.5


def test_a_step_and_a_predictor_of_ones_own(registry, two_marks):
    class Halves:
        name = "halves"
        input = None

        def gives(self, given):
            return given

        def run(self, value, limits):
            return StepResult([part for image in value for part in np.array_split(image, 2)], {"parts": 2})

    answer = run(Chain(["find-digits", Halves(), model("mine", 7), "join"]), registry, two_marks)
    assert answer["answer"] == "aaaa"
    assert answer["links"][1]["parts"] == 2 and answer["links"][2]["version"] == "v7"


def test_every_link_holds_its_own_place_while_it_works(registry, two_marks):
    seen = []

    class Recorded(AdmissionController):
        @contextmanager
        def admit(self, model, elapsed=0.0):
            seen.append(f"+{model}")
            with super().admit(model, elapsed):
                yield
            seen.append(f"-{model}")

    service = InferenceService(registry, Limits(), Recorded(Limits()), TrafficRouter(registry))
    run(Chain(["find-digits", "reader", "join"]), registry, two_marks, service)
    assert seen == ["+find-digits", "-find-digits", "+reader", "-reader", "+join", "-join"]


def test_a_chain_has_faces():
    chain = Chain(["find-digits", "digits/v1", "join"], "number", "Read <numbers>")
    assert chain.to_dict()["links"] == [{"step": "find-digits"}, {"model": "digits", "version": "v1"}, {"step": "join"}]
    assert "&lt;numbers&gt;" in chain._repr_html_()


def test_a_kind_says_what_it_is():
    assert str(Kind("predictions", labels=("a", "b"))) == "predictions of 2 classes"
