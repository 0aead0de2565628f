"""Release a version in one automated run: build, stage, test, promote, verify; roll back when a stage fails.

``pipeline.release(ReleasePlan("models", "clothes", 2))`` is ``mlops-lab pipeline run clothes --version 2``. The stages
are listed in ``stages.STAGES``; an environment runs them, such as ``local``: processes on this machine.
"""

from mlops_lab.pipeline.journal import last, releases
from mlops_lab.pipeline.outcome import Release, StageOutcome
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.pipeline.reporter import ConsoleReporter, Reporter
from mlops_lab.pipeline.running import release

__all__ = ["ConsoleReporter", "Release", "ReleasePlan", "Reporter", "StageOutcome", "last", "release", "releases"]
