"""Servers that Flask's own ``app.run`` left in threads of this kernel: they hold a port and answer with old code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(frozen=True)
class WerkzeugServer:
    """A development server of Werkzeug that is still running.

    Parameters
    ----------
    host, port
        Its address.
    debugger
        Whether it runs any code that it is sent by a client that knows the PIN.
    server
        Werkzeug's own object.
    """

    host: str
    port: int
    debugger: bool
    server: Any

    def stop(self) -> None:
        """End it and free its port."""
        self.server.shutdown()
        self.server.server_close()


def find_werkzeug_servers() -> list[WerkzeugServer]:
    """Return the servers that run in threads of this process, found by the stack of each thread.

    Examples
    --------
    >>> find_werkzeug_servers()
    []
    """
    serving = sys.modules.get("werkzeug.serving")
    if serving is None:
        return []
    found = [_serving(frame) for frame in sys._current_frames().values()]
    servers = {id(server): server for server in found if isinstance(server, serving.BaseWSGIServer)}
    return [
        WerkzeugServer(str(server.host), int(server.port), type(server.app).__name__ == "DebuggedApplication", server)
        for server in servers.values()
    ]


def _serving(frame: FrameType | None) -> Any:
    """Return the object whose ``serve_forever`` a thread is running."""
    while frame is not None:
        if frame.f_code.co_name == "serve_forever":
            return frame.f_locals.get("self")
        frame = frame.f_back
    return None
