"""A grader whose process some submissions end: importable, because a class is graded in processes of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mlops_lab.grade.report import Report
from mlops_lab.grade.runner import Grading


def grade(folder: Path, grading: Grading) -> Report:
    """Die with a submission that is called so; take so long with others that they are under way when that happens."""
    if folder.name.startswith("dies"):
        time.sleep(0.5)
        os._exit(9)
    time.sleep(1)
    return Report(folder.name, ())
