"""deploy-5: TensorFlow Serving over the same folder: its configuration, and a request in its dialect."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_lab.deploy import serving_config
from mlops_lab.deploy.serving_messages import parse_config
from mlops_lab.errors import WrongUsage
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import answers, garments, model
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("deploy-5", "TensorFlow Serving, the same folder", names=("config", "ask"),
                    section="Notebook 6, section 5", hints=RAISES)  # fmt: skip
VERSIONS = [1, 2]
PATH = "/v1/models/clothes/labels/stable:predict"


@exercise.check("config", "models.config serves both versions, with their labels", points=2, needs="protobuf", hints={
    "bad-config": Hint("TensorFlow Serving cannot read this.", "name: value, messages in braces, texts in quotes."),
    "base-path": Hint("The base_path is another.", "The model's folder, as the container sees it: /models/clothes."),
    "newest": Hint("`model_version_policy` is missing: only the newest version is served.",
                   "Version 1 was unloaded when 2 came, and a label of it has nothing to stand for."),
    "labels": Hint("The labels are {received}.", "stable stands for version 1 and canary for 2."),
    "no-labels": Hint("No version has a label.", "version_labels: stable stands for version 1 and canary for 2."),
    "version-missing": Hint("A version that is not there is asked for.", "There are 1 and 2."),
})  # fmt: skip
def config(answer: Answer, case: Case) -> None:
    text = answer.value("config")
    case.expect(isinstance(text, str), "config is no text.", hint="bad-config", expected="the text of models.config",
                received=type(text).__name__)  # fmt: skip
    problems = list(serving_config.check(text, "clothes", VERSIONS))
    first = problems[0] if problems else None
    key = {"label-unserved": "newest", "not-configured": "bad-config"}.get(first.name, first.name) if first else ""
    case.expect(first is None, str(first.message) if first else "", hint=key)
    labels = _labels(text)
    said = ", ".join(f"{name} {one}" for name, one in labels.items())
    case.expect(labels == {"stable": 1, "canary": 2}, "The labels are others.", share=0.5,
                hint="labels" if labels else "no-labels", expected="stable 1, canary 2",
                received=said or "none")  # fmt: skip


def _labels(text: str) -> dict[str, int]:
    """Return the labels of the model clothes."""
    try:
        configs = parse_config(text).model_config_list.config
    except WrongUsage:
        return {}
    return {one.key: int(one.value) for found in configs if found.name == "clothes" for one in found.version_labels}


class Server:
    """Answers in TensorFlow Serving's dialect, and keeps what it was asked.

    Attributes
    ----------
    asked : list of tuple
        The address and the body of each request.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any]] = []

    def post(self, url: Any, body: Any) -> dict[str, Any]:
        """Answer as ``requests.post(url, json=body).json()`` does."""
        self.asked.append((url, body))
        instances = body.get("instances") if isinstance(body, dict) else None
        try:
            batch = np.asarray(instances, np.float32)
        except (TypeError, ValueError):
            return {"error": "instances are no numbers"}
        if batch.shape[1:] != (28, 28, 1):
            return {"error": f"instances have the shape {list(batch.shape)}, not [n, 28, 28, 1]"}
        return {"predictions": model("clothes").predict(batch).astype(float).tolist()}


@exercise.check("request", "The request is one that TensorFlow Serving understands", points=3, held_out=1,
                covers="other images and another address", needs="onnxruntime", hints={
    "path": Hint("The request went to {received}.", "The address names the model, the label and what to do with it."),
    "png": Hint("The body has no numbers.", "This server takes numbers, not images: the first two duties moved to the "
                "client."),
    "no-instances": Hint("The body has {received}.", "The row form has one key: instances."),
    "shape": Hint("The instances have the shape {received}.", "One row for each image, as the network takes it."),
    "not-divided": Hint("The values go up to {received}.",
                        "The SavedModel holds the network only: over there nobody divides for you."),
    "many": Hint("{n} requests for one batch.", "All rows go in one body."),
})  # fmt: skip
def request(answer: Answer, case: Case) -> None:
    server, images, address = _asked(answer, case)
    case.expect(len(server.asked) == 1, "There was not one request.", hint="many", n=len(server.asked), expected=1,
                received=len(server.asked), share=0.5 * bool(server.asked))  # fmt: skip
    url, body = server.asked[0]
    case.expect(url == address + PATH, "The address is another.", hint="path", expected=address + PATH, received=url)
    keys = list(body) if isinstance(body, dict) else type(body).__name__
    case.expect(isinstance(body, dict) and "instances" in body, "There are no instances.", hint="no-instances",
                expected="instances", received=keys)  # fmt: skip
    try:
        batch = np.asarray(body["instances"], np.float64)
    except (TypeError, ValueError):
        case.fail("The instances are no numbers.", hint="png", expected="numbers", received=str(body)[:80])
    wanted = (len(images), 28, 28, 1)
    case.expect(batch.shape == wanted, "The shape is another.", hint="shape", expected=wanted, received=batch.shape)
    highest = float(batch.max())
    key = "not-divided" if highest > 1.5 else ""
    right = np.allclose(batch[..., 0], images / 255, atol=1e-4)
    case.expect(right, "The values are others.", hint=key, expected="0 to 1", received=highest, share=0.3)


@exercise.check("answer", "ask gives the probabilities", points=1, after="request", held_out=1, covers="other images",
                needs="onnxruntime", hints={
    "whole": Hint("The whole answer came back.", "Unpack it: whoever asks wants the rows."),
})  # fmt: skip
def answered(answer: Answer, case: Case) -> None:
    server, images, address = _asked(answer, case)
    said = answer.ask(address, images, server.post)
    rows = answers(images, only=("right",))["right"]
    case.expect(not isinstance(said, dict), "ask gives the dict as it came.", hint="whole", received=str(said)[:60])
    try:
        close = np.allclose(np.asarray(said, np.float64), rows, atol=1e-4)
    except (TypeError, ValueError):
        close = False
    case.expect(close, "ask gives something else.", expected=f"{len(images)} rows of 10", received=str(said)[:60])


def _asked(answer: Answer, case: Case) -> tuple[Server, Any, str]:
    """Let a student ask once; return what the server saw, the images, and its address."""
    server, (images, _) = Server(), garments(case.rng, 5, held_out=case.held_out)
    address = f"http://serving-{case.seed % 100}:8501" if case.held_out else "http://127.0.0.1:8501"
    answer.ask.call(address, images, server.post)
    return server, images, address
