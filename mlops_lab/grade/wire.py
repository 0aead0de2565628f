"""Values as JSON, both ways, between the grader and the sandbox. No pickle: what is not listed here does not cross."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_DEPTH = 40
DTYPES = "biufUS"  # kinds of arrays that cross
Special = Callable[[Any], Any]


@dataclass(frozen=True)
class KerasFile:
    """A Keras model, as the bytes of its file."""

    data: bytes


def encode(value: Any, special: Special | None = None, depth: int = 0) -> Any:
    """Return a value as JSON can hold it.

    Parameters
    ----------
    value
        Numbers, text, bytes, ``None``, lists, tuples, sets, dicts, NumPy arrays, numbers and dtypes (as their names),
        a :class:`mlops_lab.data.Split`, and a :class:`mlops_lab.predict.PredictionEvent` of a classifier.
    special
        Is asked about anything else; what it returns is sent.

    Raises
    ------
    TypeError
        Something else, and nobody to ask.

    Examples
    --------
    >>> decode(encode({"a": (1, 2.5, None), "b": np.arange(3)}))
    {'a': (1, 2.5, None), 'b': array([0, 1, 2])}
    """
    if depth > MAX_DEPTH:
        raise TypeError("nested too deeply")

    def inner(one: Any) -> Any:
        return encode(one, special, depth + 1)

    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value if not isinstance(value, int) or abs(value) < 2**63 else {"int": str(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, bytes | bytearray):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, np.dtype):
        return value.name
    if type(value).__name__ == "Split" and type(value).__module__ == "mlops_lab.data.dataset":
        return {"split": [inner(value.images), inner(value.labels)]}
    if type(value).__name__ == "PredictionEvent" and type(value).__module__ == "mlops_lab.predict":
        said = [value.request_id, value.time, value.seconds, value.images, value.rows]
        return {"event": inner([*said, value.predictor.name, value.predictor.version, value.predictor.labels])}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in DTYPES:
        array = np.asarray(value)
        packed = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        kind = "array" if isinstance(value, np.ndarray) else "number"
        fixed = {"fixed": True} if kind == "array" and not array.flags.writeable else {}
        return {kind: packed, "dtype": array.dtype.str, "shape": list(array.shape), **fixed}
    if isinstance(value, list):
        return [inner(one) for one in value]
    if isinstance(value, tuple | set | frozenset):
        return {"tuple" if isinstance(value, tuple) else "set": [inner(one) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[inner(key), inner(one)] for key, one in value.items()]}
    if special is None:
        raise TypeError(f"{type(value).__name__} cannot cross")
    return special(value)


def decode(value: Any, special: Special | None = None, depth: int = 0) -> Any:
    """Return the value that :func:`encode` was given.

    Raises
    ------
    ValueError
        It is not from :func:`encode`.
    """
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")

    def inner(one: Any) -> Any:
        return decode(one, special, depth + 1)

    if isinstance(value, list):
        return [inner(one) for one in value]
    if not isinstance(value, dict):
        return value
    try:
        if "array" in value or "number" in value:
            return _array(value)
        kind, content = next(iter(value.items()))
        if kind == "dict":
            return {inner(key): inner(one) for key, one in content}
        if kind in ("tuple", "set"):
            items = [inner(one) for one in content]
            return tuple(items) if kind == "tuple" else set(items)
        if kind in ("int", "float"):
            return int(content) if kind == "int" else float(content)
        if kind == "bytes":
            return base64.b64decode(content)
        if kind == "split":
            from mlops_lab.data.dataset import Split

            images, labels = (inner(one) for one in content)
            return Split(images, labels)
        if kind == "event":
            return prediction_event(*inner(content))
        if kind == "keras":
            return KerasFile(base64.b64decode(content))
    except (TypeError, KeyError, StopIteration, OverflowError) as error:
        raise ValueError(f"not a value: {error}") from error
    if special is None:
        raise ValueError(f"{kind!r} is not a value")
    return special(value)


def prediction_event(
    request_id: str, time: float, seconds: float, images: Any, rows: Any, name: str, version: int, labels: tuple[str, ...]
) -> Any:
    """Return an answered request of a classifier, as a server's hook is given it; its model can answer nothing else."""
    from mlops_lab.engines.python import PythonEngine
    from mlops_lab.inputs import InputSpec
    from mlops_lab.predict import PredictionEvent, Predictor

    engine = PythonEngine(lambda inputs: np.tile(rows[:1], (len(inputs), 1)))
    predictor = Predictor(name, version, InputSpec((*images.shape[1:3], 1), size=images.shape[1:3]), labels, engine)
    return PredictionEvent(request_id, time, predictor, images, rows, seconds)


def _array(value: dict[str, Any]) -> Any:
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in DTYPES:
        raise ValueError(f"arrays of {dtype}")
    packed = base64.b64decode(value.get("array", value.get("number", "")))
    array = np.frombuffer(packed, dtype).reshape(value["shape"]).copy()
    if "array" not in value:
        return array[()]
    array.flags.writeable = value.get("fixed") is not True  # who changes one that cannot be written learns it here too
    return array


def copy_back(argument: Any, after: Any) -> None:
    """Change an argument here as it was changed there, so that whoever passed it sees the same in both places.

    Examples
    --------
    >>> images = np.array([1, 2])
    >>> copy_back(images, np.array([3, 4]))
    >>> images
    array([3, 4])
    """
    if isinstance(argument, np.ndarray) and isinstance(after, np.ndarray) and argument.shape == after.shape:
        if argument.flags.writeable and argument.dtype == after.dtype:
            argument[...] = after
    elif isinstance(argument, list) and isinstance(after, list):
        argument[:] = after
    elif isinstance(argument, dict) and isinstance(after, dict):
        argument.clear()
        argument.update(after)
