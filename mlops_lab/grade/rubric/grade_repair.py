"""grade-1: read the report of a classmate's submission, and repair it without writing it anew."""

from __future__ import annotations

from difflib import SequenceMatcher
from pathlib import Path

from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint, find
from mlops_lab.grade.handout import CLASSMATE, files_of
from mlops_lab.grade.results import CheckResult
from mlops_lab.grade.rubric import started
from mlops_lab.grade.rubric.images import MATERIAL
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.rubric.validate_server import BROKEN, failure, reference
from mlops_lab.grade.running import run_exercise

exercise = Exercise("grade-1", "Read a report and repair", kind="folder", names=("repair",),
                    section="Notebook 8, section 1", hints={
    **RAISES,
    "missing": Hint("{expected} is not in the folder.", "The repaired folder holds all that was handed in."),
    "no-start": Hint("The server did not start.", "The last line above is what Python said."),
    "fault": Hint("{id} still fails: {why}", "{advice}", "Read again what the report says of {id}."),
})  # fmt: skip
MOST_LINES = 40
MUTANTS = ("errors", "undivided", "order", "text")  # of validate-5; others take long, or ask for more than six repairs


def changed_lines(before: str, after: str) -> int:
    r"""Return how many lines of a text were changed, added or taken out; blank lines do not count.

    Examples
    --------
    >>> changed_lines("a\nb\nc", "a\nB\nc\n\nd")
    2
    """
    old, new = ([line.rstrip() for line in text.splitlines() if line.strip()] for text in (before, after))
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in codes if kind != "equal")


@exercise.check("lines", "Fewer than 40 lines are changed", points=2, hints={
    "rewritten": Hint("{count} lines differ.", "Whose is it now? A repair can be read beside what was there."),
    "untouched": Hint("Nothing is changed.", "The report names six faults, in three files."),
})  # fmt: skip
def lines(answer: Answer, case: Case) -> None:
    counts = {name: changed_lines(content.decode(), started.text_of(answer.path, name))
              for name, content in files_of(CLASSMATE).items() if not name.endswith(".md")}  # fmt: skip
    new = [path for path in _own_programs(answer.path) if path not in counts]
    counts |= {name: len(started.text_of(answer.path, name).splitlines()) for name in new}
    total = sum(counts.values())
    listed = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
    case.note(f"{total} lines: {listed}")
    case.expect(total, "This is what was handed in.", hint="untouched", received="no line changed")
    case.expect(total < MOST_LINES, "It was written anew.", hint="rewritten", count=total,
                share=0.5 * (total < 2 * MOST_LINES), expected=f"fewer than {MOST_LINES}",
                received=f"{total} ({listed})")  # fmt: skip


def _own_programs(folder: Path | None) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py")) if folder is not None else []


def _run(answer: Answer, case: Case, id: str) -> CheckResult:
    """Run the checks of an exercise of notebook 4 against the repaired server."""
    models = {"clothes.onnx": (MATERIAL / "clothes.onnx").read_bytes()}
    with started.server(answer.path, models) as server:
        return run_exercise(find(id), server, started.settings(case))


@exercise.check("describes", "GET describes the model: all of serve-1", points=1, timeout=120)
def describes(answer: Answer, case: Case) -> None:
    started.expect_full(case, [_run(answer, case, "serve-1")], hint="fault")


@exercise.check("answers", "POST answers as the model does: all of serve-2", points=1, held_out=20, timeout=180,
                covers="what serve-2 holds out")  # fmt: skip
def answers(answer: Answer, case: Case) -> None:
    started.expect_full(case, [_run(answer, case, "serve-2")], hint="fault")


@exercise.check("refuses", "Wrong requests are refused with a reason: all of serve-3", points=2, held_out=7,
                timeout=180, covers="other damaged files and forms", hints={
    "silenced": Hint("{id}: a bad request got 200.", "`except: pass` hides the fault from you and from the client.",
                     "Read again: what does the client learn from 400?"),
})  # fmt: skip
def refuses(answer: Answer, case: Case) -> None:
    result = _run(answer, case, "serve-3")
    silenced = any(part.key == "200" for part in result.parts)
    started.expect_full(case, [result], hint="silenced" if silenced else "fault")


@exercise.check("image", "The image serves others: all of deploy-1", points=1)
def image(answer: Answer, case: Case) -> None:
    path = answer.path / "Dockerfile" if answer.path is not None else None
    case.expect(path is not None and path.is_file() and not path.is_symlink(), "There is no Dockerfile.",
                hint="missing", expected="Dockerfile")  # fmt: skip
    found = run_exercise(find("deploy-1"), Answer(LocalTarget({}), ("Dockerfile",), path), started.settings(case))
    started.expect_full(case, [found], hint="fault")


@exercise.check("tests", "The test passes a right server, and fails four broken ones", points=2, timeout=120, hints={
    "test-repaired": Hint("The test that failed now asserts the wrong answer: {why}",
                          "The report blamed the server. A test says what is right, and stays.",
                          "Put the test back, and look at what the server answered."),
    "passes": Hint("The server that {what} passes the test.", "The report says which one the test lets through."),
})  # fmt: skip
def tests(answer: Answer, case: Case) -> None:
    with started.functions(answer.path, "test_api.py", "test_server") as student:
        why = failure(student, reference)
        case.expect(not why, "The test fails a right server.", hint="test-repaired",
                    why=why.split(" (line ")[0] or "it fails the course's own api.py", expected="passed",
                    received=why)  # fmt: skip
        missed = [key for key in MUTANTS if not failure(student, BROKEN[key][1]())]
    case.note(*(f"the server that {BROKEN[key][0]}: not caught" for key in missed))
    if missed:
        key = "test-repaired" if missed[0] == "errors" else "passes"
        case.fail(f"{len(missed)} of {len(MUTANTS)} broken servers pass.", hint=key, what=BROKEN[missed[0]][0],
                  why=f"a server that {BROKEN[missed[0]][0]} passes it", share=0.5 * (len(missed) == 1),
                  expected="none", received=", ".join(BROKEN[one][0] for one in missed))  # fmt: skip
