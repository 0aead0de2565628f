"""Notebook 5: good enough, for whom, how sure; and what the student's own tests catch."""

from __future__ import annotations

from mlops_lab.grade.rubric import (
    validate_behaviour,
    validate_compare,
    validate_figures,
    validate_groups,
    validate_load,
    validate_server,
)

figures = validate_figures.figures
compare = validate_compare.compare
groups = validate_groups.groups
behaviour = validate_behaviour.tests
server = validate_server.tests
load = validate_load.load
