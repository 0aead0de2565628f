"""The process of a server over a file such as ``api.py``: ``python -m mlops_lab.serve.background.child``.

Only a kernel starts one. It writes one line, the order, and holds the pipe open: when the kernel ends, however it ends,
so does the pipe, and the child ends itself with everything that it has started. What the application prints leaves by
the child's standard error; its standard output is ours and carries what there is to tell, one JSON object a line. When
a file is saved the child ends with the status ``RELOAD``, and the kernel, which holds the listening socket, starts the
next.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NoReturn

from mlops_lab.serve.background.lifeline import RELOAD, end_tree, take
from mlops_lab.serve.background.noted import Noted
from mlops_lab.serve.background.sources import Broken, Sources, explain, load
from mlops_lab.serve.http import HttpServer, refuse_debug
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.ports import Identity

LOOK_SECONDS = 0.25
DRAIN_SECONDS = 2.0


def main() -> NoReturn:
    """Load the application and answer until a file is saved or the kernel is gone."""
    tell = _teller()
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_kernel, daemon=True).start()
    listener = take(order["socket"])
    sources = Sources(order["target"])
    try:
        app: Any = load(order["target"])
        refuse_debug(app, order["host"])
    except BaseException as error:  # SystemExit in the file as well
        problem = explain(error)
        print(problem, file=sys.stderr)
        app = Broken(problem)
        tell({"problem": problem})
    saved = threading.Event()
    noted = Noted(
        Newest(app, sources, saved), Identity(**order["identity"]), lambda item: tell({"noted": asdict(item)})
    )
    server = HttpServer(noted, listener, Limits(drain_seconds=DRAIN_SECONDS), shared=True)
    server.start()
    tell({"loaded": True})
    while not saved.wait(LOOK_SECONDS) and not sources.changed():
        pass
    saved.set()
    server.drain()  # what is being answered is finished, what comes after waits for the next process
    sys.stderr.flush()
    os._exit(RELOAD)  # a thread of the application does not hold up the next one


class Newest:
    """A WSGI application that does not answer with code that has been changed since.

    Parameters
    ----------
    app
        The application.
    sources
        Its files.
    saved
        Whether a file has been saved; a request that finds so sets it, so that nobody waits for the next look.
    """

    def __init__(self, app: Callable[..., Any], sources: Sources, saved: threading.Event) -> None:
        self._app, self._sources, self._saved = app, sources, saved

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or ask for another try in a moment."""
        if not (self._saved.is_set() or self._sources.stale()):
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        self._saved.set()
        body = b'{"error": "The file has just been saved and is being loaded. Ask again.", "code": "reloading"}'
        kind = ("Content-Type", "application/json")
        start_response("503 SERVICE UNAVAILABLE", [kind, ("Content-Length", str(len(body))), ("Retry-After", "1")])
        return [body]


def _teller() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for ourselves, and return a function that writes to it."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def tell(message: dict[str, Any]) -> None:
        with lock, suppress(OSError):  # the kernel is gone: we end in a moment
            own.write(json.dumps(message) + "\n")
            own.flush()

    return tell


def _end_with_kernel() -> None:
    sys.stdin.read()  # the kernel says nothing more: this returns when it is gone
    end_tree(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    main()
