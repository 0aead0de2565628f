"""Python functions, objects and files as models: their code, their state, and the packages that they import.

Loading them runs their code, so a version of them is loaded only where its digest is trusted (``store.version``).
"""

from __future__ import annotations

import ast
import inspect
import linecache
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from mlops_lab.engines import python
from mlops_lab.engines.python import CODE, REQUIREMENTS, STATE, PythonEngine
from mlops_lab.errors import WrongUsage
from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.intake.quiet import brief
from mlops_lab.store.intake.source import Source

IN_FILE = "Write it to a file of its own, model.py, and publish that."


def read_code_file(path: Path) -> Source:
    """Return the model in a Python file: its function ``predict``, or its class ``Model`` with one.

    Its ``requirements.txt``, and other regular files beside it in a folder ``files``, go with it.

    Raises
    ------
    WrongUsage
        There is no such file, or it has neither.
    """
    try:
        code = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} cannot be read: {error}.", "Look at the path.") from error
    files = {CODE: code.encode()}
    beside = path.parent / "files"
    if beside.is_dir():
        there = (item for item in beside.rglob("*") if item.is_file() and not item.is_symlink())
        found = sorted(item for item in there if item.suffix != ".pyc")  # Python's own, of modules among them
        files |= {f"files/{item.relative_to(beside).as_posix()}": item.read_bytes() for item in found}
    own = path.parent / REQUIREMENTS
    files[REQUIREMENTS] = own.read_bytes() if own.is_file() else requirements(code).encode()
    return _source(path, files, python.load_files(files))


def read_code(model: Any) -> Source:
    """Return a function, or an object with ``predict`` or ``__call__``, with the code that defines it.

    Raises
    ------
    WrongUsage
        Its code is not to be had, or needs what cannot go with it.
    """
    function = isinstance(model, FunctionType)
    if function and model.__name__ == "<lambda>":
        raise WrongUsage("A lambda has no code of its own to publish.", "Give it a name: def predict(inputs): …")
    subject = model if function else type(model)
    code, values = _collected(subject)
    state: dict[str, Any] = {"entry": subject.__name__, "globals": values}
    if not function:
        state["attributes"] = vars(model)
    try:
        pickled = pickle.dumps(state)
    except Exception as error:
        message = f"The state of {subject.__name__} cannot be saved: {brief(error)}."
        raise WrongUsage(message, "Keep arrays and plain values in it, and open files when it is asked.") from error
    files = {CODE: code.encode(), STATE: pickled, REQUIREMENTS: requirements(code).encode()}
    call: Callable[[Any], Any] = model if callable(model) else model.predict
    return _source(model, files, PythonEngine(call, in_turn=True))


def _source(model: Any, files: dict[str, bytes], engine: PythonEngine) -> Source:
    def write(folder: Path, _: Signature, __: Arrays) -> list[str]:
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(content)
        return ["It is code: whoever loads it runs it, so it is loaded only where its digest is trusted"]

    return Source(model, "python", engine, write)


def requirements(code: str) -> str:
    """Return the packages that some code imports, at the versions that are installed here, one a line.

    Examples
    --------
    >>> requirements("import json, numpy").startswith("numpy==")
    True
    """
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise WrongUsage(f"The code cannot be read: {error}.", "Look at the line that it names.") from error
    modules = {name.split(".")[0] for node in ast.walk(tree) for name in _imported(node)}
    owners = metadata.packages_distributions()
    pins = set()
    for module in modules - sys.stdlib_module_names - {"mlops_lab"}:
        if module not in owners:
            message = f"The code imports {module!r}, which is no package that is installed here."
            raise WrongUsage(message, f"Put what it takes from {module!r} into the same file.")
        pins.add(f"{owners[module][0]}=={metadata.version(owners[module][0])}\n")
    return "".join(sorted(pins))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def _collected(subject: Any) -> tuple[str, dict[str, Any]]:
    """Return the code of a function or class with what it uses of its notebook or module, and the values it uses."""
    parts: dict[str, str] = {}
    imports: dict[str, str] = {}
    values: dict[str, Any] = {}
    waiting = [subject]
    while waiting:
        item = waiting.pop()
        if item.__name__ in parts:
            continue
        parts[item.__name__] = _code_of(item)
        if isinstance(item, type):
            waiting += [base for base in item.__bases__ if base.__module__ == subject.__module__]
        for function in _functions(item):
            if function.__closure__ and set(function.__code__.co_freevars) - {"__class__"}:
                raise WrongUsage(f"{function.__name__} uses variables of the function around it.", IN_FILE)
            for name in _names(function.__code__) & function.__globals__.keys():
                _place(name, function.__globals__[name], subject.__module__, imports, values, waiting)
    blocks = ["from __future__ import annotations\n", *sorted(imports.values()), *reversed(parts.values())]
    return "\n".join(blocks) + "\n", values


def _place(
    name: str, value: Any, own: str, imports: dict[str, str], values: dict[str, Any], waiting: list[Any]
) -> None:
    """Decide how a global name goes with the code: as an import, as code, or as a value."""
    if isinstance(value, ModuleType):
        imports[name] = f"import {value.__name__} as {name}"
    elif isinstance(value, FunctionType | type) and value.__module__ == own:
        waiting.append(value)
    elif isinstance(value, FunctionType | type) or (callable(value) and getattr(value, "__module__", None)):
        imports[name] = f"from {value.__module__} import {getattr(value, '__name__', name)} as {name}"
    else:
        values[name] = value


def _code_of(item: Any) -> str:
    try:
        code = _class_of(item) if isinstance(item, type) else inspect.getsource(item)
    except (OSError, TypeError, SyntaxError) as error:
        raise WrongUsage(f"The code of {item.__name__} is not to be had.", IN_FILE) from error
    if re.match(r"\s", code):
        raise WrongUsage(f"{item.__name__} is defined inside of something else.", IN_FILE)
    return code


def _class_of(item: type) -> str:
    """Return the code of a class, also of one that was defined in a cell, which has no file."""
    function = next(_functions(item), None)
    if function is None:
        raise OSError("a class without functions")
    lines = linecache.getlines(function.__code__.co_filename)
    found = [
        node for node in ast.parse("".join(lines)).body if isinstance(node, ast.ClassDef) and node.name == item.__name__
    ]
    if not found:
        raise OSError("not at the top of its file")
    first = min([found[-1].lineno, *(decorator.lineno for decorator in found[-1].decorator_list)])
    return "".join(lines[first - 1 : found[-1].end_lineno])


def _functions(item: Any) -> Iterator[FunctionType]:
    if isinstance(item, FunctionType):
        yield item
        return
    for value in vars(item).values():
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType):
            yield function


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner)) if inner else set(code.co_names)
