"""deploy-6: release, and back again. The world around the student's function is played, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_lab.grade.calls import Answer, Call
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("deploy-6", "Release, and back again", names=("release",), section="Notebook 6, section 6",
                    hints=RAISES)  # fmt: skip
TESTS = ("integration", "acceptance", "load")
ACTIONS = ("stage", *TESTS, "switch", "verify", "production", "clear", "note")


class World:
    """Staging and production of an invented shop.

    Parameters
    ----------
    before
        The version in production.
    breaks
        The action that fails: one of the tests, ``switch`` (halfway), ``verify`` (production is worse), or
        ``interrupt`` (Ctrl-C during the load test); empty where all goes well.

    Attributes
    ----------
    done : list of str
        The actions, in order, with what they were given.
    live : int
        The version in production.
    staged : int or None
        The version in staging, which costs money until it is cleared.
    notes : list of str
        The record.
    exposed : bool
        Whether customers asked a version before its tests were over.
    """

    def __init__(self, before: int, breaks: str = "") -> None:
        self.live, self.breaks = before, breaks
        self.done: list[str] = []
        self.notes: list[str] = []
        self.staged: int | None = None
        self.before, self.exposed = before, False

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return what a student's function is given, by name."""
        return {name: getattr(self, f"_{name}", None) or self._trial(name) for name in ACTIONS}

    def _trial(self, name: str) -> Callable[[], None]:
        def trial() -> None:
            self.done.append(name)
            self.exposed = self.exposed or (name in TESTS and self.live != self.before)
            if name == "load" and self.breaks == "interrupt":
                raise KeyboardInterrupt
            if self.breaks == name:
                raise RuntimeError(f"{name}: 3 of 40 requests got a wrong answer")

        return trial

    def _stage(self, version: Any) -> None:
        self.done.append("stage")
        self.staged = version

    def _switch(self, version: Any) -> None:
        self.done.append("switch")
        self.live = version
        if self.breaks == "switch" and self.done.count("switch") == 1:
            raise RuntimeError("switch: the balancer stopped answering")

    def _production(self) -> int:
        return self.live

    def _clear(self) -> None:
        self.done.append("clear")
        self.staged = None

    def _note(self, text: Any) -> None:
        self.notes.append(str(text))


def _played(answer: Answer, case: Case, breaks: str) -> tuple[World, Call, int]:
    """Let a student release a version in a world; return the world, what came of it, and the version."""
    before = int(case.rng.integers(20, 90)) if case.held_out else 3
    version = before + int(case.rng.integers(3, 9)) if case.held_out else 7
    world = World(before, breaks)
    return world, answer.release.call(version, world.actions()), version


def _refused(done: Call) -> bool:
    """Whether a release says that it failed: it raises, or gives False or an exit status."""
    return bool(done.error) or done.value is False or (type(done.value) is int and done.value != 0)


@exercise.check("good", "A good version goes through every step, in order", points=2, held_out=1,
                covers="other versions", hints={
    "switch-first": Hint("{steps}: customers asked an untested version.", "Test in staging; then switch."),
    "skipped": Hint("{step} was never done.", "Each step finds what the others cannot."),
    "order": Hint("The steps came as {steps}.", "stage, integration, acceptance, load, switch, verify."),
    "refused": Hint("All went well, and it says that it failed.", "True, or nothing, says that it is released."),
    "not-live": Hint("Version {live} is in production.", "switch(version) puts the new one there."),
})  # fmt: skip
def good(answer: Answer, case: Case) -> None:
    world, done, version = _played(answer, case, "")
    case.expect(not done.error, f"release raised {done.error}", hint="raises", received=done.error)
    steps = [step for step in world.done if step != "clear"]
    case.expect(not world.exposed, "It switched before the tests.", hint="switch-first", steps=", ".join(steps))
    wanted = ["stage", *TESTS, "switch", "verify"]
    absent = next((step for step in wanted if step not in steps), "")
    case.expect(not absent, "A step is left out.", hint="skipped", step=absent, expected=", ".join(wanted),
                received=", ".join(steps))  # fmt: skip
    case.expect(steps == wanted, "The steps come in another order.", hint="order", steps=", ".join(steps),
                expected=", ".join(wanted), received=", ".join(steps))  # fmt: skip
    case.expect(world.live == version, "Another version is in production.", hint="not-live", live=world.live,
                expected=version, received=world.live)  # fmt: skip
    case.expect(not _refused(done), "It says that it failed.", hint="refused", received=done.value)


BROKEN = (*TESTS, "switch", "verify", "interrupt")


@exercise.check("stops", "It stops at the first test that fails", points=1, held_out=3, covers="other versions", hints={
    "goes-on": Hint("{step} failed, and {after} was done all the same.", "What fails ends the release."),
    "switch-first": Hint("{step} failed, and the version had been in production.", "Test in staging; then switch."),
})  # fmt: skip
def stops(answer: Answer, case: Case) -> None:
    for breaks in TESTS:
        world, _, _ = _played(answer, case, breaks)
        place = world.done.index(breaks) if breaks in world.done else len(world.done)
        later = [step for step in world.done[place + 1 :] if step != "clear"]
        case.expect(not world.exposed, "It was switched before it was tested.", hint="switch-first", step=breaks)
        put_back = set(later) == {"switch"} and world.live == world.before
        case.expect(not later or put_back, "It went on.", hint="goes-on", step=breaks,
                    after=(later or [""])[0], expected="nothing", received=", ".join(later))  # fmt: skip


@exercise.check("back", "What was in production is there again", points=2, held_out=6, covers="other versions", hints={
    "minus-one": Hint("Before, version {before} stood there, and now {live}.",
                      "Versions are not counted one by one in production. Write down what was there."),
    "left": Hint("Version {live} is in production, and {breaks} failed.", "Put back what was there, whatever came."),
    "unverified": Hint("Nobody looked after the switch.", "verify says whether production is worse."),
})  # fmt: skip
def back(answer: Answer, case: Case) -> None:
    for breaks in BROKEN:
        world, _, version = _played(answer, case, breaks)
        case.expect(breaks != "verify" or "verify" in world.done, "It was not verified.", hint="unverified")
        key = "minus-one" if world.live == version - 1 else "left"
        case.expect(world.live == world.before, f"After a failure of {breaks} another version is in production.",
                    hint=key, before=world.before, live=world.live, breaks=breaks, expected=world.before,
                    received=world.live)  # fmt: skip


@exercise.check("nothing-left", "Nothing is left running in staging", points=1, held_out=7, covers="other versions",
                hints={
    "left-running": Hint("After {breaks} version {staged} still runs in staging.", "`finally`: clear() in every case."),
    "interrupted": Hint("After Ctrl-C version {staged} still runs in staging.",
                        "KeyboardInterrupt is no Exception: `finally`."),
})  # fmt: skip
def nothing_left(answer: Answer, case: Case) -> None:
    for breaks in ("", *BROKEN):
        world, _, _ = _played(answer, case, breaks)
        case.expect(world.staged is None, "Staging still runs.", hint="interrupted" if breaks == "interrupt" else
                    "left-running", staged=world.staged, breaks=breaks or "a good release", expected="nothing",
                    received=world.staged)  # fmt: skip


@exercise.check("says", "It says what happened, to whoever called it and in the record", points=1, held_out=7,
                covers="other versions", hints={
    "swallowed": Hint("{breaks} failed, and release returned {value}.",
                      "The machine that called you thinks it is released."),
    "no-note": Hint("After {breaks} nothing stands in the record.", "note(text): which version, and what came of it."),
    "no-step": Hint("The record says {note!r} after a failure of {breaks}.", "Which step was it?"),
})  # fmt: skip
def says(answer: Answer, case: Case) -> None:
    for breaks in ("", *BROKEN):
        world, done, _ = _played(answer, case, breaks)
        case.expect(not breaks or _refused(done), "A failure was not told.", hint="swallowed", breaks=breaks,
                    value=done.value, expected="False, or an error", received=done.value)  # fmt: skip
        case.expect(world.notes, "The record is empty.", hint="no-note", breaks=breaks or "a good release")
        named = not breaks or breaks == "interrupt" or any(breaks in note for note in world.notes)
        case.expect(named, "The record does not name the step.", hint="no-step", note=world.notes[-1], breaks=breaks,
                    share=0.5, expected=breaks, received=world.notes[-1])  # fmt: skip
