"""Shared by a kernel and its server process: the listening socket, the exit status for a reload, and termination."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
from contextlib import suppress

RELOAD = 3  # the exit status that asks for another start, as with Werkzeug's reloader


def kill_process_group(pid: int, *, gently: bool = False) -> None:
    """End a process of ours with everything that it has started. Gently lets it tidy up."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/PID", str(pid), "/T", "/F"], capture_output=True, check=False)
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that is ending
        os.killpg(pid, signal.SIGTERM if gently else signal.SIGKILL)


def share(listener: socket.socket, pid: int) -> int | str:
    """Return what a child process takes a listening socket by; on Windows only that process can."""
    if os.name == "nt":
        return base64.b64encode(listener.share(pid)).decode()  # type: ignore[attr-defined]
    return listener.fileno()


def take(given: int | str) -> socket.socket:
    """Return the socket that :func:`share` shared."""
    if isinstance(given, str):
        taken: socket.socket = socket.fromshare(base64.b64decode(given))  # type: ignore[attr-defined]
        return taken
    return socket.socket(fileno=given)
