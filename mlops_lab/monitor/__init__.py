"""Stage 7: monitor. Write down what was answered, see what has changed, and know whether it hurts.

:class:`PredictionLog` keeps what each version answered, and feedback on it. :func:`compare` holds predictions against
what the version did on held-out data, and :func:`watch` does that while they come. :func:`disturb` turns a dial on
images, so that a change can be seen before it happens.
"""

from mlops_lab.monitor.dashboard import Report as Report
from mlops_lab.monitor.dashboard import compare_log as compare_log
from mlops_lab.monitor.dashboard import page as page
from mlops_lab.monitor.dashboard import report as report
from mlops_lab.monitor.disturbances import KINDS as KINDS
from mlops_lab.monitor.disturbances import disturb as disturb
from mlops_lab.monitor.harm import Estimate as Estimate
from mlops_lab.monitor.labels import accept_feedback as accept_feedback
from mlops_lab.monitor.labels import feedback as feedback
from mlops_lab.monitor.log import PredictionLog as PredictionLog
from mlops_lab.monitor.reference import Reference as Reference
from mlops_lab.monitor.reference import find_reference as find_reference
from mlops_lab.monitor.reference import load_reference as load_reference
from mlops_lab.monitor.reference import make_reference as make_reference
from mlops_lab.monitor.reference import store_reference as store_reference
from mlops_lab.monitor.retention import Retention as Retention
from mlops_lab.monitor.status import LogStatus as LogStatus
from mlops_lab.monitor.stream import Alarm as Alarm
from mlops_lab.monitor.stream import Watched as Watched
from mlops_lab.monitor.stream import watch as watch
from mlops_lab.monitor.verdict import Verdict as Verdict
from mlops_lab.monitor.verdict import compare as compare
from mlops_lab.summary.summary import Summary as Summary
from mlops_lab.summary.summary import merge as merge
from mlops_lab.summary.summary import summarise as summarise
from mlops_lab.summary.window import Window as Window
from mlops_lab.summary.window import observe as observe
