"""The end of a server while a model computes that does not come back."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

HERE = Path(__file__).parent
SERVER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from test_watchdog import held, runaway
from mlops_lab.serve import Limits, command, create_app

model = runaway() if sys.argv[2] == "runaway" else held(threading.Event())
app = create_app(model, limits=Limits(request_seconds=60, drain_seconds=0.5))
command.build = lambda *_: (app, app.extensions["mlops_lab"])
command.run(command.Settings("models", port=0), lambda line: print(line, flush=True), print)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize("name", ["runaway", "held"])
def test_a_server_ends_cleanly_while_a_model_computes(name):
    command = [sys.executable, "-c", SERVER, str(HERE / "core"), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = process.stdout.readline().split()[1]
    found = []

    def ask():
        try:
            found.append(requests.post(f"{url}/models/{name}", json={"inputs": [[1.0, 0.0]]}, timeout=60).status_code)
        except requests.RequestException:
            found.append(0)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        ended = time.monotonic() + 20
        while f'mlops_lab_in_flight{{model="{name}"}} 1' not in (
            text := requests.get(f"{url}/metrics", timeout=20).text
        ):
            assert time.monotonic() < ended, text
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        asking.join()
    assert (process.returncode, errors) == (0, "")
    assert 200 not in found
