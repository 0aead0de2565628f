"""The answer of a model to one example, for every task: computed from its outputs, and read from the wire."""

from mlops_lab.answers.kinds import (
    THRESHOLD,
    LabelSet,
    Mask,
    NamedAnswers,
    Prediction,
    Score,
    Tensor,
    Value,
    Vector,
    draw,
)
from mlops_lab.answers.reading import (
    agree,
    classes_of,
    from_outputs,
    from_probabilities,
    label_names,
    masks_of,
    read,
    summary_rows,
)

__all__ = [
    "THRESHOLD",
    "LabelSet",
    "Mask",
    "NamedAnswers",
    "Prediction",
    "Score",
    "Tensor",
    "Value",
    "Vector",
    "agree",
    "classes_of",
    "draw",
    "from_outputs",
    "from_probabilities",
    "label_names",
    "masks_of",
    "read",
    "summary_rows",
]
