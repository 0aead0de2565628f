"""Write the reference of every public name, command, route, setting and error code, from the code itself.

    python tools/reference.py docs/reference

The pages are made anew for each build of the site and are not committed, so they cannot lag behind.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import mlops_lab
from mlops_lab import cli, errors
from mlops_lab.errors import LabError
from mlops_lab.monitor import PredictionLog
from mlops_lab.serve.app import create_app
from mlops_lab.serve.core.limits import Limits
from mlops_lab.store.safety.codes import CODES

ROOT = Path(mlops_lab.__file__).parent
# The stages in the order of the life cycle, and the modules that they share.
MODULES = (
    *("data", "train", "store", "client", "serve", "widgets", "validate", "batch", "deploy", "pipeline", "monitor"),
    *("grade", "engines", "summary", "predict", "answers", "signature", "tensors", "inputs", "image", "filetype"),
    *("course", "errors"),
)
# Of mlops_lab.serve.core.limits' docstring: names, then what they bound.
_PARAMETERS = re.compile(r"^    ([\w, ]+)\n((?:        .+\n)+)", re.MULTILINE)


@functools.cache
def public_names(module: str) -> list[str]:
    """Return what a module offers: its own public functions and classes, and those it re-exports from the package.

    Examples
    --------
    >>> "Client" in public_names("client"), "requests" in public_names("client")
    (True, False)
    """
    found = importlib.import_module(f"mlops_lab.{module}")
    names = []
    for name in dir(found):
        value = None if name.startswith("_") else getattr(found, name)
        is_documented = inspect.isclass(value) or inspect.isroutine(value)
        if is_documented and str(getattr(value, "__module__", "")).startswith("mlops_lab") and _is_meant(module, name):
            names.append(name)
    return names


def _is_meant(module: str, name: str) -> bool:
    """Return whether a module defines a name, or imports it for others to use (``from x import name as name``)."""
    path = ROOT / module / "__init__.py" if (ROOT / module).is_dir() else ROOT / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    exported = {alias.name for node in imports for alias in node.names if alias.asname == alias.name}
    listed = {
        item.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        for item in ast.walk(node.value)
        if isinstance(item, ast.Constant)
    }
    return name in defined | exported | listed


def home(name: str, value: Any) -> str:
    """Return the first module that offers a name: its page describes it, and the others point there."""
    offering = (module for module in MODULES if name in public_names(module))
    return next(module for module in offering if getattr(importlib.import_module(f"mlops_lab.{module}"), name) is value)


def api_page(module: str) -> str:
    """Return the page of one module, for Sphinx to fill in."""
    found = importlib.import_module(f"mlops_lab.{module}")
    lines = [f"# mlops_lab.{module}", "", "```{eval-rst}", f".. automodule:: mlops_lab.{module}", ""]
    for name in public_names(module):
        value = getattr(found, name)
        first = home(name, value)
        if first != module:
            lines += [f"``{module}.{name}`` is described as ``{first}.{name}``.", ""]
        elif inspect.isclass(value):
            lines += [f".. autoclass:: mlops_lab.{module}.{name}", "   :members:", ""]
        else:
            lines += [f".. autofunction:: mlops_lab.{module}.{name}", ""]
    return "\n".join([*lines, "```", ""])


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from walk(below, f"{path} {name}")


def commands_page() -> str:
    """Return every command with its arguments and options."""
    lines = ["# Commands", "", "`mlops-lab` and `python -m mlops_lab` are the same.", ""]
    for path, command in walk(cli.commands, "mlops-lab"):
        context = click.Context(command, info_name=path)
        usage = " ".join(command.collect_usage_pieces(context))
        lines += [f"## {path}", "", "```console", f"$ {path} {usage}".rstrip(), "```", "", *_prose(command.help), ""]
        rows = [record for item in command.get_params(context) if (record := item.get_help_record(context))]
        lines += _table(("option", "meaning"), [(f"`{option}`", _cell(meaning)) for option, meaning in rows])
    return "\n".join(lines)


def _prose(text: str | None) -> list[str]:
    return inspect.cleandoc(text or "").replace("\b\n", "").replace("``", "`").splitlines()


def routes_page() -> str:
    """Return every route of a server that has a prediction log, with what its OpenAPI document says."""
    with tempfile.TemporaryDirectory() as made, PredictionLog(Path(made) / "predictions.db") as log:
        app = create_app([], log=log)
        document = app.test_client().get("/openapi.json").get_json()
    rows = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted((rule.methods or {"any"}) - {"HEAD", "OPTIONS"}):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            described = document["paths"].get(path, {}).get(method.lower(), {})
            rows.append((f"`{method}`", f"`{rule.rule}`", _cell(described.get("summary", ""))))
    head = ["# Routes", "", "The OpenAPI document of a running server is at `/openapi.json`, its page at `/docs`.", ""]
    return "\n".join([*head, *_table(("method", "route", "answers"), rows)])


def settings_page() -> str:
    """Return the limits of the server with their defaults."""
    told = {
        name.strip(): " ".join(text.split())
        for names, text in _PARAMETERS.findall(Limits.__doc__ or "")
        for name in names.split(",")
    }
    fields = dataclasses.fields(Limits)
    rows = [(f"`{field.name}`", f"`{field.default!r}`", _cell(told[field.name])) for field in fields]
    head = ["# Settings", "", "Limits of the server: `serve.create_app(models, limits=Limits(batch=16))`.", ""]
    return "\n".join([*head, *_table(("limit", "default", "meaning"), rows)])


def error_classes() -> list[type[LabError]]:
    """Return every class of error, the most general first."""
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]


def codes() -> dict[str, str]:
    """Return every error code of the package: the class it belongs to, or the file that gives it to an error.

    Examples
    --------
    >>> codes()["unknown_model"]
    'UnknownModel'
    """
    found = {kind.code: kind.__name__ for kind in reversed(error_classes())}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in _given(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.setdefault(value.value, path.relative_to(ROOT.parent).as_posix())
    return found


def _given(node: ast.AST) -> list[ast.expr | None]:
    """Return what a node gives as a code: a keyword of a call, or an attribute of a class."""
    if isinstance(node, ast.Call):
        return [item.value for item in node.keywords if item.arg == "code"]
    if isinstance(node, ast.ClassDef):
        plain = [item for item in node.body if isinstance(item, ast.Assign)]
        return [item.value for item in plain if getattr(item.targets[0], "id", "") == "code"]
    return []


def errors_page() -> str:
    """Return every error with its status code and its code."""
    kinds = error_classes()
    by_class = [
        (f"`{kind.__name__}`", f"`{kind.code}`", str(kind.status), _cell(inspect.getdoc(kind))) for kind in kinds
    ]
    own = {kind.code for kind in kinds}
    others = [(f"`{code}`", f"`{where}`") for code, where in sorted(codes().items()) if code not in own]
    head = ["# Errors", "", 'The server answers `{"error": …, "code": …, "hint": …}`; a program compares `code`.', ""]
    more = ["", "Codes that say more than the class of their error, and where they are given:", ""]
    refusals = [(f"`{code}`", _cell(hint)) for code, hint in sorted(CODES.items())]
    audit = ["## Why a file is refused", "", "`mlops-lab check` and every load name one of these.", ""]
    tables = _table(("class", "code", "status", "meaning"), by_class), _table(("code", "given in"), others)
    return "\n".join([*head, *tables[0], *more, *tables[1], *audit, *_table(("code", "what to do"), refusals)])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    return [*lines, ""]


def _cell(text: Any) -> str:
    first = str(text or "").split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`").replace("|", r"\|").replace("<", r"\<")


def pages() -> dict[str, str]:
    """Return the text of every page by its file name."""
    found = {f"{module}.md": api_page(module) for module in MODULES}
    listed = ["commands", "routes", "settings", "errors_and_codes", *MODULES]
    contents = ["# Reference", "", "Made from the code.", "", "```{toctree}", ":maxdepth: 1", "", *listed, "```", ""]
    return {
        "index.md": "\n".join(contents),
        "commands.md": commands_page(),
        "routes.md": routes_page(),
        "settings.md": settings_page(),
        "errors_and_codes.md": errors_page(),
        **found,
    }


def write(folder: Path) -> None:
    """Write the pages; those that are as they were keep their time, so that a second build is quick."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
