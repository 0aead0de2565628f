"""The steps that production sees: canary, promote, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_lab.errors import LabError
from mlops_lab.pipeline import stages
from mlops_lab.pipeline.environment import wait_until
from mlops_lab.pipeline.loop.cache import StepResult, intend
from mlops_lab.pipeline.loop.canary import from_log, replay, run_canary
from mlops_lab.pipeline.loop.datasets import joined
from mlops_lab.pipeline.loop.history import LoopEnded
from mlops_lab.pipeline.loop.versions import Candidate, plain
from mlops_lab.pipeline.stages import ReleaseContext
from mlops_lab.validate.target import ServerUnderTest, expect

if TYPE_CHECKING:
    from mlops_lab.pipeline.loop.engine import Loop


def try_canary(loop: Loop, candidate: Candidate) -> None:
    """Give a version a small share of the requests; a version that is worse goes back."""
    settings = loop.config.canary

    def make(folder: Path) -> StepResult:
        before = intend(folder, lambda: {"before": loop.store.aliases(loop.config.name).get("production")})["before"]
        target = ServerUnderTest(loop.url, loop.version(candidate.number), f"v{candidate.number}")
        seconds = loop.config.release.switch_seconds
        wait_until(lambda: target.client.info(target.name, target.address), seconds)  # production has loaded it
        traffic = loop.traffic
        if traffic is None and settings.traffic == "log":
            traffic = from_log(loop.config.monitor.log, loop.config.name, (before, candidate.number))
        if traffic is None:
            dataset, fresh = loop.datasets.load(candidate.data)
            seen = dataset.test if fresh is None else joined(dataset.test.sample(len(fresh)), fresh)
            traffic = replay(loop.url, loop.config.name, seen)

        def ready() -> None:
            wait_until(lambda: _expect_canary(target, candidate.number), seconds)

        found = run_canary(loop.store, loop.config.name, candidate.number, traffic, settings, ready)
        return StepResult(found.reason, {"passed": found.passed, "before": before}, found.to_dict())

    inputs = {"digest": candidate.digest, "canary": asdict(settings)}
    found = loop.step("canary", f"Give it {settings.share}% of the requests", inputs, make)
    if not found["passed"]:
        _go_back(loop, candidate, found["before"])


def _expect_canary(target: ServerUnderTest, number: int) -> None:
    """Raise unless production shares its requests with a version."""
    shared = target.get(f"/models/{target.name}/traffic")["canary"] or {}
    expect(f"v{number}" in shared, f"production does not share its requests with v{number}")


def _expect_no_canary(target: ServerUnderTest) -> None:
    """Raise while production shares its requests."""
    shared = target.get(f"/models/{target.name}/traffic")["canary"]
    expect(not shared, f"production still shares its requests: {shared}")


def _go_back(loop: Loop, candidate: Candidate, before: int | None) -> None:
    """End the canary, and check that production answers as before."""

    def make(folder: Path) -> StepResult:
        context = loop.context(candidate.number, before)
        assert context.before is not None, "a canary needs another version in production"
        target = ServerUnderTest(loop.url, context.before, "production")
        try:
            # The share has ended on the disk, which production looks at once a second.
            wait_until(lambda: _expect_no_canary(target), loop.config.release.switch_seconds)
            found = stages.check_production(context, context.before)
        except LabError as error:
            raise _stuck(error) from error
        return StepResult(found.message, {}, plain(found.evidence))

    loop.step("roll back", "Leave production as it was", {"digest": candidate.digest, "before": before}, make)
    raise LoopEnded("rolled back", next(one.message for one in loop.run.outcomes if one.name == "canary"))


def promote(loop: Loop, candidate: Candidate) -> None:
    """Move the alias once production has loaded the version, and verify; go back where that fails."""

    def make(folder: Path) -> StepResult:
        before = intend(folder, lambda: {"before": loop.store.aliases(loop.config.name).get("production")})["before"]
        context = loop.context(candidate.number, before)
        try:
            if loop.store.aliases(loop.config.name).get("production") == candidate.number:
                said, context.touched = "production has it already", True  # the alias was moved before the kill
            else:
                said = stages.promote(context).message
            found = stages.verify(context)
        except BaseException as error:  # a bug, and Ctrl-C, must not leave production half switched either
            if context.touched:
                ended = _roll_back(context, error)
                if ended.state == "stuck" or isinstance(error, Exception):
                    raise ended from error
            raise
        return StepResult(f"{said}; {found.message}", {"before": before}, plain(found.evidence))

    loop.step("promote", "Move the alias, and verify production", {"digest": candidate.digest}, make)


def _roll_back(context: ReleaseContext, error: BaseException) -> LoopEnded:
    """Restore the version before, and return how that ended."""
    reason = error.message if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
    try:
        back = stages.roll_back(context)
    except Exception as failed:
        return _stuck(failed, reason)
    return LoopEnded("rolled back", f"{reason} Rolled back: {back.message}", back.evidence)


def _stuck(error: Exception, reason: str = "") -> LoopEnded:
    text = f"{reason} Production is not as it was: {error} Check it now.".lstrip()
    return LoopEnded("stuck", text, getattr(error, "evidence", None))
