"""What a student's file says without being run: parsed, never imported."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APPLICATIONS = ("app", "application", "api", "server", "uvicorn", "flask_app", "web")
SERVERS = ("run", "serve", "serve_forever", "run_simple")


@dataclass(frozen=True)
class Started:
    """A line that starts a server.

    Parameters
    ----------
    line
        Its number.
    guarded
        Whether it stands under ``if __name__ == "__main__"``, or in a function.
    debug, everywhere
        Whether the debugger is on, and whether it listens on all addresses.
    """

    line: int
    guarded: bool
    debug: bool
    everywhere: bool


def parse(path: Path | None) -> ast.Module | None:
    """Return a file's syntax tree, or ``None`` where there is none."""
    try:
        return ast.parse(path.read_text(encoding="utf-8")) if path is not None else None
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def starts(path: Path | None) -> list[Started]:
    """Return the lines of a file that start a server."""
    tree = parse(path)
    found: list[Started] = []
    for node in tree.body if tree else ():
        guarded = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or _is_guard(node)
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and _starts_server(call):
                values = {word.arg: word.value for word in call.keywords}
                found.append(
                    Started(
                        call.lineno,
                        guarded,
                        _constant(values.get("debug")) is True,
                        _constant(values.get("host")) in ("0.0.0.0", "::", ""),
                    )
                )
    return found


def imports(path: Path | None) -> set[str]:
    """Return the full names of the modules that a file imports, itself or by other files of its folder."""
    if path is None:
        return set()
    path = path.resolve()
    names: set[str] = set()
    waiting, seen = [path], {path}
    while waiting:
        file = waiting.pop()
        found = set(_imported(file))
        names |= found
        new = {one for name in found for one in _files(path.parent, file.parent, name)} - seen
        seen |= new
        waiting += new
    return names


def _imported(path: Path) -> Iterator[str]:
    """Give the names that one file imports; those that begin at its own folder begin with a dot for each step."""
    tree = parse(path)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" if node.module else f"{module}{alias.name}" for alias in node.names)


def _files(root: Path, place: Path, name: str) -> Iterator[Path]:
    """Give the files of a folder that are run when a module is imported: its own, and those of the packages above."""
    steps = len(name) - len(name.lstrip("."))
    parts = name[steps:].split(".")
    if parts[0] == "mlops_lab" and not steps:
        return  # the library stands before the folder
    start = place.joinpath(*[".."] * (steps - 1)).resolve() if steps else root
    for count in range(1, len(parts) + 1):
        module = start.joinpath(*parts[:count])
        for path in (module.parent / f"{module.name}.py", module / "__init__.py"):
            if path.is_relative_to(root) and os.path.isfile(path):
                yield path


def broad_excepts(path: Path | None) -> list[int]:
    """Return the lines of ``except:`` and ``except Exception:`` around most of a function that answers."""
    tree = parse(path)
    lines: list[int] = []
    for function in ast.walk(tree) if tree else ():
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        statements = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
        for block in (node for node in ast.walk(function) if isinstance(node, ast.Try)):
            inside = sum(isinstance(node, ast.stmt) for one in block.body for node in ast.walk(one))
            catches_all = [h for h in block.handlers if _catches_everything(h)]
            if catches_all and inside > 3 and inside * 2 >= statements:
                lines.append(catches_all[0].lineno)
    return lines


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    names = [handler.type] if not isinstance(handler.type, ast.Tuple) else handler.type.elts
    return any(name is None or (isinstance(name, ast.Name) and name.id in ("Exception", "BaseException"))
               for name in names)  # fmt: skip


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node.test)
    )


def _starts_server(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in ("serve", "run_simple")
    if not isinstance(function, ast.Attribute) or function.attr not in SERVERS:
        return False
    if function.attr != "run":
        return True
    # subprocess.run, asyncio.run and session.run start none; whatever is told a host or port does.
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    return owner in APPLICATIONS or any(word.arg in ("host", "port", "debug") for word in call.keywords)


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
