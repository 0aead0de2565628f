"""store-5: 133,280 or 44,426? Counted in the file alone."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import MATERIAL
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("store-5", "133,280 or 44,426?", names=("parameters",), section="Notebook 3, section 5",
                    hints=RAISES)  # fmt: skip
KEYS = ("weights", "optimizer", "total")
Counts = tuple[int, int, int]


def keras_file(shapes: Sequence[tuple[int, ...]], *, optimizer: bool) -> tuple[bytes, Counts]:
    """Return a ``.keras`` file of dense layers, with Adam's variables or without, and its counts."""
    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for number, shape in enumerate(shapes):
            group = file.create_group(f"layers/dense{f'_{number}' if number else ''}/vars")
            group["0"], group["1"] = np.zeros(shape, np.float32), np.zeros(shape[-1:], np.float32)
        tensors = [shape for kernel in shapes for shape in (kernel, kernel[-1:])]
        if optimizer:
            kept = file.create_group("optimizer/vars")
            kept["0"], kept["1"] = np.int64(1), np.float32(1e-3)
            for number, shape in enumerate(tensors):
                kept[str(2 + 2 * number)], kept[str(3 + 2 * number)] = np.zeros(shape), np.zeros(shape)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", '{"class_name": "Sequential", "config": {}}')
        file.writestr("model.weights.h5", weights.getvalue())
    count = sum(int(np.prod(shape)) for shape in tensors)
    extra = 2 * count + 2 if optimizer else 0
    return archive.getvalue(), (count, extra, count + extra)


def _without_optimizer(content: bytes) -> bytes:
    """Return a ``.keras`` file as it is when it is saved without its optimizer."""
    import h5py

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            part = io.BytesIO(source.read(name))
            if name == "model.weights.h5":
                with h5py.File(part, "r+") as weights:
                    del weights["optimizer"]
            target.writestr(name, part.getvalue())
    return out.getvalue()


def _files(case: Case) -> dict[str, tuple[bytes, Counts]]:
    clothes = (MATERIAL / "clothes.keras").read_bytes()
    if case.held_out:
        widths = [int(width) for width in case.rng.integers(5, 60, 4)]
        shapes = list(itertools.pairwise(widths))
        return {f"own-{kind}": keras_file(shapes, optimizer=kind) for kind in (True, False)}
    return {
        "clothes": (clothes, (44_426, 88_854, 133_280)),
        "clothes-plain": (_without_optimizer(clothes), (44_426, 0, 44_426)),
    }


def _counts(said: Any, case: Case) -> Counts:
    if isinstance(said, dict) and set(KEYS) <= set(said):
        said = tuple(said[key] for key in KEYS)
    try:
        first, second, third = (int(one) for one in said)
    except (TypeError, ValueError):
        case.fail("parameters gives no three numbers.", hint="form", expected=", ".join(KEYS), received=said)
    return first, second, third


@exercise.check("counts", "Weights, the optimizer's variables, and their sum", points=3, held_out=2,
                covers="files of other models", needs="h5py", hints={
    "form": Hint("Something else than three numbers came back.", "Weights, the optimizer's variables, and the total."),
    "weights-only": Hint("{received} for {file}. Right for predicting.",
                         "The file holds more: what does Adam remember per weight?"),
    "without-scalars": Hint("{received} for {file}: two single numbers are missing.",
                            "The count of steps and the learning rate are kept too."),
    "file-size": Hint("{received} for {file}.", "The archive has headers and a configuration as well: its size in "
                      "bytes is no count."),
    "constant": Hint("{received} for {file}, which is another file.", "Count in the file that you are given."),
})  # fmt: skip
def counts(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    for name, (content, right) in _files(case).items():
        said = _counts(answer.parameters(shared.put(f"{name}.keras", content)), case)
        likely = {
            "weights-only": right[1] and said[2] == right[0],
            "without-scalars": right[1] and said[2] == right[2] - 2,
            "file-size": said[2] in (len(content) // 4, round(len(content) / 4)),
            "constant": said == (44_426, 88_854, 133_280),
        }
        key = next((key for key, alike in likely.items() if alike), "")
        case.expect(said == right, "The counts are others.", hint=key, file=f"{name}.keras", expected=right,
                    received=said)  # fmt: skip
