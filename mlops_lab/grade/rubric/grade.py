"""Notebook 8: be the examiner, then the engineer."""

from mlops_lab.grade.rubric.grade_attacks import exercise as attacks
from mlops_lab.grade.rubric.grade_capstone import exercise as capstone
from mlops_lab.grade.rubric.grade_card import exercise as card
from mlops_lab.grade.rubric.grade_check import exercise as check
from mlops_lab.grade.rubric.grade_repair import exercise as repair

__all__ = ["attacks", "capstone", "card", "check", "repair"]
