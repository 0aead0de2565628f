"""What the images of deploy-1 and deploy-3 are built of, and asked."""

from __future__ import annotations

from pathlib import Path

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.containers import Engine
from mlops_lab.grade.exercises import Hint
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric.answered import Classification
from mlops_lab.grade.rubric.images import LABELS, MATERIAL, garments, png
from mlops_lab.grade.rubric.serve_requests import HINTS as REQUEST_HINTS
from mlops_lab.grade.rubric.serve_requests import classify, garment
from mlops_lab.grade.sandbox.tree import copy_submission, put

FIRST_SECONDS = 30.0  # a server may load its model at its first request
LATE_SECONDS = 10.0
IMAGES = 12
MOST_WRONG = 5  # a model of one's own is not always right; an answer that does not depend on the image seldom is

HINTS = {
    **{key: hint for key, hint in REQUEST_HINTS.items() if key not in ("library", "no-start", "never-loaded")},
    "build": Hint('The build stopped with "{last}".', "What is copied must be there, and what is installed exist."),
    "build-late": Hint("The build took longer than {time:.0f} s.", "Something in it waits, or fetches very much."),
    "ended": Hint('The container ended with "{last}".', "Inside there is only what you copied and installed."),
    "unreached": Hint(
        "Nobody listens at {ports}, as seen from outside of the container.",
        "It listens on the container's own loopback, or at another port than the one that EXPOSE names.",
    ),
    "wrong": Hint("{wrong} of {count} garments got another label.", "Is it the model that you trained, and are its "
                  "images prepared as they were then?"),
}  # fmt: skip


def engine(case: Case) -> Engine:
    """Return a network for containers, which is removed with all that was made in it when the check has ended."""
    made = Engine()
    case.afterwards(made.close)
    return made


def context(answer: Answer, case: Case) -> Path:
    """Return a copy of the submission to build from, with the shipped model where it brings none."""
    folder = case.scratch / "context"
    if answer.path is None:
        raise Failed("There is no such file.", hint="missing")
    for left_out in copy_submission(answer.path.parent, folder):
        case.warn(left_out)
    if not (folder / "models").exists():
        put(folder, Path("models", "clothes.keras"), (MATERIAL / "clothes.keras").read_bytes())
    return folder


def place(found: Classification) -> int | None:
    """Return the place of what an answer says, by its label or by its probabilities."""
    if found.name:
        return LABELS.index(found.name)
    return found.best if found.index is None else found.index


def answers(server: Server, case: Case) -> None:
    """Ask a server about garments, and fail where too many of its answers are wrong."""
    images, labels = garments(case.rng, IMAGES, held_out=case.held_out)
    found = [place(classify(server, case, png(one), timeout=FIRST_SECONDS)) for one in images]
    wrong = sum(one != int(label) for one, label in zip(found, labels, strict=True))
    case.expect(wrong <= MOST_WRONG, "The labels are not those of the garments.", hint="wrong", wrong=wrong,
                count=IMAGES, expected=f"at most {MOST_WRONG} wrong", received=wrong)  # fmt: skip


def ask(server: Server) -> str:
    """Ask once about a garment that everybody sees; return ``"late"`` or ``"lost"``, and nothing for an answer."""
    silent = Case("deploy-3.runs")
    try:
        classify(server, silent, garment(silent), timeout=LATE_SECONDS)
    except Failed as failed:
        return "late" if failed.key == "late" else "lost"
    return ""
