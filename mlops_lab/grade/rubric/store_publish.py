"""store-6: publish whole or not at all. The student's function is stopped before each of its file operations."""

from __future__ import annotations

from typing import Any

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.returned import single
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.shared_folder import SharedFolder

exercise = Exercise("store-6", "Publish whole or not at all", names=("publish", "verify"), core=False,
                    section="Notebook 3, section 6", hints=RAISES)  # fmt: skip
MOST = 40  # operations before which it is stopped, at most
NAMES = ("labels.json", "manifest.txt", "model.onnx", "notes/how.md", "weights.bin")


def _source(shared: SharedFolder, case: Case, name: str = "source") -> dict[str, bytes]:
    """Put a folder of five files in the shared folder, each with its own content, and return it."""
    files = {inside: case.rng.bytes(200 + 50 * place) for place, inside in enumerate(NAMES)}
    for inside, content in files.items():
        shared.put(f"{name}/{inside}", content)
    return files


def _published(shared: SharedFolder, version: int, store: str = "store") -> dict[str, bytes | None]:
    """Return the files of a version as a reader of the store sees them; empty where there is no such version."""
    below = f"{store}/{version}"
    return {name: shared.read(f"{below}/{name}") for name in shared.files(below)}


def _holds(found: dict[str, bytes | None], files: dict[str, bytes]) -> bool:
    return all(found.get(name) == content for name, content in files.items())


def _at(shared: SharedFolder, source: str, version: int, store: str) -> tuple[Any, ...]:
    return shared.path(source), shared.path(store), version


@exercise.check("publishes", "A version is a folder of the store with all files", points=1, hints={
    "not-there": Hint("There is no {absent} in the store.", "publish(source, store, 3) makes store/3 with every file."),
})  # fmt: skip
def publishes(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    files = _source(shared, case)
    answer.publish(*_at(shared, "source", 3, "store"))
    found = _published(shared, 3)
    absent = next((name for name, content in files.items() if found.get(name) != content), "")
    case.expect(not absent, "The version is not whole.", hint="not-there", absent=f"3/{absent}", expected=len(files),
                received=len(found))  # fmt: skip


@exercise.check("interrupted", "Stopped before any file operation, there is a whole version or none", points=3,
                after="publishes", timeout=60, hints={
    "half": Hint(
        "Stopped before operation {n}, a server would have loaded {found} of {files} files.",
        "Build beside it, then rename.",
    ),
    "never": Hint("{n} operations, and it was not finished.", "Five small files need less than that."),
})  # fmt: skip
def interrupted(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    files = _source(shared, case)
    for before in range(1, MOST + 1):
        store = f"store-{before}"
        ended = answer.publish.until(before, *_at(shared, "source", 3, store))
        found = _published(shared, 3, store)
        case.expect(not found or _holds(found, files), "Half a version was seen.", hint="half", n=before,
                    found=sum(found.get(name) == content for name, content in files.items()), files=len(files),
                    expected="5 files or none", received=f"{len(found)} files")  # fmt: skip
        if ended != "stopped":
            return
    case.fail("It was never finished.", hint="never", n=MOST)


@exercise.check("unchanged", "A version that is there is never changed", points=1, after="publishes", hints={
    "changed": Hint("Version 3 changed after it was published.", "Whoever wrote down its results cannot repeat them."),
    "silent": Hint("The second publish of version 3 was not refused.", "Whoever asked must hear that it is taken."),
})  # fmt: skip
def never_changed(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    files = _source(shared, case)
    _source(shared, case, "other")
    answer.publish(*_at(shared, "source", 3, "store"))
    before = _published(shared, 3)
    done = answer.publish.call(*_at(shared, "other", 3, "store"))
    case.expect(_published(shared, 3) == before and _holds(before, files), "The version is another.", hint="changed")
    case.expect(bool(done.error) or done.value is False, "Nothing said that the version is taken.", hint="silent",
                expected="an error", received=done.value, share=0.5)  # fmt: skip


@exercise.check("race", "Of two publishers at once the first one done wins", points=1, after="interrupted", timeout=60,
                hints={
    "mixed": Hint("Overtaken before operation {n}, the version held files of both.",
                  "Each builds in a folder of its own, and the rename decides."),
    "replaced": Hint("Overtaken before operation {n}, your function replaced the version of the other.",
                     "Both saw that there was none. The rename decides who was first: it must fail on a folder that is "
                     "there."),
})  # fmt: skip
def race(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    first, second = _source(shared, case), _source(shared, case, "other")
    for before in range(1, MOST + 1):
        alone, store = f"alone-{before}", f"store-{before}"
        if answer.publish.until(before, *_at(shared, "source", 3, alone)) != "stopped":
            return
        done_before = bool(_published(shared, 3, alone))
        answer.publish.until(before, *_at(shared, "source", 3, store), others=_at(shared, "other", 3, store))
        found = _published(shared, 3, store)
        winner, loser = (first, second) if done_before else (second, first)
        key = "replaced" if _holds(found, loser) else "mixed"
        case.expect(_holds(found, winner), "The version is not that of the first one done.", hint=key, n=before,
                    expected="the first one done", received="the other" if key == "replaced" else "both")  # fmt: skip


@exercise.check("verify", "A flipped bit, a missing file and a truncated one are found", points=2, after="publishes",
                held_out=3, covers="other places", hints={
    "accused": Hint("verify accuses a version that nobody touched: {said}.", "Ask it right after publishing."),
    "sizes": Hint("The flipped bit was not found.", "It has the same size: compare digests."),
    "missing": Hint("A missing file was not found.", "Write down at publishing what must be there."),
    "truncated": Hint("A truncated file was not found.", "Compare what is there with what was written down."),
})  # fmt: skip
def verifies(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    files = _source(shared, case)
    name = case.choose(NAMES, 1)[0] if case.held_out else "weights.bin"
    content = files[name]
    place = int(case.rng.integers(len(content)))
    damages = {
        "accused": content,
        "sizes": content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :],
        "truncated": content[:-1],
        "missing": None,
    }
    for version, (kind, damaged) in enumerate(damages.items(), 1):
        answer.publish(*_at(shared, "source", version, "store"))
        if damaged is None:
            shared.remove(f"store/{version}/{name}")
        elif kind != "accused":
            shared.put(f"store/{version}/{name}", damaged)
        done = answer.verify.call(shared.path(f"store/{version}"))
        value = single(case, done.value, "What verify returned")
        said = done.error or ("" if value is True else "not whole" if value is False else value or "")
        case.expect(bool(said) == (kind != "accused"), "verify says something else.", hint=kind, said=said,
                    expected="nothing" if kind == "accused" else f"{name} is damaged", received=said)  # fmt: skip
