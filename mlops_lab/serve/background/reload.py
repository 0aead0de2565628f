"""A student's file: found and loaded as ``flask --app`` does, watched, and explained where it cannot be loaded."""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask, cli

from mlops_lab.errors import LabError, ServerError

KINDS = (".py", ".html")
LINES = 20
NOT_THEIRS = ("<frozen", str(Path(__file__).parent), cli.__file__)  # frames that say nothing about the file


def load(target: str) -> Flask:
    """Return the application that ``flask --app TARGET`` would serve.

    Parameters
    ----------
    target
        ``"api.py"``, ``"api"``, ``"api:name"`` or ``"api:create_app('x')"``; paths begin at the current folder.
    """
    os.environ["FLASK_RUN_FROM_CLI"] = "true"  # the file's own app.run is passed over, as by the flask command
    return cli.ScriptInfo(app_import_path=target).load_app()


class Sources:
    """The files of an application, as they were when this was made: Python and templates in the file's folder.

    Parameters
    ----------
    target
        As for :func:`load`.
    """

    def __init__(self, target: str) -> None:
        path = Path(re.split(r":(?![\\/])", target, maxsplit=1)[0]).resolve()  # the colon of C:\ names no application
        self._folder = path.parent
        files = (path, path.with_name(f"{path.name}.py"), path / "__init__.py")
        self._file = next((file for file in files if file.is_file()), path)
        self._written = _written(self._file)
        self._before = self._look()
        self._next_look = 0.0

    def stale(self) -> bool:
        """Whether the named file itself has been saved since; costs microseconds."""
        return _written(self._file) != self._written

    def changed(self) -> bool:
        """Whether any of the files has been saved, added or removed since."""
        if self.stale():
            return True
        if time.monotonic() < self._next_look:
            return False
        started = time.monotonic()
        now = self._look()
        # A folder that takes long to walk is walked less often.
        self._next_look = time.monotonic() + 20 * (time.monotonic() - started)
        return now != self._before

    def _look(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for place, folders, files in os.walk(self._folder):
            folders[:] = [name for name in folders if not _foreign(Path(place, name))]
            paths = [os.path.join(place, file) for file in files if file.endswith(KINDS)]
            found |= {path: _written(Path(path)) for path in paths}
        return found


def _foreign(folder: Path) -> bool:
    """Whether a folder holds what others wrote: hidden, caches, environments."""
    hidden = folder.name.startswith((".", "__")) or folder.name in ("node_modules", "site-packages")
    return hidden or (folder / "pyvenv.cfg").is_file()


def _written(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def explain(error: BaseException) -> str:
    """Return why a file cannot be loaded: the end of the traceback, from the student's own code on."""
    trace = _own(error)
    if isinstance(error, LabError):
        return str(error)
    if isinstance(error, cli.NoAppException):
        within = error.__context__
        trace = _own(within) if isinstance(within, ImportError) else trace
        if not trace.stack:
            return f"{error.format_message()} Paths begin at {os.getcwd()}."
    return "\n".join("".join(trace.format()).rstrip().splitlines()[-LINES:])


def _own(error: BaseException) -> traceback.TracebackException:
    trace = traceback.TracebackException.from_exception(error)
    frames = list(trace.stack)
    while frames and frames[0].filename.startswith(NOT_THEIRS):
        del frames[0]
    trace.stack = traceback.StackSummary.from_list(frames)
    return trace


class LoadErrorApp:
    """A WSGI application that says why the real one could not be loaded.

    Parameters
    ----------
    problem
        From :func:`explain`; only its last line leaves the server.
    """

    def __init__(self, problem: str) -> None:
        error = ServerError(f"The file cannot be loaded: {problem.splitlines()[-1]}", "server.output has it all.")
        self._body = json.dumps({**error.to_dict(), "code": "broken_file"}).encode()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 500."""
        kind = ("Content-Type", "application/json")
        start_response("500 INTERNAL SERVER ERROR", [kind, ("Content-Length", str(len(self._body)))])
        return [self._body]
