"""Notebook 4: your own inference server. The student's ``api.py`` runs, and is asked over HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.fingerprints import match
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric import serve_load, serve_many, serve_number, serve_requests
from mlops_lab.grade.rubric.answered import Classification
from mlops_lab.grade.rubric.images import LABELS, answers, garments, jpeg, png
from mlops_lab.grade.rubric.serve_errors import bad_requests
from mlops_lab.grade.rubric.serve_requests import (
    HINTS,
    ROUTE,
    as_json,
    classify,
    expect_ok,
    garment,
    get,
    own_work,
    rows,
)
from mlops_lab.grade.rubric.source import starts

COUNTS = (44426, 133280)

# 1 · GET

hello = Exercise("serve-1", "GET: describe the model", kind="server", names=("api.py",), hints=HINTS,
                 section="Notebook 4, section 1")  # fmt: skip


@hello.check("starts", "The server starts and answers", points=0, timeout=40)
def starts_and_answers(server: Server, case: Case) -> None:
    own_work(server, case)
    get(server, case, timeout=30)


@hello.check("status", "GET answers 200", points=1, after="starts")
def get_status(server: Server, case: Case) -> None:
    expect_ok(case, get(server, case), f"GET {ROUTE}")


@hello.check("json", "The answer is JSON, and says so", points=1, after="status")
def get_json(server: Server, case: Case) -> None:
    value = as_json(case, get(server, case), "The answer to GET")
    case.expect(isinstance(value, dict), "The answer is not a JSON object.", received=type(value).__name__)


@hello.check("keys", "Name, version, description and number of parameters", points=1, after="json", hints={
    "missing-key": Hint("{key!r} is missing.", "The course's table names four keys; clients rely on each."),
    "count": Hint(
        "{count} is not the number of parameters of this model.",
        "44,426 are the weights; 133,280 is what the file holds: the weights and 88,854 variables of Adam.",
    ),
})  # fmt: skip
def get_keys(server: Server, case: Case) -> None:
    value = get(server, case).json()
    for key, kind in (("name", str), ("version", str), ("description", str), ("number_of_parameters", int)):
        case.expect(key in value, f"The key {key!r} is missing.", hint="missing-key", key=key,
                    expected="name, version, description, number_of_parameters", received=", ".join(value))  # fmt: skip
        right = isinstance(value[key], (str, int) if key == "version" else kind) and not isinstance(value[key], bool)
        case.expect(right, f"{key!r} is {type(value[key]).__name__}.", expected=kind.__name__, received=value[key])
    case.expect(value["name"] == "clothes", "The name is not that of the model.", expected="clothes",
                received=value["name"])  # fmt: skip
    count = value["number_of_parameters"]
    case.expect(count in COUNTS, "The number of parameters is another.", hint="count", count=count,
                expected="44426 (the weights) or 133280 (with Adam's variables)", received=count)  # fmt: skip


@hello.check("elsewhere", "404 where there is nothing", points=1, after="starts", held_out=1,
             covers="an address that nobody can foresee", hints={
    "everywhere": Hint("{path} got {status}.", "A server that says yes to every address hides typing errors."),
})  # fmt: skip
def nothing_elsewhere(server: Server, case: Case) -> None:
    path = f"/models/nothing-{case.seed % 10_000}/v1" if case.held_out else "/no-such-route"
    status = get(server, case, path).status
    case.expect(status == 404, f"{path} got {status}.", hint="everywhere", expected=404, received=status,
                path=path, status=status)  # fmt: skip


@hello.check("import", "Importing the file starts no server", points=1, hints={
    "runs": Hint(
        "Line {line} starts a server whenever the file is imported.",
        "Importing the file started a server and never came back: flask run, a test and a production server import it.",
        'Read again: if __name__ == "__main__".',
    ),
})  # fmt: skip
def imports_quietly(server: Server, case: Case) -> None:
    for one in starts(server.source):
        case.expect(one.guarded, f"Line {one.line} starts a server at import.", hint="runs", line=one.line)
        if one.everywhere and one.debug:
            case.warn(
                "debug=True with host='0.0.0.0': anybody who reaches this machine gets a Python prompt on it. Fine on "
                "127.0.0.1, never on 0.0.0.0."
            )


# 2 · POST, the five duties

PREPARED = {
    "not-divided": Hint(
        "Exactly what the model says to pixels 0–255: they were not divided.",
        "It is right for 83 of 100 like that, which is why nobody notices.",
        "Use the preparation of training: notebook 1, data-3.",
    ),
    "divided-twice": Hint("Exactly what the model says to pixels divided twice.", "Two places of your code prepare."),
    "whole-numbers": Hint("Exactly what whole-number division leaves: only 0 and 1.", "// divides whole numbers."),
    "transposed": Hint("Exactly what the model says to images turned over their diagonal.", "Rows are rows of pixels."),
    "inverted": Hint("Exactly what the model says to dark garments on light ground.", "Training had light on dark."),
    "inverted-not-divided": Hint("Exactly what it says to inverted pixels 0–255.", "Two preparations are wrong."),
    "mirrored": Hint("Exactly what the model says to mirrored images.", "Left is left in the training images."),
    "upside-down": Hint("Exactly what the model says to images upside down.", "The first row is the top."),
    "minus-one-to-one": Hint("Exactly what it says to pixels from −1 to 1.", "This model was trained on 0 to 1."),
    "standardised": Hint("Exactly what it says to pixels of mean 0 and deviation 1.", "Trained on 0 to 1."),
    "own-maximum": Hint("Exactly what it says to pixels divided by their own maximum.", "Divide by 255, always."),
    "black-and-white": Hint("Exactly what it says to only black and white.", "convert('1') throws the greys away."),
    "cropped": Hint("Exactly what it says to images resized and cropped.", "They have 28×28 pixels already."),
    "swapped": Hint("The right numbers, in another order.", "The order of the labels is the order of training."),
}  # fmt: skip

duties = Exercise("serve-2", "POST: the five duties", kind="server", names=("api.py",), hints={**HINTS, **PREPARED},
                  section="Notebook 4, section 2")  # fmt: skip


def _ask(server: Server, case: Case, count: int) -> tuple[list[Classification], Any, Any]:
    # Seeded by the exercise and not by the check: what a model of one's own says to them is computed once.
    shared = Case("serve-2", case.secret if case.held_out else None)
    images, labels = garments(shared.rng, count, held_out=case.held_out)
    return [classify(server, case, png(one)) for one in images], images, labels


duties.check("answers", "POST of an image answers 200", points=0, timeout=40)(serve_requests.answers)


@duties.check("package", "Packaged: a label's name, and ten probabilities that sum to 1", points=1, after="answers",
              held_out=3, covers="other images", hints={
    "no-probabilities": Hint("No list of ten numbers is in the answer.", "A client wants to know how sure it is."),
    "no-label": Hint("No label is in the answer.", "People read names; put the winner's name beside the numbers."),
    "sum": Hint("The ten probabilities sum to {sum:.3f}.", "Softmax once, in the model; and no rounding."),
    "winner": Hint("The label is {label}, the largest probability is that of {winner}.", "Both come from one argmax."),
})  # fmt: skip
def package(server: Server, case: Case) -> None:
    for one in _ask(server, case, 3)[0]:
        case.expect(one.probabilities, "There are no ten probabilities.", hint="no-probabilities")
        total = sum(one.probabilities)
        case.expect(abs(total - 1) < 1e-3, f"The probabilities sum to {total:.4f}.", hint="sum", sum=total,
                    expected=1, received=f"{total:.4f}")  # fmt: skip
        case.expect(one.name or one.index is not None, "There is no label.", hint="no-label")
        if not one.name:
            case.warn("The label is only a number; people read names.")
        answered_class = _answered_class(one)
        case.expect(answered_class == one.best, "Label and probabilities disagree.", hint="winner",
                    label=LABELS[answered_class or 0], winner=LABELS[one.best or 0])  # fmt: skip


@duties.check("send", "Sent as JSON, and GET still works", points=1, after="answers", hints={
    "get-broken": Hint("GET got {status} since POST is there.", "Two methods of one address, two functions or an if."),
})  # fmt: skip
def send(server: Server, case: Case) -> None:
    classify(server, case, garment(case))
    status = get(server, case).status
    case.expect(status == 200, f"GET {ROUTE} got {status}.", hint="get-broken", expected=200, received=status,
                status=status)  # fmt: skip


@duties.check("model", "The model was applied: the answers depend on the image, and most are right", points=1,
              after="answers", held_out=20, covers="garments that nobody has seen before", timeout=90, hints={
    "constant": Hint("Every image got the same answer.", "Does the image of this request reach the model?"),
    "wrong": Hint("{right} of {count} images were recognised.", "Is the trained model loaded?"),
})  # fmt: skip
def apply_model(server: Server, case: Case) -> None:
    found, images, labels = _ask(server, case, 20)
    got = [one.best if one.probabilities else _answered_class(one) for one in found]
    numbers = rows(found)
    key = fingerprint(server, numbers, images)
    varied = len(set(got)) > 1 and (not len(numbers) or np.ptp(numbers, axis=0).max() > 1e-6)
    case.expect(varied, "Every image got the same answer.", hint="constant" if key == "unknown" else key)
    right = sum(one == label for one, label in zip(got, labels.tolist(), strict=True))
    # Guessing recognises 2 of 20; eight of them is once in some 2,000 tries.
    case.expect(right >= 8, f"{right} of {len(got)} garments were recognised.", hint=key.replace("unknown", "wrong"),
                right=right, count=len(got), expected="at least 8", received=right)  # fmt: skip


def _answered_class(one: Classification) -> int | None:
    return LABELS.index(one.name) if one.name else one.index


def fingerprint(server: Server, numbers: Any, images: Any) -> str:
    """Return which mistake gives these answers; empty where the answers are right or nobody's."""
    from mlops_lab.grade.rubric.own_model import candidates

    for known in candidates(server, images):
        key = match(numbers, known)
        if key:
            return "" if key == "right" else key
        if len(numbers) and np.allclose(np.sort(numbers, axis=1), np.sort(known["right"], axis=1), atol=1e-4):
            return "swapped"
    return "unknown"


@duties.check("prepare", "Prepared as in training: probabilities equal to 0.0001", points=1, after="model", held_out=20,
              covers="garments that nobody has seen before", timeout=30, hints={
    "unknown": Hint("The numbers are not those of the model.", "Compare your preparation with that of training."),
})  # fmt: skip
def prepare(server: Server, case: Case) -> None:
    found, images, _ = _ask(server, case, 20)
    numbers = rows(found)
    case.expect(len(numbers), "There are no ten probabilities to compare.")
    key = fingerprint(server, numbers, images)
    right = answers(images, only=("right",))["right"]
    worst = int(np.abs(numbers - right).max(axis=1).argmax())
    case.expect(not key, "The probabilities are not those of the model.", hint=key,
                expected=_listed(right[worst]), received=_listed(numbers[worst]))  # fmt: skip


def _listed(row: Any) -> str:
    return " ".join(f"{one:.4f}" for one in row)


@duties.check("retrieve", "Taken out of the request: raw body and form field, PNG and JPEG", points=1, after="model",
              held_out=5, covers="other JPEG files, and forms", hints={
    "400": Hint("{what} was refused.", "Clients send the image as the body, or in the form field image."),
    "raw-form": Hint("One image got two answers: {raw} as the body, {form} in a form.", "One function reads both."),
})  # fmt: skip
def retrieve(server: Server, case: Case) -> None:
    images, _ = garments(case.rng, 5, held_out=case.held_out)
    for one in images:
        sent = jpeg(one)
        raw, in_form = classify(server, case, sent), classify(server, case, png(sent.pixels), field="image")
        same = np.allclose(raw.probabilities, in_form.probabilities, atol=1e-3) if raw.probabilities else raw == in_form
        case.expect(same, "The same pixels got two answers.", hint="raw-form", raw=raw.name, form=in_form.name)


# 3 · When the client is wrong

mistakes = Exercise("serve-3", "When the client is wrong", kind="server", names=("api.py",), hints=HINTS,
                    section="Notebook 4, section 3")  # fmt: skip
bad_requests(mistakes)

# 4, 5, 6

load_once = serve_load.exercise
many = serve_many.exercise
chain = serve_number.exercise
