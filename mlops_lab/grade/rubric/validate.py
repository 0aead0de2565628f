"""Notebook 5: good enough, for whom, how sure; and what the student's own tests catch."""

from __future__ import annotations

from mlops_lab.grade.rubric import validate_compare, validate_figures

figures = validate_figures.figures
compare = validate_compare.compare
