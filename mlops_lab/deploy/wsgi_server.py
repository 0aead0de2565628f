"""Serve an application of one's own in its container: ``python wsgi_server.py api`` serves ``app`` of ``api.py``.

This file is copied into the image by itself, so it imports nothing of this package.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys


def main(module: str) -> None:
    """Serve the ``app`` of a module with waitress, on the port that the variable ``PORT`` names, until SIGTERM."""
    from waitress import serve

    # The first process of a container ignores SIGTERM unless it handles the signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    application = importlib.import_module(module).app
    serve(application, host="0.0.0.0", port=int(os.environ.get("PORT", "8000")))


if __name__ == "__main__":
    main(sys.argv[1])
