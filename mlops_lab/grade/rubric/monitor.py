"""monitor-1 to monitor-5: the world moves."""

from mlops_lab.grade.rubric.monitor_day import exercise as day
from mlops_lab.grade.rubric.monitor_drift import measure, ring
from mlops_lab.grade.rubric.monitor_estimate import exercise as estimate
from mlops_lab.grade.rubric.monitor_record import exercise as record

__all__ = ["day", "estimate", "measure", "record", "ring"]
