"""An application of one's own, such as a student's ``api.py``: what its image must hold, read from its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from mlops_lab.errors import WrongUsage

# Whose packages the image must have where one of these is imported; the first that fits. Else the smallest will do.
ENGINES = {"keras": {"tensorflow", "keras"}, "sklearn": {"sklearn", "skops"}}


def engine(path: Path) -> str:
    """Return whose packages an application needs: ``"keras"``, ``"sklearn"``, or ``"onnx"`` for the smallest image.

    Raises
    ------
    WrongUsage
        It is not Python, or defines no ``app``.
    """
    if "app" not in _names(_nodes(path)):
        raise WrongUsage(f"{path} defines no 'app'.", "The server looks for it: app = Flask(__name__).")
    found = imported(sources(path))
    return next((name for name, modules in ENGINES.items() if modules & found), "onnx")


def sources(path: Path) -> list[Path]:
    """Return an application, and the modules and packages beside it that it imports, directly or through each other."""
    found, waiting = {path.stem: path}, [path]
    while waiting:
        for name in sorted(imported([waiting.pop()]) - found.keys()):
            module, package = path.parent / f"{name}.py", path.parent / name
            if module.is_file() or (package / "__init__.py").is_file():
                found[name] = module if module.is_file() else package
                waiting.append(found[name])
    return list(found.values())


def imported(paths: Iterable[Path]) -> set[str]:
    """Return the first words of what files and packages import, wherever in them that stands."""
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    nodes = [node for file in files for node in _nodes(file)]
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.split(".")[0] for name in [*plain, *parts]}


def _nodes(path: Path) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    except (OSError, SyntaxError, ValueError) as error:
        raise WrongUsage(f"{path} cannot be read as Python: {error}.", f"Run it once: python {path.name}") from error


def _names(nodes: list[ast.AST]) -> set[str]:
    """Return every name that is bound by an assignment or an import."""
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    aliases = [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]
    return assigned | {alias.asname or alias.name for alias in aliases}
