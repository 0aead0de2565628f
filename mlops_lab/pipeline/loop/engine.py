"""Runs steps: each once for the same inputs, each noted in the history before the next one begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlops_lab.errors import LabError, StoreError
from mlops_lab.files import explained
from mlops_lab.pipeline.environment import Environment
from mlops_lab.pipeline.local import LocalEnvironment, Server, Start
from mlops_lab.pipeline.loop.cache import StepCache, StepResult
from mlops_lab.pipeline.loop.canary import Traffic
from mlops_lab.pipeline.loop.config import LoopConfig
from mlops_lab.pipeline.loop.datasets import DatasetFolder
from mlops_lab.pipeline.loop.history import LoopEnded, LoopRun, next_run, write_run
from mlops_lab.pipeline.outcome import StageOutcome
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.pipeline.reporter import Reporter
from mlops_lab.pipeline.serve_command import ServeCommand
from mlops_lab.pipeline.stages import ReleaseContext, StageFailed
from mlops_lab.provenance import utc_now
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate import Expected, LoadTestConfig

Make = Callable[[Path], StepResult]


class Loop:
    """One run of the loop: its settings, its cache, its servers and what has happened so far.

    Parameters
    ----------
    config
        The settings.
    reporter
        Receives the progress.
    traffic
        What clients see while a canary is on; by default held-out examples are sent.
    start
        Starts a server over a folder of models; by default as a process.
    until
        The step after which to stop.
    """

    def __init__(
        self, config: LoopConfig, reporter: Reporter, traffic: Traffic | None, start: Start | None, until: str
    ) -> None:
        self.config, self.traffic, self.until = config, traffic, until
        self.store = ModelStore(config.models)
        self.cache = StepCache(config.work / "steps")
        self.datasets = DatasetFolder(config.work / "data")
        self.run = LoopRun(config.name, utc_now())
        self._reporter, self._start = reporter, start or ServeCommand
        self._production: Server | None = None
        self._contexts: dict[tuple[int, int | None], ReleaseContext] = {}
        self._lock = FileLock(config.work / ".lock")

    def __enter__(self) -> Loop:
        with explained(self.config.work):
            self.config.work.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as error:
                raise StoreError(f"Another loop works in {self.config.work}.", "Wait for its end.") from error
        self._path = next_run(self.config.work)
        self._note()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop what was started for this run, whatever happened."""
        try:
            for context in self._contexts.values():
                with suppress(LabError):
                    context.environment.close(passed=True)
            if self._production is not None:
                self._production.stop()
        finally:
            self._lock.release()

    def step(self, name: str, purpose: str, inputs: Mapping[str, Any], make: Make) -> Mapping[str, Any]:
        """Return what a step has made of its inputs, now or an earlier time.

        Parameters
        ----------
        name, purpose
            For the history and the reporter.
        inputs
            Plain values: all that the step depends on.
        make
            Runs it in a folder of its own.

        Raises
        ------
        Ended
            It failed.
        """
        key = self.cache.key(name, inputs)
        found = self.cache.find(name, key)
        if found is None:
            found = self._made(name, purpose, key, make)
        else:
            self._add(StageOutcome(name, "cached", 0.0, found.message))
        if name == self.until:
            raise LoopEnded("stopped", f"after {name}, as asked")
        return found.outputs

    def folder(self, name: str, inputs: Mapping[str, Any]) -> Path:
        """Return the folder of a step with these inputs, where it has left its files."""
        return self.cache.folder(name, self.cache.key(name, inputs))

    def _made(self, name: str, purpose: str, key: str, make: Make) -> StepResult:
        started = time.perf_counter()
        state, message, evidence, result, ended = "failed", "it was interrupted", {}, None, "refused"
        try:
            with self._reporter.stage_started(name, purpose):
                result = make(self.cache.begin(name, key))
                self.cache.keep(name, key, result)
            state, message, evidence = "passed", result.message, dict(result.evidence)
        except LoopEnded as end:  # the step has touched production, and knows the outcome
            ended, message, evidence = end.state, end.reason, dict(end.evidence)
        except StageFailed as error:
            message, evidence = error.message, dict(error.evidence)
        except LabError as error:
            message = str(error)
        finally:
            self._add(StageOutcome(name, state, round(time.perf_counter() - started, 3), message, evidence))
        if result is None or state == "failed":
            if ended != "stuck":  # production is as it was: another attempt begins with what is there then
                self.cache.forget_intent(name, key)
            raise LoopEnded(ended, f"{name}: {message}")
        return result

    def _add(self, outcome: StageOutcome) -> None:
        self.run = replace(self.run, outcomes=(*self.run.outcomes, outcome))
        self._note()
        self._reporter.stage_finished(outcome)

    def end(self, state: str, reason: str) -> None:
        """Note how the run ended."""
        self.run = replace(self.run, state=state, reason=reason)
        self._note()

    def _note(self) -> None:
        self.run = replace(self.run, production=self.store.aliases(self.config.name).get("production"))
        write_run(self._path, self.run)

    @property
    def url(self) -> str:
        """The address of production; a server takes its place where the settings name none."""
        if self.config.release.url:
            return self.config.release.url
        if self._production is None:
            self._production = self._start(self.config.models, seconds=self.config.release.ready_seconds)
        return self._production.url

    def plan(self, number: int) -> ReleasePlan:
        """Return the plan by which the stages of a release test a version."""
        settings = self.config.release
        return ReleasePlan(
            self.config.models,
            self.config.name,
            number,
            url=self.url,
            expected=Expected(milliseconds=settings.budget, images=50),
            load=LoadTestConfig(
                settings.clients, settings.seconds, milliseconds=settings.p99, per_second=settings.per_second
            ),
            ready_seconds=settings.ready_seconds,
            switch_seconds=settings.switch_seconds,
            why=f"the loop of {self.config.name}",
        )

    def context(self, number: int, before: int | None) -> ReleaseContext:
        """Return what the stages of a release share; staging is started by :meth:`staged`."""
        if (number, before) not in self._contexts:
            old = None if before is None else self.version(before)
            plan = self.plan(number)
            place: Environment = LocalEnvironment(plan, self._start)
            self._contexts[number, before] = ReleaseContext(plan, self.store, self.version(number), old, place)
        return self._contexts[number, before]

    def staged(self, number: int, before: int | None) -> ReleaseContext:
        """Return the same with a staging server that answers, also where it ran in a process that was killed."""
        context = self.context(number, before)
        if not context.staging:
            context.environment.build(context.version)
            context.staging = context.environment.start_staging()
        return context

    def version(self, number: int) -> ModelVersion:
        """Return a published version of the model."""
        return self.store.get(self.config.name, number)
