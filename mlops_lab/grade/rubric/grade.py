"""Notebook 8: be the examiner, then the engineer."""

from mlops_lab.grade.rubric.grade_card import exercise as card
from mlops_lab.grade.rubric.grade_check import exercise as check

__all__ = ["card", "check"]
