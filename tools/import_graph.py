"""Which modules of a package import which, at their top level."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def import_graph(package: Path) -> dict[str, set[str]]:
    """Return which modules of the package in a folder each of its modules imports at its top level."""
    files = {path.relative_to(package.parent).with_suffix(""): path for path in sorted(package.rglob("*.py"))}
    modules = {".".join(name.parts).removesuffix(".__init__"): path for name, path in files.items()}
    return {name: set(_imported(path, modules)) - {name} for name, path in modules.items()}


def _imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                # `from mlops_lab.store import disk` needs the module, not what the package re-exports.
                longer = f"{node.module}.{alias.name}"
                yield from (name for name in [longer if longer in modules else node.module] if name in modules)


def longest_chain(graph: dict[str, set[str]]) -> tuple[str, ...]:
    """Return the longest chain of imports, from the module that nobody needs to the one that needs nobody."""

    @cache
    def chain(module: str) -> tuple[str, ...]:
        return (module, *max((chain(other) for other in sorted(graph[module])), key=len, default=()))

    return max((chain(module) for module in sorted(graph)), key=len)
