import dataclasses
import gc
import subprocess
import sys
import time
import weakref

import pytest
import requests

from mlops_lab.image import encode_png
from mlops_lab.serve import Limits, Registry, command, create_app
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.core import memory
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.ports import bind

# Threads that live at the same time take a large block each and let it go, the way bodies of requests come and go.
CHILD = """
import sys, threading
from pathlib import Path
from mlops_lab.serve.core.memory import limit_kept_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

def work():
    for _ in range(20):
        together.wait()
        for size in (3_000_000, 1_500_000):
            bytearray(size)
    together.wait()

if sys.argv[1] == "keep little":
    print(limit_kept_memory())
before = resident()
together = threading.Barrier(17)
threads = [threading.Thread(target=work, daemon=True) for _ in range(16)]
for thread in threads:
    thread.start()
for _ in range(20):
    together.wait()
print(resident() - before)
"""


def growth(how):
    result = subprocess.run([sys.executable, "-c", CHILD, how], capture_output=True, text=True, check=True)
    return result.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux'")
def test_large_blocks_go_back_to_the_system():
    can, after = growth("keep little")
    if can == "False":
        pytest.skip("this Linux has another C library")
    (usual,) = growth("as it is")
    assert float(after) < float(usual) / 2


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert memory.limit_kept_memory() is False


def test_a_server_process_keeps_little_before_it_loads_models(monkeypatch):
    class Loading(Exception):
        pass

    def load(settings, warn, log):
        assert done == ["kept"]
        raise Loading

    done = []
    monkeypatch.setattr(command, "limit_kept_memory", lambda: done.append("kept"))
    monkeypatch.setattr(command, "build", load)
    with pytest.raises(Loading):
        command.run(command.Settings("models"), print, print)


def test_threads_that_rest_keep_no_version_that_was_removed(bright, images):
    registry = Registry.of([dataclasses.replace(bright)])
    server = HttpServer(create_asgi(create_app(registry)), bind("127.0.0.1", 0), Limits(threads=2))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}/models/bright/v1"
        answer = requests.post(url, data=encode_png(images[0]), headers={"Content-Type": "image/png"}, timeout=5)
        assert answer.json()["version"] == "v1"
        version = weakref.ref(registry.get("bright"))
        registry.entries = {}
        deadline = time.monotonic() + 5
        while version() is not None and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)
        assert version() is None
    finally:
        server.stop()
