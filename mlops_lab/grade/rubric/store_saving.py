"""store-1 and store-2: save a model, and load it in another process."""

from __future__ import annotations

import io
import re
import zipfile
from functools import cache

import numpy as np

from mlops_lab.filetype import is_pickle
from mlops_lab.grade import programs
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.keras_models import config_of, layers_of, weights_of
from mlops_lab.grade.rubric.images import MATERIAL, all_tested, answers
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.shared_folder import SharedFolder
from mlops_lab.grade.wire import KerasFile

saving = Exercise("store-1", "Save", names=("save", "members"), section="Notebook 3, section 1", hints=RAISES)
MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
H5 = b"\x89HDF\r\n"
SECONDS = 60.0


@cache
def _model() -> KerasFile:
    return KerasFile((MATERIAL / "clothes.keras").read_bytes())


def _saved(answer: Answer, case: Case, shared: SharedFolder) -> bytes:
    """Let a student save the shipped model; return the file, or fail where it is none that Keras loads."""
    done = answer.save.call(_model(), shared.path("clothes.keras"))
    key = "ending" if "extension" in done.error or ".keras" in done.error else "raises"
    case.expect(not done.error, f"save raised {done.error}", hint=key, received=done.error)
    data, there = shared.read("clothes.keras"), shared.files()
    if data is None:
        weights = any(name.endswith(".h5") for name in there)
        case.fail("There is no clothes.keras.", hint="weights-only" if weights else "elsewhere", received=there)
    kind = "pickle" if is_pickle(data) else "weights-only" if data.startswith(H5) else "other"
    case.expect(zipfile.is_zipfile(io.BytesIO(data)), "The file is no .keras archive.", hint=kind,
                expected="a zip archive", received=kind)  # fmt: skip
    return data


HINTS = {
    "ending": Hint("Keras refused the name.", "It chooses the format by the ending: .keras."),
    "elsewhere": Hint("There is {received}.", "Save to the very path that is given."),
    "weights-only": Hint(
        "Numbers without the network.", "Whoever loads this must still have your code. `members` shows one file."
    ),
    "pickle": Hint(
        "This is a pickle.",
        "It needs this very code and these very versions on the other side, and it runs what it contains. See store-4.",
    ),
    "other": Hint("This is no zip archive.", "model.save(path) writes one."),
}


@saving.check("saved", "The file holds the network and its numbers", points=2, timeout=SECONDS, needs="tensorflow",
              hints=HINTS)  # fmt: skip
def saved(answer: Answer, case: Case) -> None:
    data = _saved(answer, case, answer.shared_folder())
    config, wanted = config_of(data), config_of(_model().data)
    kinds = [[kind for kind, _ in layers_of(one)] for one in (config, wanted)]
    case.expect(kinds[0] == kinds[1], "The network is another.", expected=kinds[1], received=kinds[0])
    now, before = weights_of(data), weights_of(_model().data)
    same = now.keys() == before.keys() and all(np.array_equal(now[name], before[name]) for name in before)
    case.expect(same, "The numbers are others.", expected="the model that was passed", received="other weights")


@saving.check("members", "What is inside of the archive", points=1, timeout=SECONDS, needs="tensorflow", after="saved",
              hints={
    **HINTS,
    "form": Hint("{received} came back.", "The names of the three files, as the archive has them."),
})  # fmt: skip
def members(answer: Answer, case: Case) -> None:
    shared = answer.shared_folder()
    _saved(answer, case, shared)
    said = answer.members(shared.path("clothes.keras"))
    names = set(map(str, said)) if isinstance(said, list | tuple | set | dict) else set()
    case.expect(names == MEMBERS, "The members are others.", hint="form", expected=", ".join(sorted(MEMBERS)),
                received=said)  # fmt: skip


loading = Exercise("store-2", "Another process", kind="file", names=("reload.py",), section="Notebook 3, section 2")
NUMBER = re.compile(r"(?<![\w.])([01]?\.\d+|\d{1,2}(?:\.\d+)? ?%)")


@cache
def _accuracies() -> dict[str, float]:
    """Return the accuracy of the shipped model on all test images, by the preparation."""
    images, labels = all_tested()
    found = answers(images, only=("right", "not-divided", "divided-twice", "transposed", "inverted"))
    return {how: float((rows.argmax(axis=1) == labels).mean()) for how, rows in found.items()}


def read_figure(printed: str) -> float | None:
    r"""Return the last number in a text that can be an accuracy.

    Examples
    --------
    >>> read_figure("313/313 2s\naccuracy: 0.9081"), read_figure("90.8 %"), read_figure("no")
    (0.9081, 0.908, None)
    """
    found = NUMBER.findall(printed)
    if not found:
        return None
    last = found[-1]
    return round(float(last.rstrip(" %")) / 100, 9) if last.endswith("%") else float(last)


@loading.check("accuracy", "A new process loads the model, and is as good as before", points=3, timeout=90,
               needs=("tensorflow", "onnxruntime"), hints={
    "not-found": Hint("The model was not found.",
                      "The new process runs elsewhere. Take the path from the arguments or beside `__file__`."),
    "ended": Hint("It ended with status {status}.", "The last lines say why."),
    "late": Hint("It was still running after {seconds:.0f} s.", "Loading and asking once takes some seconds."),
    "silent": Hint("It printed no number.", "print(accuracy), at the end."),
    "not-divided": Hint(
        "{received:.3f} instead of {expected:.3f}: just what this model says to pixels that were not divided by 255.",
        "Loading restores the model, not your preparation.",
    ),
    "fresh": Hint("{received:.3f}: one of ten, by chance.",
                  "A new network with fresh weights: the file was never read, or read into another variable."),
    "otherwise": Hint("{received:.3f} instead of {expected:.3f}.", "Prepare as in training, and ask all test images."),
})  # fmt: skip
def accuracy(answer: Answer, case: Case) -> None:
    model, elsewhere = (MATERIAL / "clothes.keras").read_bytes(), {"elsewhere/empty.txt": b""}
    ended = programs.run(answer.path, {"clothes.keras": model, **elsewhere}, arguments=("../clothes.keras",),
                         place="elsewhere", seconds=80)  # fmt: skip
    case.note("cd elsewhere && python ../reload.py ../clothes.keras", ended.printed[-300:])
    case.expect(ended.status is not None, "It did not end.", hint="late", seconds=ended.seconds)
    lost = ended.status != 0 and "clothes.keras" in ended.printed and re.search(r"not found|No such", ended.printed)
    case.expect(ended.status == 0, "The program failed.", hint="not-found" if lost else "ended", status=ended.status,
                received=ended.printed[-300:])  # fmt: skip
    said, right = read_figure(ended.printed), _accuracies()["right"]
    if said is None:
        case.fail("It printed no accuracy.", hint="silent", received=ended.printed[-300:])
    near = next((how for how, one in _accuracies().items() if abs(said - one) < 0.0015), "")
    key = near if near == "not-divided" else "fresh" if said < 0.2 else "otherwise"
    case.expect(near == "right", "The accuracy is another.", hint=key, expected=right, received=said)
