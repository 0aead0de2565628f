"""Flask's ``app.run`` in a notebook: meant for a terminal, it fails in a cell and lingers in a thread."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from mlops_lab.doctor.findings import Finding
from mlops_lab.serve.background.left import Left, left_servers

INSTEAD = "Leave out app.run, and write server = serve.start(app) in a cell."


def look() -> list[Finding]:
    """Look for servers that were left in threads of this process, and at the last exception."""
    return [*map(_left, left_servers()), *_last(getattr(sys, "last_value", None), getattr(sys, "last_traceback", None))]


def _left(server: Left) -> Finding:
    subject, open_ = f"app.run on port {server.port}", server.host not in ("127.0.0.1", "localhost", "::1")
    if server.debugger and open_:
        found = "Flask's debugger is open to the network, and runs any code for whoever finds its PIN"
        return Finding(subject, "error", found, f"serve.stop_all() ends it. {INSTEAD}")
    found = "still runs in a thread of this notebook, with the code that it was started with, whatever you change"
    return Finding(subject, "warning", found, f"serve.stop_all() ends it. {INSTEAD}")


def _last(error: BaseException | None, trace: TracebackType | None) -> list[Finding]:
    """Explain the last exception of the notebook, if it came from ``app.run``."""
    calls = [(frame.f_globals.get("__name__"), frame.f_code.co_name) for frame, _ in traceback.walk_tb(trace)]
    if not isinstance(error, SystemExit) or ("werkzeug.serving", "run_simple") not in calls:
        return []
    if ("werkzeug._reloader", "run_with_reloader") in calls:
        found = (
            "debug=True starts the program a second time to reload it; in a notebook that program is the kernel, whose"
            " connections are taken, so the second one failed and app.run gave up: SystemExit"
        )
    else:
        found = "the port is taken, which app.run says by ending the program: SystemExit"
    return [Finding("app.run in a cell", "warning", found, INSTEAD)]
