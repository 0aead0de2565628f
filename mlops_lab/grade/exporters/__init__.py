"""The same checks in the graders that instructors have already: otter-grader, nbgrader and Gradescope."""
