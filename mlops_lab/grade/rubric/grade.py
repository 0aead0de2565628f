"""Notebook 8: be the examiner, then the engineer."""

from mlops_lab.grade.rubric.grade_check import exercise as check

__all__ = ["check"]
