"""What a program finds inside of bubblewrap: where it may write, and how much."""

import json
import subprocess
import sys

import pytest

from mlops_lab.grade.sandbox import choose, isolation

pytestmark = pytest.mark.skipif(choose().name != "bubblewrap", reason="bubblewrap does not work here")

PLACES = ("/", "/dev/", "/dev/shm/", "/tmp/", "/usr/", "/etc/", "/submission/")
WRITE = f"""
import json
written = []
for place in {PLACES!r}:
    try:
        with open(place + "new", "wb") as file:
            file.write(b"x")
        written.append(place)
    except OSError:
        pass
print(json.dumps(written))
"""
FILL = """
import os
kept = 0
for number in range(40):
    try:
        with open(f"/dev/shm/{number}", "wb") as file:
            file.write(bytes(1_000_000))
        kept += 1
    except OSError:
        break
print(kept)
"""
HONEST = """
import os, random
from multiprocessing import Array, Lock, Pool, Queue
from multiprocessing.shared_memory import SharedMemory
import numpy as np
def twice(x):
    return 2 * x
if __name__ == "__main__":
    lock, queue = Lock(), Queue()
    with lock:
        queue.put(1)
    memory = SharedMemory(create=True, size=8_000_000)
    np.ndarray(1_000_000, buffer=memory.buf)[:] = 1.0
    memory.close()
    memory.unlink()
    with open("/dev/null", "wb") as file, open("/dev/urandom", "rb") as noise:
        file.write(noise.read(10))
    with Pool(2) as pool:
        print(pool.map(twice, Array("i", [1, 2])[:] + [queue.get()]))
"""


@pytest.fixture(params=["as it is", "ordinary"])
def inside(request, monkeypatch, tmp_path):
    """Run a program as whoever grades here, and as a user who is not root."""
    if request.param == "ordinary":
        monkeypatch.setattr(isolation, "_is_root", lambda: False)
    tmp_path.chmod(0o777)

    def run(code):
        (tmp_path / "program.py").write_text(code)
        program = isolation.command(choose(), tmp_path, [sys.executable, "program.py"])
        done = subprocess.run(program, capture_output=True, text=True, timeout=60)
        if "bwrap:" in done.stderr and request.param == "ordinary":
            pytest.skip(f"no user namespace here: {done.stderr[-200:]}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_only_what_has_a_size_can_be_written(inside):
    assert inside(WRITE) == ["/dev/shm/", "/tmp/", "/submission/"]


def test_shared_memory_is_bounded(inside):
    assert inside(FILL) == 16


def test_honest_programs_find_the_shared_memory_they_need(inside):
    assert inside(HONEST) == [2, 4, 2]
