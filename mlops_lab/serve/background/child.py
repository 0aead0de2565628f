"""The process of a server over a file such as ``api.py``: ``python -m mlops_lab.serve.background.child``.

Only a kernel starts one. It writes one line, the order, and holds the pipe open: when the kernel ends, however it ends,
the pipe is closed, and the child ends itself with everything that it has started. The output of the application leaves
by the child's standard error; its standard output carries messages to the kernel, one JSON object a line. When a file
is saved the child ends with the status ``RELOAD``, and the kernel, which holds the listening socket, starts the next.
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

from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.background.ipc import RELOAD, kill_process_group, take
from mlops_lab.serve.background.recorder import RequestRecorder
from mlops_lab.serve.background.reload import LoadErrorApp, Sources, explain, load
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.http import HttpServer, refuse_debug
from mlops_lab.serve.http.guard import guard_for
from mlops_lab.serve.ports import Identity
from mlops_lab.serve.state import state_of

POLL_SECONDS = 0.25
DRAIN_SECONDS = 2.0


def main() -> NoReturn:
    """Load the application and answer until a file is saved or the kernel is gone."""
    send = _sender()
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_kernel, daemon=True).start()
    listener = take(order["socket"])
    sources = Sources(order["target"])
    # Python takes compiled code for that of a file which was saved in the same second and is as long: what a student
    # saves twice in a second would be answered with the first.
    sys.dont_write_bytecode = True
    try:
        app: Any = load(order["target"])
        refuse_debug(app, order["host"])
    except BaseException as error:  # SystemExit in the file as well
        problem = explain(error)
        print(problem, file=sys.stderr)
        send({"problem": problem})
        if order["first"]:  # nothing is to answer, and the server that was to be replaced goes on
            sys.exit(1)
        app = LoadErrorApp(problem)
    saved = threading.Event()
    recorded = RequestRecorder(
        create_asgi(StaleCodeGuard(app, sources, saved)),
        Identity(**order["identity"]),
        lambda item: send({"recorded": asdict(item)}),
    )
    state = state_of(app)
    guard = guard_for(order["host"], order["allowed_hosts"], lambda: state.allowed_origins if state is not None else ())
    limits = Limits(drain_seconds=DRAIN_SECONDS)
    server = HttpServer(recorded, listener, limits, accept_pending=False, guard=guard)
    server.start()
    send({"loaded": True})
    while not saved.wait(POLL_SECONDS) and not sources.changed():
        pass
    saved.set()
    server.drain()  # what is being answered is finished, what comes after waits for the next process
    sys.stderr.flush()
    os._exit(RELOAD)  # a thread of the application does not hold up the next one


class StaleCodeGuard:
    """WSGI middleware that does not answer with code that has been changed since it was loaded.

    Parameters
    ----------
    app
        The application.
    sources
        Its files.
    saved
        Set when a file has been saved; a request that finds a change sets it, instead of the next look at the files.
    """

    def __init__(self, app: Callable[..., Any], sources: Sources, saved: threading.Event) -> None:
        self._app, self._sources, self._saved = app, sources, saved

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or ask the client to try again in a moment."""
        if not (self._saved.is_set() or self._sources.stale()):
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        self._saved.set()
        body = b'{"error": "The file has just been saved and is being loaded. Ask again.", "code": "reloading"}'
        kind = ("Content-Type", "application/json")
        start_response("503 SERVICE UNAVAILABLE", [kind, ("Content-Length", str(len(body))), ("Retry-After", "1")])
        return [body]


def _sender() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for messages to the kernel, and return a function that sends one."""
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock, suppress(OSError):  # the kernel is gone: we end in a moment
            own.write(json.dumps(message) + "\n")
            own.flush()

    return send


def _end_with_kernel() -> None:
    sys.stdin.read()  # the kernel writes nothing more: this returns when it is gone
    kill_process_group(os.getpid())
    os._exit(1)


if __name__ == "__main__":
    main()
