"""Run a student's program as a user does, look at what it leaves, and tell how it ended."""

import contextlib
import ctypes
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import __main__ as first

KEPT = 16_000  # characters of what is printed
AFTER = 8.0  # seconds for it to end after Ctrl-C


def run(order):
    """Start the program, send Ctrl-C where that is asked for, and write how it ended."""
    hide()
    port = first.load("serving").relay(order["inner"])
    if order["relay_in"]:
        with open(order["relay_in"], "r+", encoding="utf-8") as file:
            text = file.read().replace("RELAY", str(port))
            file.seek(0)
            file.write(text)
            file.truncate()
    environment = {**os.environ, **order["settings"], "PYTHONPATH": order["library"]}
    if order["taken"]:
        take(order["port"])
    # Who started us in the background may have had it ignored, and a program inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-u", os.path.abspath(order["file"]), *order["arguments"]],
        cwd=order["place"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    printed = Printed(process.stdout)
    status = wait(process, printed, order, started + order["seconds"])
    result = {
        "status": status, "seconds": time.monotonic() - started, "held": held(0 if order["taken"] else order["port"]),
        "printed": printed.text(),
    }  # fmt: skip
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with os.fdopen(order["answer"], "w", encoding="utf-8") as answer:
        json.dump(result, answer)
    os._exit(0)


def hide():
    """Let no other process of this user look into this one, nor at its descriptors: the answer is told through one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


class Printed:
    """The last of what a program prints, read while it runs."""

    def __init__(self, stream):
        self.kept, self.stream = b"", stream
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        """Read until it ends."""
        while data := os.read(self.stream.fileno(), 65536):
            self.kept = (self.kept + data)[-KEPT:]

    def text(self):
        """Return what was printed."""
        time.sleep(0.05)  # for what stands in the pipe
        return self.kept.decode("utf-8", "replace")


def wait(process, printed, order, deadline):
    """Return the exit status, or None where the time is over before."""
    asked = order["interrupt_at"]
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return process.returncode
        if asked and asked.encode() in printed.kept:
            asked = ""
            os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to all that it started
            deadline = min(deadline, time.monotonic() + AFTER)
        time.sleep(0.02)
    return None


def take(port):
    """Answer everything at a port, as a server of somebody else does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def held(port):
    """Whether somebody still listens on a port."""
    if not port:
        return False
    time.sleep(0.2)  # a server that was told to end may need a moment
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
