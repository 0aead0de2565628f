"""Run the stages, stop at the first that fails, and undo what it left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from mlops_lab.errors import LabError
from mlops_lab.pipeline import journal
from mlops_lab.pipeline.containers import ContainerEnvironment
from mlops_lab.pipeline.environment import Environment
from mlops_lab.pipeline.local import LocalEnvironment
from mlops_lab.pipeline.narrate import Narrator, Silence
from mlops_lab.pipeline.outcome import Outcome, Release
from mlops_lab.pipeline.plan import Plan
from mlops_lab.pipeline.stages import STAGES, Refused, Stage, Work, roll_back
from mlops_lab.provenance import user_name, utc_now
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion

PLACES: dict[str, Callable[[Plan], Environment]] = {
    "local": LocalEnvironment,
    "docker": ContainerEnvironment,
    "compose": ContainerEnvironment,
}


def release(plan: Plan, narrator: Narrator | None = None, environment: Environment | None = None) -> Release:
    """Bring a version into production, or leave production as it was.

    Parameters
    ----------
    plan
        What, where, and what it must reach.
    narrator
        Is told of each stage; by default nobody is.
    environment
        Another place than the plan's: whatever has the methods of
        :class:`~mlops_lab.pipeline.environment.Environment`.

    Returns
    -------
    Release
        Its ``state`` is ``"released"``, ``"refused"`` or ``"rolled back"``; the same is kept in ``evidence/`` beside
        the version, and in the model's history.

    Raises
    ------
    UnknownModel, UnknownVersion
        The message names those there are.
    StoreError
        Another release of the model is under way.

    Examples
    --------
    >>> release(Plan("models", "clothes", 2)).state  # doctest: +SKIP
    'released'
    """
    store = ModelStore(plan.models)
    version = store.get(plan.name, plan.version)
    with journal.alone(store.root / plan.name):
        place = environment or PLACES[plan.environment](plan)
        work = Work(plan, store, version, in_production(store, plan), place)
        run = _Run(work, narrator or Silence())
        try:
            run.forward()
        finally:  # also when somebody presses Ctrl-C
            run.end()
    return run.release


def in_production(store: ModelStore, plan: Plan) -> ModelVersion | None:
    """Return the version that the alias points at; ``None`` where there is no such alias."""
    number = store.aliases(plan.name).get(plan.alias)
    return None if number is None else store.get(plan.name, number)


class _Run:
    """One release under way; what it is so far is on disk after each stage."""

    def __init__(self, work: Work, narrator: Narrator) -> None:
        self._work, self._narrator = work, narrator
        plan, before = work.plan, None if work.before is None else work.before.version
        started = Release(
            plan.name, work.version.version, plan.environment, before, before, utc_now(), user_name(), plan.why
        )
        self.release = started

    def forward(self) -> None:
        """Run the stages until one fails."""
        if all(self._carry_out(stage).good for stage in STAGES):
            self._become("released")

    def end(self) -> None:
        """Undo a release that did not come through, clean up, and write down what came of it."""
        try:
            if not self.release.good:
                self._undo()
        finally:
            self._work.environment.close(good=self.release.good)
            journal.note(self._work.store, self.release)

    def _undo(self) -> None:
        if not self._work.touched:
            return self._become("refused")
        self._become("rolled back" if self._carry_out(roll_back).good else "stuck")

    def _carry_out(self, stage: Stage) -> Outcome:
        name, purpose = stage.__name__.replace("_", " "), (stage.__doc__ or "").rstrip(".")
        started = time.perf_counter()
        state, says, evidence = "failed", "it was interrupted", {}
        try:
            with self._narrator.during(name, purpose):
                seen = stage(self._work)
            state, says, evidence = "passed", seen.says, dict(seen.evidence)
        except Refused as error:
            says, evidence = error.message, dict(error.evidence)
        except LabError as error:
            says = str(error)
        except Exception as error:  # a fault of ours is no reason to leave production half switched
            says = f"{type(error).__name__}: {error}"
        finally:
            outcome = Outcome(name, state, round(time.perf_counter() - started, 3), says, evidence)
            self._add(outcome)
        self._narrator.after(outcome)
        return outcome

    def _add(self, outcome: Outcome) -> None:
        self._become(self.release.state, (*self.release.outcomes, outcome))

    def _become(self, state: str, outcomes: tuple[Outcome, ...] | None = None) -> None:
        production = self._work.store.aliases(self.release.name).get(self._work.plan.alias)
        kept = self.release.outcomes if outcomes is None else outcomes
        self.release = replace(self.release, state=state, production=production, outcomes=kept)
        journal.keep(self._work.store, self.release)
