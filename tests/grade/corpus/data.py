"""The corpus of data-1 to data-6."""

from __future__ import annotations

from corpus.data_sources import (
    DESCRIBE,
    DESCRIBE_BY_HAND,
    PREPARE,
    PREPARE_VARIANTS,
    PROBLEMS,
    SPLIT,
    SUSPECTS,
    YEAR,
)
from corpus_types import Answers, Wrong, edited

DIVIDED = "(images / 255).astype(np.float32)"


def prepared(expression: str) -> str:
    return edited(PREPARE, (DIVIDED, f"np.asarray({expression}, np.float32)"))


CUT = "def split(images, labels, share, seed):\n    import numpy as np\n"
ORDER = "    cut = round(len(labels) * (1 - share))\n    return order[:cut], order[cut:]\n"

CORPUS = {
    "data-1": Answers(
        right=[YEAR, edited(YEAR, ('"integration"', '"Integration and acceptance tests"'), ('{"build"', '["Build"'), ('"deploy"}', '"deploy"]'))],
        wrong=[
            Wrong(edited(YEAR, ('"load test": "integration"', '"load test": "evaluation"')), "data-1.events", "load test"),
            Wrong(edited(YEAR, ('"masks": "monitoring"', '"masks": "data"')), "data-1.events", "masks"),
            Wrong(edited(YEAR, ('"staging": "integration"', '"staging": "production"')), "data-1.events", "staging"),
            Wrong(edited(YEAR, ('"log": "monitoring",', "")), "data-1.events", "not-all"),
            Wrong(edited(YEAR, ('"image": "deployment"', '"image": "docker"')), "data-1.events", "no-stage"),
            Wrong(edited(YEAR, ('"integration"', '"deployment"')), "data-1.events", "empty"),
            Wrong(edited(YEAR, ('"deploy"}', '"deploy", "label"}')), "data-1.automated", "not-code"),
            Wrong(edited(YEAR, (', "deploy"}', "}")), "data-1.automated", "fewer"),
        ],
    ),
    "data-2": Answers(
        right=[DESCRIBE, DESCRIBE_BY_HAND],
        wrong=[
            Wrong(edited(DESCRIBE, ("np.bincount(labels, minlength=10)", "np.unique(labels, return_counts=True)[1]")), "data-2.missing", "nine"),
            Wrong(edited(DESCRIBE, ("images, labels = split.images, split.labels",
                                    "images, labels = split.images, split.labels\n    images = images // max(images.max(initial=0), 1)")),
                  "data-2.figures", "prepared"),
            Wrong(edited(DESCRIBE, (" if images.size else None", "")), "data-2.empty", "empty"),
            Wrong(edited(DESCRIBE, ("(images == 0).mean()", "100 * (images == 0).mean()")), "data-2.figures", "percent"),
            Wrong(edited(DESCRIBE, ("images.dtype", "images.astype('int64').dtype")), "data-2.figures", "dtype"),
            Wrong(edited(DESCRIBE, ('"zeros"', '"zeroes"')), "data-2.figures", "keys"),
        ],
    ),
    "data-3": Answers(
        right=[PREPARE, *PREPARE_VARIANTS],
        wrong=[
            Wrong(prepared("images / images.max()"), "data-3.values", "batch-maximum"),
            Wrong(prepared("images // 255"), "data-3.values", "whole-numbers"),
            Wrong("import numpy as np\ndef prepare(images):\n    images = np.asarray(images, dtype=np.float32)\n    images /= 255\n"
                  "    return images.reshape(-1, 28, 28, 1)\n", "data-3.unchanged", "in-place"),
            Wrong(prepared("images / np.maximum(images.max(axis=(1, 2), keepdims=True), 1)"), "data-3.values", "own-maximum"),
            Wrong(prepared("images"), "data-3.values", "not-divided"),
            Wrong(prepared("images / 127.5 - 1"), "data-3.values", "minus-one-to-one"),
            Wrong(edited(PREPARE, ("[..., np.newaxis]", "")), "data-3.shape", "no-channel"),
            Wrong(edited(PREPARE, ("    if images.ndim == 2:\n        images = images[np.newaxis]\n", "")), "data-3.shape", "one"),
            Wrong(edited(PREPARE, ("np.float32", "np.float64")), "data-3.shape", "dtype"),
        ],
    ),
    "data-4": Answers(
        right=[SPLIT, edited(SPLIT, ("return np.array(first), np.array(second)", "return first, second"))],
        wrong=[
            Wrong(CUT + "    order = np.arange(len(labels))\n" + ORDER, "data-4.classes", "sorted"),
            Wrong(CUT + "    order = np.random.default_rng(seed).permutation(len(labels))\n" + ORDER, "data-4.copies", "copies"),
            Wrong(edited(SPLIT, ("rng = np.random.default_rng(seed)", "np.random.seed(seed); rng = np.random")), "data-4.seed", "global"),
            Wrong(edited(SPLIT, ("default_rng(seed)", "default_rng(0)")), "data-4.seed", "ignored"),
            Wrong(edited(SPLIT, ("default_rng(seed)", "default_rng()")), "data-4.seed", "differs"),
            Wrong(edited(SPLIT, ("np.array(first), np.array(second)", "np.array(second), np.array(first)")), "data-4.whole", "share"),
            Wrong(edited(SPLIT, ("return np.array(first), np.array(second)", "return images[first], images[second]")), "data-4.whole", "two"),
            Wrong(CUT + "    rng = np.random.default_rng(seed)\n    n = len(labels)\n"
                  "    return rng.integers(0, n, round(n * (1 - share))), rng.integers(0, n, round(n * share))\n", "data-4.whole", "both"),
        ],
    ),
    "data-5": Answers(
        right=[PROBLEMS, edited(PROBLEMS, ("return found", "return set(found)"))],
        wrong=[
            Wrong(edited(PROBLEMS, ("np.isfinite(values).all()", "np.isfinite(values[0]).all()")), "data-5.finds", "first-only"),
            Wrong(edited(PROBLEMS, ("return found", "assert not found, found\n    return found")), "data-5.finds", "raised"),
            Wrong(edited(PROBLEMS, ("flat.min(axis=1) == flat.max(axis=1)", "flat.max(axis=1) < 60")), "data-5.honest", "dark"),
            Wrong(edited(PROBLEMS, ("return found", "return found[:1]")), "data-5.several", "hidden"),
            Wrong(edited(PROBLEMS, ('found.append("inverted")', "pass")), "data-5.finds", "not-found"),
            Wrong(edited(PROBLEMS, ("finite.min() < 0", "images.dtype != np.uint8 or finite.min() < 0")), "data-5.honest", "float"),
            Wrong("def problems(images, labels):\n    return ['shape', 'range', 'not-finite', 'constant', 'label-unknown', 'class-missing', "
                  "'duplicates', 'inverted']\n", "data-5.finds", "all-words"),
        ],
    ),
    "data-6": Answers(
        right=[SUSPECTS, edited(SUSPECTS, ("[:k]", "[:k].tolist()"))],
        wrong=[
            Wrong(edited(SUSPECTS, ("own - probabilities.max(axis=1)", "probabilities.max(axis=1)")), "data-6.found", "unsure"),
            Wrong(edited(SUSPECTS, ("own - probabilities.max(axis=1)", "-own")), "data-6.found", "agrees"),
            Wrong(edited(SUSPECTS, ("np.argsort(own - probabilities.max(axis=1))[:k]", "probabilities.argmax(axis=1)[:k]")), "data-6.found", "classes"),
            Wrong(edited(SUSPECTS, ("[:k]", "")), "data-6.found", "count"),
        ],
    ),
}  # fmt: skip
