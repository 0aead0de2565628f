"""The argument of :func:`mlops_lab.serve.start`: a WSGI application, or a model that is in no store."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage
from mlops_lab.inputs import TEXT
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.registry import MODEL_FILES

if TYPE_CHECKING:
    from mlops_lab.store.intake.source import Source

IMAGE_SIDE = 4


def is_application(thing: Any) -> bool:
    """Return whether a thing is a WSGI application, and no model.

    A model has ``predict``, or is called with one argument; an application is called with ``environ`` and
    ``start_response``.

    Examples
    --------
    >>> is_application(lambda environ, start_response: []), is_application(lambda rows: rows)
    (True, False)
    """
    if not callable(thing) or isinstance(thing, type) or hasattr(thing, "predict"):
        return False
    if hasattr(thing, "wsgi_app"):
        return True
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # written in C: nothing tells
        return True
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in parameters if one.kind in positional and one.default is inspect.Parameter.empty]
    return len(needed) != 1 or any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)


def is_model(thing: Any) -> bool:
    """Return whether a thing is one model that lies in no store: an object, a function, or the path of a file."""
    if isinstance(thing, str | os.PathLike):
        return Path(thing).suffix in MODEL_FILES
    if isinstance(thing, Predictor) or is_application(thing):
        return False
    return hasattr(thing, "predict") or (callable(thing) and not isinstance(thing, type))


def to_predictor(model: Any, name: str = "", examples: Any = None) -> Predictor:
    """Return a model that lies in no store as version 1, its signature inferred by asking it.

    Parameters
    ----------
    model
        What :meth:`mlops_lab.store.ModelStore.publish` takes.
    name
        By default that of its file, else ``"model"``.
    examples
        Some of its inputs. Without them it is asked about zeros, or a ramp of greys, of the shape that its framework
        tells.

    Raises
    ------
    WrongUsage
        The model does not tell what it takes, or does not take its examples.
    LabError
        One of its kinds: the file is not there, or not safe.

    Examples
    --------
    >>> to_predictor(lambda rows: rows.sum(axis=1), examples=[[1.0, 2.0]]).signature.task
    'regression'
    """
    from mlops_lab.store.intake.preparing import prepare

    if isinstance(model, str | os.PathLike):
        path = Path(model)
        name = name or path.stem
        if not path.is_file():
            raise WrongUsage(f"There is no file {str(path)!r}.", "Check the path.")
    source = _source(model)
    found = prepare(source, examples=_guessed(source) if examples is None else examples)
    info = {"framework": source.framework, "engine": "in memory"}
    return Predictor.of(found.signature, source.engine, name or "model", info=info)


def _source(model: Any) -> Source:
    """Return what a framework tells of a model; a function need not have code that could be published."""
    from mlops_lab.engines.python import PythonEngine
    from mlops_lab.store.intake.recognise import recognised
    from mlops_lab.store.intake.source import Source

    try:
        return recognised(model)
    except WrongUsage:
        if isinstance(model, str | os.PathLike):
            raise
    call = model if callable(model) else model.predict
    return Source(model, "python", PythonEngine(call, in_turn=True), lambda folder, signature, examples: [])


def _guessed(source: Source) -> Any:
    """Return examples of the shapes that a framework tells.

    Raises
    ------
    WrongUsage
        It tells none.
    """
    slots = [slot for slot in source.inputs if slot.shape is not None]
    if slots and len(slots) == len(source.inputs):
        return {slot.name: ramp(slot.shape or (), slot.dtype or "float32", source.scales) for slot in slots}
    columns, width = getattr(source.model, "feature_names_in_", None), getattr(source.model, "n_features_in_", None)
    if width is not None and columns is None:
        return np.zeros((2, width))
    kind = type(source.model).__name__
    message = f"A {kind} does not tell what it takes, so its input and answers are not known."
    raise WrongUsage(message, "Pass examples=X, some inputs as its own predict takes them.")


def ramp(shape: tuple[int | None, ...], dtype: str, scales: bool) -> NDArray[Any]:
    """Return two examples: zeros, or empty texts; of a shape that an image has, all levels of grey.

    Examples
    --------
    >>> ramp((3,), "float32", False).shape, ramp((28, 28, 1), "float32", False).max().item()
    ((2, 3), 1.0)
    """
    whole = (2, *(side or 1 for side in shape))
    if dtype == TEXT:
        return np.full(whole, "", object)
    if len(shape) < 2 or min(sorted(whole[1:])[-2:]) < IMAGE_SIDE:
        return np.zeros(whole, dtype)
    levels = (np.arange(np.prod(whole)) % 256).reshape(whole)
    return levels.astype(dtype) if scales or np.dtype(dtype).kind in "iu" else (levels / 255).astype(dtype)
