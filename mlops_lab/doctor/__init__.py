"""Diagnose common problems of the environment, with the fix for each: ``doctor.examine()`` in a cell or a script."""

from mlops_lab.doctor.checkup import Checkup, examine
from mlops_lab.findings import Finding

__all__ = ["Checkup", "Finding", "examine"]


def __dir__() -> list[str]:
    return __all__
