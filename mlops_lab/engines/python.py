"""A plain Python function as a model."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage

CODE, STATE, REQUIREMENTS = "model.py", "state.pkl", "requirements.txt"
_NUMBERS = itertools.count()


class PythonEngine:
    """Anything callable that takes ``(n, *shape)`` and returns ``(n, classes)``.

    A model of several inputs is given ``{name: array}``; one of several outputs returns that.

    Parameters
    ----------
    function
        What computes.
    in_turn
        Whether only one thread at a time may call it, because it has a state.

    Examples
    --------
    >>> PythonEngine(lambda inputs: [[1.0, 0.0]] * len(inputs)).predict(np.zeros((2, 4), np.float32)).shape
    (2, 2)
    """

    def __init__(self, function: Callable[[Any], Any], *, in_turn: bool = False) -> None:
        self._function = function
        self._turn: Any = threading.Lock() if in_turn else nullcontext()

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        with self._turn:
            return np.asarray(self._function(inputs), dtype=np.float32)

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the answer by its names, or as ``output``."""
        with self._turn:
            answer = self._function(next(iter(inputs.values())) if len(inputs) == 1 else inputs)
        if isinstance(answer, Mapping):
            return {str(name): _array(part) for name, part in answer.items()}
        return {"output": _array(answer)}


def _array(answer: Any) -> NDArray[Any]:
    array = np.asarray(answer)
    return array.astype(object) if array.dtype.kind in "UT" else array


def load_files(files: Mapping[str, bytes]) -> PythonEngine:
    """Return the model in some code. This runs the code, so the caller must trust it.

    Parameters
    ----------
    files
        ``model.py`` with a function ``predict``, or a class ``Model`` with one; other files are beside it while it
        runs. ``state.pkl`` names another function or class, and the attributes of an object.

    Raises
    ------
    WrongUsage
        The code has nothing that answers.

    Examples
    --------
    >>> load_files({"model.py": b"def predict(inputs): return 2 * inputs"}).run({"x": np.ones(2)})
    {'output': array([2., 2.])}
    """
    folder = tempfile.mkdtemp(prefix="mlops-lab-")
    for name, content in files.items():
        place = Path(folder, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    found = importlib.util.spec_from_file_location(f"mlops_lab_model_{next(_NUMBERS)}", Path(folder, CODE))
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # so that its own classes can be pickled
    found.loader.exec_module(module)
    state = pickle.loads(files[STATE]) if STATE in files else {}
    vars(module).update(state.get("globals", {}))
    engine = PythonEngine(_entry(module, state), in_turn=True)
    weakref.finalize(engine, shutil.rmtree, folder, ignore_errors=True)  # its files are there as long as it is
    return engine


def _entry(module: Any, state: Mapping[str, Any]) -> Callable[[Any], Any]:
    names = [state["entry"]] if "entry" in state else ["predict", "Model"]
    entry = next((getattr(module, name) for name in names if hasattr(module, name)), None)
    if isinstance(entry, type):
        if "attributes" in state:
            made: Any = object.__new__(entry)
            vars(made).update(state["attributes"])
        else:
            made = entry()
        entry = made if callable(made) else getattr(made, "predict", None)
    if not callable(entry):
        raise WrongUsage(f"{CODE} has nothing that answers.", "Define predict(inputs), or a class Model with predict.")
    answers: Callable[[Any], Any] = entry
    return answers
