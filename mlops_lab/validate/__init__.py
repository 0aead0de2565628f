"""Stage 5: validate. Find out whether a model is good enough, for whom, and how sure that is; and say no where not.

Of the model: how good it is (:func:`evaluate`), whether it is better than another (:func:`compare`), whether it is as
good for everybody (:func:`by_group`), how it behaves when images change a little (:func:`check_behaviour`). Of a server
at its address, ours, TensorFlow Serving or your own: whether it keeps the contract (:func:`check_contract`), does its
job (:func:`check_acceptance`) and sustains the load (:func:`measure_load`). :func:`assess` holds a version against the
thresholds of a file, and writes the evidence and the model card.
"""

from mlops_lab.errors import GateFailed
from mlops_lab.findings import Finding
from mlops_lab.store.gates import require_gates
from mlops_lab.validate.acceptance import Expected, check_acceptance
from mlops_lab.validate.assessment import Assessment, assess
from mlops_lab.validate.behaviour import BehaviourLimits, check_behaviour
from mlops_lab.validate.behaviour_report import BehaviourFinding, BehaviourReport
from mlops_lab.validate.card import keep
from mlops_lab.validate.comparison import Comparison, compare
from mlops_lab.validate.contract import check_contract
from mlops_lab.validate.fairness import by_group, mitigate
from mlops_lab.validate.gates import Gate, read_gates
from mlops_lab.validate.groups import GroupReport, GroupValue
from mlops_lab.validate.load import measure_load, send_load
from mlops_lab.validate.load_result import LoadResult, LoadTestConfig
from mlops_lab.validate.quality import Quality, evaluate
from mlops_lab.validate.report import Report
from mlops_lab.validate.robustness import Robustness, measure_robustness
from mlops_lab.validate.saliency import Saliency, explain
from mlops_lab.validate.sampling import group_images, holdout
from mlops_lab.validate.saturation import Saturation, find_saturation
from mlops_lab.validate.tasks import TaskQuality

__all__ = [
    "Assessment",
    "BehaviourFinding",
    "BehaviourLimits",
    "BehaviourReport",
    "Comparison",
    "Expected",
    "Finding",
    "Gate",
    "GateFailed",
    "GroupReport",
    "GroupValue",
    "LoadResult",
    "LoadTestConfig",
    "Quality",
    "Report",
    "Robustness",
    "Saliency",
    "Saturation",
    "TaskQuality",
    "assess",
    "by_group",
    "check_acceptance",
    "check_behaviour",
    "check_contract",
    "compare",
    "evaluate",
    "explain",
    "find_saturation",
    "group_images",
    "holdout",
    "keep",
    "measure_load",
    "measure_robustness",
    "mitigate",
    "read_gates",
    "require_gates",
    "send_load",
]
