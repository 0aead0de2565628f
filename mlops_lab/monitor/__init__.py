"""Stage 7: monitor. Write down what was answered, see what has changed, and know whether it hurts.

:class:`PredictionLog` keeps what each version answered, and feedback on it; :func:`disturb` turns a dial on images.
"""

from mlops_lab.monitor.disturbances import KINDS as KINDS
from mlops_lab.monitor.disturbances import disturb as disturb
from mlops_lab.monitor.log import LogStatus as LogStatus
from mlops_lab.monitor.log import PredictionLog as PredictionLog
from mlops_lab.monitor.log import Retention as Retention
from mlops_lab.monitor.window import Window as Window
from mlops_lab.monitor.window import observe as observe
