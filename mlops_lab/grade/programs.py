"""Run a student's program in the sandbox, as ``python NAME`` does, and see how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_lab.grade import folders, slowdown
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.mock_server import MockHandler, MockServer, not_ready
from mlops_lab.grade.results import clip
from mlops_lab.grade.sandbox import Sandbox
from mlops_lab.grade.sandbox.tree import plain_files, put
from mlops_lab.store.reading import read_below

START = 5.0  # seconds beside the program's own
MOST = 1_000_000  # bytes of what is told
MOST_LEFT = 64_000_000  # bytes of the files that are left
# An order says what is otherwise; the words are those of :func:`run`.
PLAIN = {"place": ".", "port": 0, "taken": False, "interrupt_at": "", "relay_in": ""}


@dataclass(frozen=True)
class ProgramResult:
    """The result of a program.

    Parameters
    ----------
    status
        Its exit status; ``None`` where it was still running.
    printed
        The last of what it printed, errors included.
    seconds
        How long it ran.
    held
        Whether the port that it was given was still held after it had ended.
    """

    status: int | None
    printed: str
    seconds: float
    held: bool


def run(
    file: Path | None, beside: Mapping[str, bytes], *, arguments: tuple[str, ...] = (), seconds: float = 60.0,
    place: str = ".", port: int = 0, taken: bool = False, settings: Mapping[str, str] | None = None,
    interrupt_at: str = "", respond: MockHandler = not_ready, relay_in: str = "",
) -> ProgramResult:  # fmt: skip
    """Run a program once, in a copy of its own.

    Parameters
    ----------
    file
        The student's program.
    beside
        Files that stand beside it, by their path.
    arguments
        What follows its name.
    seconds
        After which it is ended, on an idle machine.
    place
        The folder, below its own, in which it is started.
    port
        A port that is looked at afterwards; 0 for none.
    taken
        Whether another server stands at that port, which answers everything; then it is not looked at.
    settings
        Variables of its environment.
    interrupt_at
        When this text is printed, Ctrl-C is sent.
    respond
        What answers at the relay, a port of the loopback inside.
    relay_in
        The file beside it in which ``RELAY`` becomes that port.

    Raises
    ------
    Failed
        It cannot be run.
    """
    if file is None or not file.is_file() or file.is_symlink():
        raise Failed("There is no such file.", hint="missing")
    seconds *= slowdown.factor()
    with folders.temporary() as folder, open(file, "rb") as source:
        for name, content in {**beside, file.name: source.read(MOST)}.items():
            put(folder, Path(name), content)
        with Sandbox(folder) as sandbox:
            order = {
                "file": file.name, "arguments": list(arguments), "place": place, "port": port, "taken": taken,
                "seconds": seconds, "settings": dict(settings or {}), "interrupt_at": interrupt_at,
                "relay_in": relay_in,
            }  # fmt: skip
            return _ended(sandbox, order, respond)


def leaves(
    folder: Path, file: str, below: str, *, arguments: tuple[str, ...] = (), seconds: float = 60.0,
    settings: Mapping[str, str] | None = None,
) -> tuple[ProgramResult, dict[str, bytes]]:  # fmt: skip
    """Run a program of a folder once, in a copy, and return how it ended and the files that it left.

    Parameters
    ----------
    folder
        Where it stands. The files that are there below ``below`` already are not copied.
    file
        Its name.
    below
        The folder whose files are wanted, by their paths in it.
    arguments, seconds, settings
        As for :func:`run`.

    Raises
    ------
    Failed
        It cannot be run.
    """
    seconds *= slowdown.factor()
    with Sandbox(folder) as sandbox:
        shutil.rmtree(sandbox.folder / below, ignore_errors=True)  # nothing of the submission has run in this copy
        order = {"file": file, "arguments": list(arguments), "seconds": seconds, "settings": dict(settings or {})}
        ended = _ended(sandbox, {**PLAIN, **order})
        left, found = MOST_LEFT, {}
        for path in plain_files(sandbox.folder / below):
            with suppress(OSError):
                content = read_below(sandbox.folder, f"{below}/{path.as_posix()}", left)
                left -= len(content)
                found[path.as_posix()] = content
    return ended, found


def _ended(sandbox: Sandbox, order: Mapping[str, Any], respond: MockHandler = not_ready) -> ProgramResult:
    """Run a program in a sandbox, beside a server that answers as the check says, and return how it ended."""
    with closing(MockServer()) as server:
        server.respond = respond
        whole = {"program": "running", "inner": server.descriptor, **order}
        output, process = sandbox.ask(whole, order["seconds"] + START, MOST, (server.descriptor,))
    try:
        message = json.loads(output)
        status = message["status"]
        return ProgramResult(
            status if type(status) is int else None, clip(str(message["printed"]), 20_000),
            float(message["seconds"]), message["held"] is True,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, RecursionError):
        why = f": it used too much {process.ended_by}" if process.ended_by else ""
        raise Failed(f"The program could not be run{why}.", received=process.output[-300:]) from None
