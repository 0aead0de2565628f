r"""The source of a notebook: Python in the percent format, whose cells bear tags and the id of an exercise.

A cell begins with ``# %%``, text with ``# %% [markdown]``; behind it stand metadata as ``key=JSON``::

    # %% tags=["stub"] mlops_lab={"exercise": "data-2"}
    def describe(split):
        return {}

A line that only IPython reads is a comment, so that the file stays Python: ``# %%writefile api.py``, ``# !ls``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage

# What a tag does is said in `mlops_lab.course.notebooks`.
TAGS = {"stub", "solution", "check", "hint", "predict", "long", "fast"}
MARKER = re.compile(r"# %%(?= |$) *(\[markdown\])?")
MAGIC = re.compile(r"^(\s*)# ?(%{1,2}[a-zA-Z]|![\w./])")
CHECKED = re.compile(r"grade\.check\(\s*[\"']([\w-]+)[\"']")


@dataclass(frozen=True)
class Cell:
    """One cell of a source.

    Attributes
    ----------
    kind
        ``"code"`` or ``"markdown"``.
    text
        What stands in the cell.
    metadata
        What stands behind ``# %%``.
    line
        The number of that line.
    """

    kind: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    line: int = 0

    @property
    def tags(self) -> frozenset[str]:
        """The tags of the cell."""
        return frozenset(self.metadata.get("tags", ()))

    @property
    def exercise(self) -> str:
        """The exercise that the cell answers, or checks; else nothing."""
        if "check" in self.tags:
            found = CHECKED.search(self.text)
            return found[1] if found else ""
        return str(self.metadata.get("mlops_lab", {}).get("exercise", ""))

    @property
    def part_of(self) -> str:
        """The exercise whose answer in another cell begins here; else nothing."""
        return str(self.metadata.get("mlops_lab", {}).get("part_of", ""))


def read(path: str | Path) -> list[Cell]:
    """Return the cells of a source file.

    Raises
    ------
    WrongUsage
        A line of metadata is not ``key=JSON``, a tag is not known, or an exercise lacks one of stub, solution and
        check; the message names the file and the line.
    """
    path = Path(path)
    cells = parse(path.read_text(encoding="utf-8"), path.name)
    _complete(cells, path.name)
    return cells


def parse(source: str, name: str = "source") -> list[Cell]:
    r"""Return the cells of a source.

    Examples
    --------
    >>> [(cell.kind, cell.text) for cell in parse("# %% [markdown]\n# # Title\n\n# %%\nx = 1\n# !ls")]
    [('markdown', '# Title'), ('code', 'x = 1\n!ls')]
    """
    heads: list[tuple[int, str, dict[str, Any]]] = []
    bodies: list[list[str]] = []
    for number, line in enumerate(source.splitlines(), start=1):
        found = MARKER.match(line)
        if found:
            kind = "markdown" if found[1] else "code"
            heads.append((number, kind, _metadata(line[found.end() :], f"{name}, line {number}")))
            bodies.append([])
        elif bodies:
            bodies[-1].append(line)
    return [
        Cell(kind, _text(kind, lines), metadata, number)
        for (number, kind, metadata), lines in zip(heads, bodies, strict=True)
    ]


def _metadata(options: str, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rest = options.strip()
    while rest:
        key, equals, value = rest.partition("=")
        if not equals or not re.fullmatch(r"\w+", key):
            raise WrongUsage(f"{where}: {rest!r} is not key=JSON.", 'Write for example tags=["stub"].')
        try:
            found[key], end = json.JSONDecoder().raw_decode(value)
        except ValueError as error:
            raise WrongUsage(f"{where}: {value!r} is not JSON.", 'Write for example tags=["stub"].') from error
        rest = value[end:].strip()
    unknown = set(found.get("tags", ())) - TAGS
    if unknown:
        raise WrongUsage(f"{where}: there is no tag {sorted(unknown)[0]!r}.", f"Tags: {', '.join(sorted(TAGS))}.")
    return found


def _text(kind: str, lines: list[str]) -> str:
    if kind == "markdown":
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    else:
        lines = [MAGIC.sub(r"\1\2", line) for line in lines]
    return "\n".join(lines).strip("\n")


def _complete(cells: list[Cell], name: str) -> None:
    """Hold that every exercise has a stub, a solution and a check, once each; parts of a long answer stand beside."""
    parts = {
        tag: [cell.exercise for cell in cells if tag in cell.tags and "predict" not in cell.tags and not cell.part_of]
        for tag in ("stub", "solution", "check")
    }
    for tag, ids in parts.items():
        for id in {*parts["stub"], *parts["solution"], *parts["check"]}:
            if ids.count(id) != 1:
                message = f"{name}: exercise {id or '(no id)'!r} has {ids.count(id)} cells with the tag {tag!r}."
                raise WrongUsage(message, "Each exercise has one stub, one solution and one check.")
