"""The lifecycle as one automated run: build, stage, examine, promote, verify; and roll back when something fails.

``pipeline.release(Plan("models", "clothes", 2))`` is ``mlops-lab pipeline run clothes --version 2``. What runs is
listed in ``stages.STAGES``; where it runs is an environment, such as ``local``: processes of this machine.
"""

from mlops_lab.pipeline.journal import last as last
from mlops_lab.pipeline.journal import releases as releases
from mlops_lab.pipeline.narrate import Log as Log
from mlops_lab.pipeline.outcome import Outcome as Outcome
from mlops_lab.pipeline.outcome import Release as Release
from mlops_lab.pipeline.plan import Plan as Plan
from mlops_lab.pipeline.running import release as release
