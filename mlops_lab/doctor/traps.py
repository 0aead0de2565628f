"""Checks for Flask's ``app.run`` in a notebook: it fails in a cell, and in a thread it keeps running."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from mlops_lab.doctor.machine import warning
from mlops_lab.findings import Finding
from mlops_lab.serve.background.werkzeug_servers import WerkzeugServer, find_werkzeug_servers
from mlops_lab.serve.ports import LOOPBACK

INSTEAD = "Remove app.run, and write server = serve.start(app) in a cell."


def check() -> list[Finding]:
    """Detect servers left running in threads of this process, and explain the last exception."""
    return [
        *map(_left, find_werkzeug_servers()),
        *_last(getattr(sys, "last_value", None), getattr(sys, "last_traceback", None)),
    ]


def _left(server: WerkzeugServer) -> Finding:
    name, exposed = f"app.run on port {server.port}", server.host not in LOOPBACK
    if server.debugger and exposed:
        message = "Flask's debugger is open to the network, and executes any code for a client that guesses its PIN."
        return Finding(False, message, f"serve.stop_all() stops it. {INSTEAD}", name=name)
    message = "It is still running in a thread of this notebook, with the code that it was started with."
    return warning(name, message, f"serve.stop_all() stops it. {INSTEAD}")


def _last(error: BaseException | None, trace: TracebackType | None) -> list[Finding]:
    """Explain the last exception of the notebook, if it came from ``app.run``."""
    calls = [(frame.f_globals.get("__name__"), frame.f_code.co_name) for frame, _ in traceback.walk_tb(trace)]
    if not isinstance(error, SystemExit) or ("werkzeug.serving", "run_simple") not in calls:
        return []
    if ("werkzeug._reloader", "run_with_reloader") in calls:
        message = (
            "debug=True starts the program a second time to reload it; in a notebook that program is the kernel, whose"
            " ports are in use, so the second one failed and app.run raised SystemExit."
        )
    else:
        message = "The port is in use, and app.run raised SystemExit."
    return [warning("app.run in a cell", message, INSTEAD)]
