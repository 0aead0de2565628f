"""Inspect an application, such as a student's ``api.py``: its modules, its data files and its health endpoint.

The source is parsed and never run, so no package that it imports has to be installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from mlops_lab.errors import WrongUsage

# The engine whose packages the image needs where one of these modules is imported; the first match wins.
ENGINES = {"keras": {"tensorflow", "keras"}, "sklearn": {"sklearn", "skops"}}
HEALTH_ROUTES = ("/readyz", "/ready", "/healthz", "/health", "/ping", "/status", "/")
FLASK_FOLDERS = ("static", "templates")


def engine(path: Path) -> str:
    """Return the engine whose packages an application needs: ``"keras"``, ``"sklearn"``, or ``"onnx"`` by default.

    Raises
    ------
    WrongUsage
        The file is not Python, or defines no ``app``.
    """
    if "app" not in _names(_nodes(path)):
        raise WrongUsage(f"{path} defines no 'app'.", "Name the application app, as in app = Flask(__name__).")
    found = imported(sources(path))
    return next((name for name, modules in ENGINES.items() if modules & found), "onnx")


def sources(path: Path) -> list[Path]:
    """Return an application and the modules and packages beside it that it imports, directly or indirectly."""
    found, waiting = {path.stem: path}, [path]
    while waiting:
        for name in sorted(imported([waiting.pop()]) - found.keys()):
            module, package = path.parent / f"{name}.py", path.parent / name
            if module.is_file() or (package / "__init__.py").is_file():
                found[name] = module if module.is_file() else package
                waiting.append(found[name])
    return list(found.values())


def imported(paths: Iterable[Path]) -> set[str]:
    """Return the top-level modules that files and packages import, at any place in them."""
    nodes = _all_nodes(paths)
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.split(".")[0] for name in [*plain, *parts]}


def data_files(path: Path, models: Path) -> list[str]:
    """Return the data files and folders beside an application that its code names.

    A string in the code that is the relative path of an existing file or folder counts, and so do Flask's ``static``
    and ``templates``. Folders in the models folder are left out, because the version is copied anyway.

    Parameters
    ----------
    path
        The application.
    models
        The models folder.

    Returns
    -------
    list of str
        Paths relative to the application's folder, with ``/`` between their parts.
    """
    code = sources(path)
    texts = [node.value for node in _all_nodes(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names = {Path(text).as_posix() for text in [*texts, *FLASK_FOLDERS] if _is_data(path.parent, text, models, code)}
    return sorted(name for name in names if not any(str(parent) in names for parent in Path(name).parents))


def health_path(path: Path) -> str | None:
    """Return the path of a GET route that shows whether an application is healthy; ``None`` where there is none.

    Conventional health endpoints come first, then any route without parameters.
    """
    routes = _get_routes(_all_nodes(sources(path)))
    plain = sorted(route for route in routes if "<" not in route)
    return next((route for route in [*HEALTH_ROUTES, *plain] if route in plain), None)


def _get_routes(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the routes of decorators such as ``@app.get("/models")`` and ``@app.route("/", methods=["GET"])``."""
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    calls = [item for function in functions for item in function.decorator_list if isinstance(item, ast.Call)]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("get", "route")
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and str(call.args[0].value).startswith("/")
        and _takes_get(call)
    }


def _takes_get(call: ast.Call) -> bool:
    methods = next((word.value for word in call.keywords if word.arg == "methods"), None)
    return methods is None or '"GET"' in ast.unparse(methods).upper().replace("'", '"')


def _is_data(folder: Path, text: str, models: Path, code: list[Path]) -> bool:
    """Return whether a string is the relative path of a data file or folder below a folder."""
    if not text.strip("./") or len(text) > 255 or "\0" in text or "\n" in text:
        return False
    found = Path(text)
    if found.is_absolute() or ".." in found.parts or any(part.startswith(".") for part in found.parts):
        return False
    try:
        target = (folder / found).resolve()
        exists = target.exists() and target.is_relative_to(folder.resolve())
    except OSError:
        return False
    known = target in [source.resolve() for source in code] or "__pycache__" in found.parts
    version = target.is_dir() and (target == models.resolve() or models.resolve() in target.parents)
    return exists and not known and not version


def _all_nodes(paths: Iterable[Path]) -> list[ast.AST]:
    """Return the syntax nodes of files, and of the modules in packages."""
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    return [node for file in files for node in _nodes(file)]


def _nodes(path: Path) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    except (OSError, SyntaxError, ValueError) as error:
        raise WrongUsage(f"{path} cannot be parsed as Python: {error}.", f"Run it once: python {path.name}") from error


def _names(nodes: list[ast.AST]) -> set[str]:
    """Return every name that is bound by an assignment or an import."""
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    aliases = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return assigned | {alias.asname or alias.name for alias in aliases}
