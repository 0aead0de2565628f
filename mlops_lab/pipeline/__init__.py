"""Release a version in one automated run: build, stage, test, promote, verify; roll back when a stage fails.

``pipeline.release(ReleasePlan("models", "clothes", 2))`` is ``mlops-lab pipeline run clothes --version 2``. The stages
are listed in ``stages.STAGES``; an environment runs them, such as ``local``: processes on this machine.

``pipeline.run_loop("pipeline.toml")`` is ``mlops-lab pipeline run pipeline.toml``: the whole life cycle, from data to
production, and from drift to a better version. ``pipeline.day()`` simulates two days of production in minutes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlops_lab.pipeline.journal import last, releases
from mlops_lab.pipeline.outcome import Release, StageOutcome
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.pipeline.reporter import ConsoleReporter, Reporter
from mlops_lab.pipeline.running import release

if TYPE_CHECKING:
    from mlops_lab.pipeline.loop.canary import run_canary
    from mlops_lab.pipeline.loop.config import LoopConfig, read_config
    from mlops_lab.pipeline.loop.day_report import Day, Hour
    from mlops_lab.pipeline.loop.history import LoopHistory, LoopRun, read_history
    from mlops_lab.pipeline.loop.running import run_loop
    from mlops_lab.pipeline.loop.simulation import day
    from mlops_lab.pipeline.loop.workflow import render_workflow

# The loop is imported on first use: a release needs neither training nor monitoring.
_LOOP = {
    "Day": "day_report",
    "Hour": "day_report",
    "LoopConfig": "config",
    "LoopHistory": "history",
    "LoopRun": "history",
    "day": "simulation",
    "read_config": "config",
    "read_history": "history",
    "run_canary": "canary",
    "render_workflow": "workflow",
    "run_loop": "running",
}

__all__ = [
    "ConsoleReporter",
    "Day",
    "Hour",
    "LoopConfig",
    "LoopHistory",
    "LoopRun",
    "Release",
    "ReleasePlan",
    "Reporter",
    "StageOutcome",
    "day",
    "last",
    "read_config",
    "read_history",
    "release",
    "releases",
    "render_workflow",
    "run_canary",
    "run_loop",
]


def __getattr__(name: str) -> Any:
    if name not in _LOOP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mlops_lab.pipeline.loop.{_LOOP[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LOOP})
