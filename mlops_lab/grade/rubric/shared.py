"""Hints that exercises of several stages share."""

from __future__ import annotations

from mlops_lab.grade.exercises import Hint

RAISES = {
    "raises": Hint("Your function stopped with an error.", "The error says what, and the line in brackets says where."),
    "library": Hint("This is a function of the library.", "It would pass, and you would have learned its name."),
    "missing": Hint("There is nothing of that name.", "Look at the name in the exercise, and run its cell again."),
}
