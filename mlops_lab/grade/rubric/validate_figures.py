"""validate-1: the figures of a classifier, by class and with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import LABELS
from mlops_lab.grade.rubric.returned import SHAPE, array, fields, number
from mlops_lab.grade.rubric.shared import RAISES

CLASSES = 10
SURE = 1.96  # standard errors of a 95% interval
FIGURES = {
    "accuracy": ("acc",), "precision": ("precisions",), "recall": ("recalls",), "f1": ("f1score", "f1s"),
    "confusion": ("confusionmatrix", "matrix"), "half_width": ("interval", "margin", "halfwidthofaccuracy"),
}  # fmt: skip
Labels = NDArray[np.int64]

figures = Exercise("validate-1", "The figures", names=("scores",), section="Notebook 5, section 1", hints={
    **SHAPE, **RAISES,
})  # fmt: skip


def garment_answers(rng: np.random.Generator, count: int, *, even: bool = False, accuracy: float = 0.9) -> Any:
    """Return labels and answers that are mistaken as garments are: classes of unequal size, some answered too often."""
    share = np.ones(CLASSES) if even else np.linspace(1, 3, CLASSES)
    labels = np.sort(rng.choice(CLASSES, count, p=share / share.sum()))
    labels[:CLASSES] = np.arange(CLASSES)
    predicted = labels.copy()
    wrong = np.flatnonzero(rng.random(count) > accuracy)
    predicted[wrong] = np.where(rng.random(len(wrong)) < 0.5, 6, rng.integers(0, CLASSES, len(wrong)))
    order = rng.permutation(count)
    return labels[order].astype(np.int64), predicted[order].astype(np.int64)


def count_pairs(labels: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Return the confusion matrix: rows are true classes, columns predicted ones."""
    counted = np.bincount(labels * CLASSES + predicted, minlength=CLASSES * CLASSES)
    return counted.reshape(CLASSES, CLASSES).astype(np.int64)


def right_figures(labels: Labels, predicted: Labels) -> dict[str, Any]:
    """Return what ``scores`` should."""
    matrix = count_pairs(labels, predicted)
    hit, of_true, of_said = np.diag(matrix).astype(float), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = hit / np.maximum(of_said, 1), hit / np.maximum(of_true, 1)
    f1 = 2 * hit / np.maximum(of_true + of_said, 1)
    accuracy = float(hit.sum() / matrix.sum())
    half = SURE * np.sqrt(accuracy * (1 - accuracy) / len(labels))
    named = {"accuracy": accuracy, "precision": precision, "recall": recall, "f1": f1}
    return {**named, "confusion": matrix, "half_width": half}


def _asked(answer: Answer, case: Case, labels: Labels, predicted: Labels) -> dict[str, Any]:
    return fields(case, answer.scores(labels, predicted), FIGURES)


@figures.check("accuracy", "Accuracy: the share of right answers", points=1, held_out=3, covers="other labels", hints={
    "mean": Hint("{got:.4f} is the mean of the ten values of {what}; {right:.4f} of the answers are right.",
                 "The two are equal only where classes are equally many. Here they are not."),
    "percent": Hint("{got:g} is a percentage.", "An accuracy lies between 0 and 1."),
})  # fmt: skip
def accuracy(answer: Answer, case: Case) -> None:
    for _ in range(3):
        labels, predicted = garment_answers(case.rng, 1200)
        right = right_figures(labels, predicted)
        got = number(case, _asked(answer, case, labels, predicted)["accuracy"], "The accuracy")
        means = {name: float(right[name].mean()) for name in ("recall", "precision", "f1")}
        what = next((name for name, mean in means.items() if abs(got - mean) < 1e-9), "")
        key = "mean" if what else "percent" if abs(got - 100 * right["accuracy"]) < 0.01 else ""
        case.expect(abs(got - right["accuracy"]) < 1e-9, "The accuracy is another.", hint=key, what=what, got=got,
                    right=right["accuracy"], expected=right["accuracy"], received=got)  # fmt: skip


@figures.check("classes", "Precision, recall and F1 of each class, to 1e-9", points=3, held_out=3,
               covers="other labels", hints={
    "swapped": Hint("Your recall of {name} is {got:.2f}: that is its precision. Rows or columns?",
                    "Recall asks of the true ones, precision of the answers."),
    "arithmetic": Hint("Your F1 of {name} is the mean of its precision and recall.",
                       "F1 is their harmonic mean: it is low where either is."),
    "rounded": Hint("Your figures are rounded.", "Round when you print, not when you compute."),
})  # fmt: skip
def per_class(answer: Answer, case: Case) -> None:
    for _ in range(3):
        labels, predicted = garment_answers(case.rng, 1200)
        right = right_figures(labels, predicted)
        figures = _asked(answer, case, labels, predicted)
        got = {
            name: array(case, figures[name], f"{name} per class", (CLASSES,)) for name in ("precision", "recall", "f1")
        }
        mean = (right["precision"] + right["recall"]) / 2
        for name, values in got.items():
            off = np.abs(np.nan_to_num(values, nan=9.0) - right[name])
            if off.max() < 1e-9:
                continue
            worst = int(off.argmax())
            other = {"precision": "recall", "recall": "precision"}.get(name, "")
            key = "swapped" if other and np.abs(values - right[other]).max() < 1e-9 else ""
            key = key or ("arithmetic" if name == "f1" and np.abs(values - mean).max() < 1e-9 else "")
            key = key or ("rounded" if off.max() < 6e-3 else "")
            shown = right["precision"] if name == "precision" else right["recall"]
            swapped = int(np.abs(right["precision"] - right["recall"]).argmax()) if key == "swapped" else worst
            case.fail(f"The {name} of {LABELS[swapped]} is another.", hint=key, name=LABELS[swapped],
                      got=float(got["recall"][swapped]), share=0.3 if key in ("rounded", "arithmetic") else 0.0,
                      expected=float(right[name][swapped] if name == "f1" else shown[swapped]),
                      received=float(values[swapped]))  # fmt: skip


@figures.check("confusion", "The confusion matrix: rows are true classes, columns predicted ones", points=1, held_out=1,
               covers="other labels", hints={
    "transposed": Hint("Rows and columns are exchanged.", "Cell (Shirt, Coat): shirts that were answered as coats."),
    "missing-class": Hint("Your matrix is {got}.", "There are ten classes, also where one was never predicted."),
})  # fmt: skip
def confusion(answer: Answer, case: Case) -> None:
    labels, predicted = garment_answers(case.rng, 800)
    predicted[predicted == 7] = 5
    right = count_pairs(labels, predicted)
    got = _asked(answer, case, labels, predicted)["confusion"]
    size = np.shape(got)
    case.expect(size == (CLASSES, CLASSES), "The matrix has another shape.", hint="missing-class", got=str(size),
                expected="(10, 10)", received=str(size))  # fmt: skip
    matrix = array(case, got, "The confusion matrix", (CLASSES, CLASSES))
    key = "transposed" if (matrix == right.T).all() else ""
    case.expect((matrix == right).all(), "The matrix is another.", hint=key, expected=right[6].tolist(),
                received=matrix[6].tolist())  # fmt: skip


@figures.check("zero", "A class that is never predicted has 0, not nan", points=1, held_out=1,
               covers="another class that nobody predicts", hints={
    "nan": Hint("nan for {name}, which nobody predicted; one nan spoils the mean.",
                "0 ÷ 0: there were no answers to be right or wrong. By convention that is 0."),
})  # fmt: skip
def never_predicted(answer: Answer, case: Case) -> None:
    labels, predicted = garment_answers(case.rng, 800)
    none = int(case.rng.integers(0, 6)) if case.held_out else 4
    predicted[predicted == none] = 6
    figures = _asked(answer, case, labels, predicted)
    for name in ("precision", "recall", "f1"):
        value = float(array(case, figures[name], f"{name} per class", (CLASSES,))[none])
        key = "nan" if np.isnan(value) else ""
        case.expect(value == 0, f"The {name} of a class that nobody predicted is {value}.", hint=key,
                    name=LABELS[none], expected=0, received=value)  # fmt: skip


@figures.check("interval", "Half the width of the accuracy's 95% interval: 0.026 for 500, 0.006 for 10,000", points=1,
               hints={
    "width": Hint("{got:.4f} is the whole width.", "Half of it stands on each side of the accuracy."),
    "error": Hint("{got:.4f} is one standard error.", "95% of the time the truth lies within 1.96 of them."),
    "count": Hint("{got:.4f} with {n:,} images.", "A hundred times the images make it a tenth as wide."),
})  # fmt: skip
def half_width(answer: Answer, case: Case) -> None:
    for n in (500, 10_000):
        labels, predicted = garment_answers(case.rng, n)
        right = right_figures(labels, predicted)["half_width"]
        got = number(case, _asked(answer, case, labels, predicted)["half_width"], "The half-width")
        times = got / right
        key = "width" if 1.9 < times < 2.1 else "error" if 0.48 < times < 0.54 else "count"
        case.expect(abs(times - 1) < 0.06, f"The half-width for {n:,} images is another.", hint=key, got=got, n=n,
                    expected=f"{right:.4f}", received=f"{got:.4f}")  # fmt: skip
