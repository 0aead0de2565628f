"""Read a Dockerfile: its stages and instructions. Nothing is run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

MOST = 64_000  # characters
# Commands that say of every server that it is well.
NOTHING = re.compile(r"(/usr)?(/?bin/)?(true|:|exit 0|echo\b[^|&;]*)")
_VARIABLE = re.compile(r"\$\{?(\w+)(?::-([^}]*))?\}?")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Parameters
    ----------
    word
        Its name, in capitals.
    text
        What follows it, in one line.
    """

    word: str
    text: str

    @property
    def exec_form(self) -> list[str] | None:
        """The words of an instruction that is written as a JSON list; ``None`` where it is not."""
        try:
            words = json.loads(self.text)
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(one, str) for one in words) else None

    @property
    def words(self) -> list[str]:
        """The words, however it is written, without options such as ``--chown``."""
        words = self.exec_form or self.text.split()
        return [one for one in words if not one.startswith("--")] if self.word in ("COPY", "ADD") else words


@dataclass
class Stage:
    """One stage of a build.

    Parameters
    ----------
    base
        What it begins with, as written, with build arguments filled in.
    name
        Its name after AS, in lower case; or empty.
    instructions
        What follows.
    """

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> Instruction | None:
        """Return the last instruction of a name, the one that counts."""
        return next((one for one in reversed(self.instructions) if one.word == word), None)


def read(text: str) -> list[Stage]:
    r"""Return the stages of a Dockerfile.

    Examples
    --------
    >>> stages = read("ARG V=3.11\nFROM python:${V}-slim AS build\nRUN a \\\n  b\n")
    >>> stages[0].base, stages[0].name, stages[0].instructions[0].text
    ('python:3.11-slim', 'build', 'a b')
    """
    stages: list[Stage] = []
    values: dict[str, str] = {}
    for one in _instructions(text[:MOST]):
        if one.word == "ARG" and not stages:
            name, _, value = one.text.partition("=")
            values[name.strip()] = value.strip().strip("\"'")
        elif one.word == "FROM":
            words = [word for word in one.text.split() if not word.startswith("--")]
            named = words[2].lower() if len(words) > 2 and words[1].upper() == "AS" else ""
            stages.append(Stage(_filled(words[0], values) if words else "", named))
        elif stages:
            stages[-1].instructions.append(one)
    return stages


def _filled(text: str, values: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1]) or found[2] or "", text)


def _instructions(text: str) -> list[Instruction]:
    found, part = [], ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") or not stripped:
            continue
        if stripped.endswith("\\"):
            part += stripped[:-1].strip() + " "
            continue
        word, _, rest = (part + stripped).partition(" ")
        found.append(Instruction(word.upper(), rest.strip()))
        part = ""
    return found


def asks_nothing(words: list[str]) -> bool:
    """Return whether the command of a health check ends well whatever the server does.

    Examples
    --------
    >>> asks_nothing(["/bin/sh", "-c", "exit 0"]), asks_nothing(["true"]), asks_nothing(["curl", "-f", ":8000"])
    (True, True, False)
    """
    return NOTHING.fullmatch(" ".join(words).removeprefix("/bin/").removeprefix("sh -c ").strip()) is not None


def pinned(base: str) -> bool:
    """Return whether an image is one of a version, and not whatever is newest.

    Examples
    --------
    >>> [pinned(base) for base in ("python", "python:latest", "python:3.11-slim", "reg:5000/python")]
    [False, False, True, False]
    """
    if "@sha256:" in base:
        return True
    tag = base.rpartition("/")[2].partition(":")[2]
    return any(letter.isdigit() for letter in tag)
