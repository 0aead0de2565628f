"""Load one or two ``.keras`` files, ask them the same, and print how far the answers differ; run by ``migration``."""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(paths: list[str]) -> None:
    """Print one JSON object: ``difference``, or ``error`` with the last line of what Keras said."""
    out = os.dup(1)
    os.dup2(2, 1)  # Keras talks on standard output
    try:
        answer: dict[str, float | str] = {"difference": _difference(*paths)}
    except Exception as error:  # whatever Keras raises is the answer
        answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:300]}"}
    os.write(out, json.dumps(answer).encode())


def _difference(*paths: str) -> float:
    import keras
    import numpy as np

    models = [keras.saving.load_model(path, compile=False, safe_mode=True) for path in paths]
    questions = _questions(models[0])
    answers = [[np.asarray(part) for part in _flat(model.predict(questions, verbose=0))] for model in models]
    if not all(np.isfinite(part).all() for part in answers[0]):
        raise ValueError("it predicts numbers that are not finite")
    return max(float(np.abs(a - b).max()) for a, b in zip(answers[0], answers[-1], strict=True))


def _questions(model: Any) -> Any:
    """Return a few inputs: small whole numbers, which an embedding takes as well as a convolution does."""
    import numpy as np

    draw = np.random.default_rng(0)
    shapes = [tuple(size or 5 for size in tensor.shape[1:]) for tensor in model.inputs]
    made = [draw.integers(0, 2, (4, *shape)).astype("float32") for shape in shapes]
    return made[0] if len(made) == 1 else made


def _flat(answer: Any) -> list[Any]:
    if isinstance(answer, dict):
        return [part for value in answer.values() for part in _flat(value)]
    return [part for value in answer for part in _flat(value)] if isinstance(answer, (list, tuple)) else [answer]


if __name__ == "__main__":
    main(sys.argv[1:])
