"""Grading: a check in the cell that helps, and a grade that holds.

>>> from mlops_lab import grade
>>> grade.check("data-3", prepare)  # doctest: +SKIP
>>> grade.progress()  # doctest: +SKIP
"""

from mlops_lab.grade.exercises import Check as Check
from mlops_lab.grade.exercises import Exercise as Exercise
from mlops_lab.grade.exercises import Hint as Hint
from mlops_lab.grade.record import Progress as Progress
from mlops_lab.grade.report import Report as Report
from mlops_lab.grade.results import CheckResult as CheckResult
from mlops_lab.grade.session import check as check
from mlops_lab.grade.session import progress as progress
