"""Run the stages of a release, stop at the first failure, and roll back where production was touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from mlops_lab.errors import LabError
from mlops_lab.pipeline import journal
from mlops_lab.pipeline.containers import ContainerEnvironment
from mlops_lab.pipeline.environment import Environment
from mlops_lab.pipeline.local import LocalEnvironment
from mlops_lab.pipeline.outcome import Release, StageOutcome
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.pipeline.reporter import Reporter, SilentReporter
from mlops_lab.pipeline.stages import STAGES, ReleaseContext, Stage, StageFailed, roll_back
from mlops_lab.provenance import user_name, utc_now
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion

ENVIRONMENTS: dict[str, Callable[[ReleasePlan], Environment]] = {
    "local": LocalEnvironment,
    "docker": ContainerEnvironment,
    "compose": ContainerEnvironment,
}


def release(plan: ReleasePlan, reporter: Reporter | None = None, environment: Environment | None = None) -> Release:
    """Bring a version into production, or leave production as it was.

    Parameters
    ----------
    plan
        The version, the environment, and the limits.
    reporter
        Receives the progress of each stage; by default nothing is reported.
    environment
        An environment to use instead of the plan's: any object with the methods of
        :class:`~mlops_lab.pipeline.environment.Environment`.

    Returns
    -------
    Release
        Its ``state`` is ``"released"``, ``"refused"``, ``"rolled back"`` or ``"stuck"``. It is also stored in
        ``evidence/`` beside the version, and in the model's history.

    Raises
    ------
    UnknownModel, UnknownVersion
        The message names those that exist.
    StoreError
        Another release of the model is running.

    Examples
    --------
    >>> release(ReleasePlan("models", "clothes", 2)).state  # doctest: +SKIP
    'released'
    """
    store = ModelStore(plan.models)
    version = store.get(plan.name, plan.version)
    with journal.release_lock(store.root / plan.name):
        before = in_production(store, plan)  # may fail, so before an environment makes its folders
        place = environment or ENVIRONMENTS[plan.environment](plan)
        context = ReleaseContext(plan, store, version, before, place)
        run = _Run(context, reporter or SilentReporter())
        try:
            run.run_stages()
        finally:  # also when somebody presses Ctrl-C
            run.finish()
    return run.release


def in_production(store: ModelStore, plan: ReleasePlan) -> ModelVersion | None:
    """Return the version that the alias points at; ``None`` where there is no such alias."""
    number = store.aliases(plan.name).get(plan.alias)
    return None if number is None else store.get(plan.name, number)


class _Run:
    """A running release; its state is written to disk after each stage."""

    def __init__(self, context: ReleaseContext, reporter: Reporter) -> None:
        self._context, self._reporter = context, reporter
        plan, before = context.plan, None if context.before is None else context.before.version
        version = context.version.version
        self.release = Release(plan.name, version, plan.environment, before, before, utc_now(), user_name(), plan.why)

    def run_stages(self) -> None:
        """Run the stages until one fails."""
        if all(self._run_stage(stage).passed for stage in STAGES):
            self._update("released")

    def finish(self) -> None:
        """Roll back a release that failed, clean up, and record the result."""
        try:
            if not self.release.passed:
                self._undo()
        finally:
            self._context.environment.close(passed=self.release.passed)
            journal.record(self._context.store, self.release)

    def _undo(self) -> None:
        if not self._context.touched:
            return self._update("refused")
        self._update("rolled back" if self._run_stage(roll_back).passed else "stuck")

    def _run_stage(self, stage: Stage) -> StageOutcome:
        name, purpose = stage.__name__.replace("_", " "), (stage.__doc__ or "").rstrip(".")
        started = time.perf_counter()
        state, message, evidence = "failed", "it was interrupted", {}
        try:
            with self._reporter.stage_started(name, purpose):
                result = stage(self._context)
            state, message, evidence = "passed", result.message, dict(result.evidence)
        except StageFailed as error:
            message, evidence = error.message, dict(error.evidence)
        except LabError as error:
            message = str(error)
        except Exception as error:  # a bug in a stage must not leave production half switched
            message = f"{type(error).__name__}: {error}"
        finally:
            outcome = StageOutcome(name, state, round(time.perf_counter() - started, 3), message, evidence)
            self._update(self.release.state, (*self.release.outcomes, outcome))
        self._reporter.stage_finished(outcome)
        return outcome

    def _update(self, state: str, outcomes: tuple[StageOutcome, ...] | None = None) -> None:
        production = self._context.store.aliases(self.release.name).get(self._context.plan.alias)
        kept = self.release.outcomes if outcomes is None else outcomes
        self.release = replace(self.release, state=state, production=production, outcomes=kept)
        journal.write_evidence(self._context.store, self.release)
