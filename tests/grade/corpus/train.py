"""The corpus of train-1 to train-5."""

from __future__ import annotations

from corpus.train_sources import CURVES, SEARCH
from corpus_types import Answers, Wrong, edited

BEST = '    losses = history["val_loss"]\n    return losses.index(min(losses)) + 1\n'

CORPUS = {
    "train-3": Answers(
        right=[CURVES, edited(CURVES, (BEST, '    best = max(history["val_accuracy"])\n    return 1 + history["val_accuracy"].index(best)\n'))],
        wrong=[
            Wrong(edited(CURVES, (BEST, '    return history["accuracy"].index(max(history["accuracy"])) + 1\n')), "train-3.best", "training"),
            Wrong(edited(CURVES, (BEST, "    return len(history['loss'])\n")), "train-3.best", "last"),
            Wrong(edited(CURVES, ("min(losses)) + 1", "min(losses))")), "train-3.best", "from-zero"),
            Wrong(edited(CURVES, ("start : start + 6", "start : start + 2")), "train-3.overfits", "once"),
            Wrong(edited(CURVES, ("return start + 1", "return start")), "train-3.overfits", "from-zero"),
            Wrong(edited(CURVES, ("return start + 1", "return start + 2")), "train-3.overfits", "first-worse"),
            Wrong(edited(CURVES, ("return None", "return 60")), "train-3.overfits", "never"),
        ],
    ),
    "train-5": Answers(
        right=[SEARCH, edited(SEARCH, ('return configs[best], score(models[best], "test")',
                                       'return {"best": configs[best], "accuracy": score(models[best], "test")}'))],
        wrong=[
            Wrong(edited(SEARCH, ('"validation"', '"test"')), "train-5.winner", "test"),
            Wrong(edited(SEARCH, ('"validation"', '"train"')), "train-5.winner", "train"),
            Wrong(edited(SEARCH, ('score(models[best], "test")', "scores[best]")), "train-5.figure", "validation"),
            Wrong(edited(SEARCH, ("in configs]", "in configs[:5]]")), "train-5.all", "not-all"),
            Wrong(edited(SEARCH, ('    scores = [', '    [score(model, "test") for model in models]\n    scores = [')), "train-5.clean", "many"),
            Wrong(edited(SEARCH, ('score(models[best], "test")', "scores[best]")), "train-5.clean", "never"),
        ],
    ),
}  # fmt: skip
