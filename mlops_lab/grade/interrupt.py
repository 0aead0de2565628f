"""Stop a student's function just before one of its file operations, as a machine that loses power does.

The function runs in a process of its own that ends without cleaning up, so no ``finally`` hides what was half done. Or
somebody else's call is made at that moment, and then the function goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from mlops_lab.grade.cases import Failed

OPERATIONS = frozenset({
    "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
})  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STOPPED, DONE, RAISED = 71, 72, 73
WORDS = {STOPPED: "stopped", DONE: "done", RAISED: "raised"}
SECONDS = 10.0


def run(
    function: Callable[..., Any], arguments: Sequence[Any], before: int, others: Sequence[Any] | None = None
) -> str:
    """Call a function until just before one of its file operations.

    Parameters
    ----------
    function
        What is called.
    arguments
        What it is given.
    before
        The number of the operation, from 1 on: a file is opened to be written, or a folder or file made, renamed or
        removed.
    others
        If given, the function is called with these at that moment, to its end; then the first call goes on.

    Returns
    -------
    str
        ``"stopped"``; ``"done"`` or ``"raised"`` where it ended, because it has fewer operations or went on.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a")
    ...     run(path.write_text, ["text"], 1), path.exists(), run(path.write_text, ["text"], 2), path.exists()
    ('stopped', False, 'done', True)
    """
    if not hasattr(os, "fork"):
        raise Failed("This machine cannot stop a function halfway.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of ours: the child calls this function only
        process = os.fork()
    if process == 0:
        _child(function, arguments, before, others)
    return _wait(process)


def _child(
    function: Callable[..., Any], arguments: Sequence[Any], before: int, others: Sequence[Any] | None
) -> None:  # pragma: no cover - in a process that ends without saying what it covered
    count = 0

    def look(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in OPERATIONS or (event == "open" and not int(details[2] or 0) & WRITES):
            return
        count += 1
        if count != before:
            return
        if others is None:
            os._exit(STOPPED)
        function(*others)

    try:
        sys.addaudithook(look)
        function(*arguments)
    except BaseException:
        os._exit(RAISED)
    os._exit(DONE)


def _wait(process: int) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return WORDS.get(os.waitstatus_to_exitcode(status), "raised")
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise Failed(f"Your code was still running after {SECONDS:.0f} s.")
