"""deploy-4: Kubernetes files with five mistakes. The linter must fall silent, and nothing else may change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mlops_lab.deploy import lint
from mlops_lab.deploy.lint.reading import read
from mlops_lab.errors import LabError
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import MATERIAL
from mlops_lab.grade.sandbox.tree import plain_files

exercise = Exercise("deploy-4", "Kubernetes: find the five", kind="folder", names=("k8s",),
                    section="Notebook 6, section 4")  # fmt: skip
GIVEN = MATERIAL / "k8s"
MOST_FILES, MOST_LEAVES, MOST_DEPTH = 20, 2000, 24
RULES = ("latest-tag", "missing-probe", "missing-requests", "pdb-blocks-drains", "service-selects-nothing")
CONTAINER = r"Deployment clothes: spec/template/spec/containers/0/"
# What a correction of the five may touch.
MAY_CHANGE = re.compile(
    r"Deployment clothes: spec/replicas"
    rf"|{CONTAINER}(image|startupProbe/.*|resources/requests/.*)"
    rf"|{CONTAINER}livenessProbe/(periodSeconds|failureThreshold|initialDelaySeconds|timeoutSeconds)"
    r"|Service clothes: spec/selector/.*"
)
Leaves = dict[str, Any]


def texts(folder: Path | None) -> dict[str, str]:
    """Return the YAML files of a folder, as far as they are of a size that people write."""
    found: dict[str, str] = {}
    if folder is None:
        return found
    for name in plain_files(folder):
        if name.suffix in (".yaml", ".yml") and len(found) < MOST_FILES:
            with open(folder / name, encoding="utf-8", errors="replace") as file:
                found[name.as_posix()] = file.read(64_000)
    return found


def leaves(files: dict[str, str]) -> Leaves:
    """Return every single value of the objects, by kind, name and path."""
    found: Leaves = {}
    for item in read(files).objects:
        for path, value in _walk(item.body, 0):
            found[f"{item.kind} {item.name}: {path}"] = value
            if len(found) > MOST_LEAVES:
                return found
    return found


def _walk(node: Any, depth: int) -> Iterator[tuple[str, Any]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        if isinstance(value, dict | list) and value and depth < MOST_DEPTH:
            yield from ((f"{key}/{path}", leaf) for path, leaf in _walk(value, depth + 1))
        else:
            yield str(key), value


@cache
def _given() -> Leaves:
    return leaves(texts(GIVEN))


@exercise.check("linter", "The linter finds nothing any more", points=3, needs="yaml", hints={
    "nothing": Hint("There are no Kubernetes objects.", "Correct the files that are given; do not leave them out."),
    "latest-tag": Hint("{found}", "Which version runs after the next node has pulled it?"),
    "missing-probe": Hint("{found}", "A slow start looks like a dead server: something has to wait for it once."),
    "missing-requests": Hint("{found}", "The scheduler reserves what is requested, and nothing else."),
    "pdb-blocks-drains": Hint("{found}", "How many pods are there, and how many must stay?"),
    "service-selects-nothing": Hint("{found}", "Compare the selector with the labels of the pods, letter by letter."),
    "other": Hint("{found}", "This one was not there before."),
})  # fmt: skip
def linter(answer: Answer, case: Case) -> None:
    try:
        report = lint.check(texts(answer.path))
    except LabError as error:
        case.fail(error.message)
    case.expect(report.objects, "There are no objects.", hint="nothing")
    left = sorted(report.rules)
    first = next((one for one in report.findings if one.name in RULES), next(iter(report.findings), None))
    key = first.name if first and first.name in RULES else "other"
    case.expect(not left, f"The linter still finds {len(left)} of its rules broken.", hint=key,
                share=max(0.0, 1 - len(left) / len(RULES)), found=first.message if first else "",
                expected="no problems", received=", ".join(left))  # fmt: skip


@exercise.check("same", "Nothing else changed", points=2, needs="yaml", after="linter", hints={
    "blind": Hint("{what} is gone.", "Silent now, and blind: nobody sees any more whether the server answers."),
    "pod-labels": Hint("{what} changed.", "The deployment's selector no longer fits what runs: it would never roll "
                       "out. Which side was wrong?"),
    "emptied": Hint("{what} changed.", "It may now be emptied completely during an upgrade."),
    "removed": Hint("{what} is gone.", "A correction keeps what was right."),
    "image": Hint("{what} is another image.", "Only its tag was wrong."),
    "other": Hint("{what} changed.", "It was right before. Change only what was wrong."),
})  # fmt: skip
def same(answer: Answer, case: Case) -> None:
    now, before = leaves(texts(answer.path)), _given()
    differ = [path for path in {**before, **now} if before.get(path, "(none)") != now.get(path, "(none)")]
    image = str(now.get("Deployment clothes: spec/template/spec/containers/0/image", ""))
    kept = image.partition("@")[0].rpartition("/")[2].partition(":")[0] == "clothes"
    wrong = [path for path in differ if not MAY_CHANGE.fullmatch(path)]
    first, key = (wrong or [""])[0], _kind(wrong, now)
    case.expect(not wrong, f"{len(wrong)} other values changed.", hint=key, what=first,
                share=0.5 if key == "other" and len(wrong) < 3 else 0,
                expected=f"{first}: {before.get(first, '(none)')}", received=str(now.get(first, "(none)")))  # fmt: skip
    case.expect(kept, "The image is another one.", hint="image", what=image, expected="clothes of a version",
                received=image)  # fmt: skip


def _kind(paths: list[str], now: Leaves) -> str:
    """Return which known mistake changed these values."""
    if any("Probe/" in path and path not in now for path in paths):
        return "blind"
    if any("labels/" in path or "matchLabels/" in path for path in paths):
        return "pod-labels"
    if any("minAvailable" in path or path.startswith("PodDisruptionBudget") for path in paths):
        return "emptied"
    return "removed" if any(path not in now for path in paths) else "other"
