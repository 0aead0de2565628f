"""The server's cell in a real kernel: run fifty times, and under autoreload."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
PACKAGE = Path(__file__).parents[3] / "mlops_lab"

# A client keeps its connection, and now and then a request is under way when the cell runs again.
SET_UP = """
import http.client, json, os, psutil, socket, threading, time
import requests
from flask import Flask
from mlops_lab import serve

process, seen, port = psutil.Process(), [], 0
slow = threading.Event()


def count():
    listening = [item for item in process.net_connections("tcp") if item.status == psutil.CONN_LISTEN]
    return {"threads": threading.active_count(), "files": process.num_fds(), "listening": len(listening)}


def begin_a_slow_request(port):
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(b"GET /slow HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    slow.wait(5)
    slow.clear()
    return connection
"""
CELL = """
word = "{number}"
app = Flask("cell")


@app.get("/")
def say(word=word):
    return word


@app.get("/slow")
def wait():
    slow.set()
    time.sleep(0.3)
    return "late"


server = serve.start(app, name="cell", port=port)
port = server.port
answer = requests.get(server.url)
seen.append((word, answer.text, int(answer.headers["X-Lab-Generation"]), port))
"""
IN_FLIGHT = """
under_way = begin_a_slow_request(port)
kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
kept.request("GET", "/")
kept.getresponse().read()
"""
CLOSE = "under_way.close(); kept.close(); time.sleep(0.5)"


def run(cells, **options):
    """Run cells in one real kernel; return what each printed."""
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=60, **options).execute()
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in book.cells]


def test_fifty_reruns_in_one_kernel_on_one_port():
    cells = [SET_UP, CELL.format(number=0), "print(json.dumps(count()))"]
    for number in range(1, 51):
        cells += [IN_FLIGHT] if number % 10 == 0 else []
        cells += [CELL.format(number=number)]
        cells += [CLOSE] if number % 10 == 0 else []
    cells += ["print(json.dumps(count()))", "print(json.dumps(seen))", "serve.stop_all(); print(json.dumps(count()))"]
    said = run(cells)
    before, after, seen, stopped = (json.loads(said[place]) for place in (2, -3, -2, -1))
    assert len(seen) == 51
    assert [text for _, text, _, _ in seen] == [word for word, _, _, _ in seen]  # the newest code always answers
    assert [generation for _, _, generation, _ in seen] == list(range(1, 52))
    assert len({port for *_, port in seen}) == 1
    assert after["threads"] <= before["threads"]
    assert after["files"] <= before["files"] + 1
    assert (after["listening"], stopped["listening"]) == (before["listening"], before["listening"] - 1)
    assert not any(said[1:2] + said[3:-3])  # nothing on standard output or error


AUTORELOAD = """
import sys
sys.path.insert(0, ".")
%load_ext autoreload
%autoreload 2
from pathlib import Path
import requests
from flask import Flask
from mlops_lab import serve
app = Flask("old")
app.get("/")(lambda: "old")
server = old = serve.start(app, name="cell")
"""
EDIT = """
import time
time.sleep(1.1)  # a file's time of saving may be kept in whole seconds
for path in Path("mlops_lab/serve/background").glob("*.py"):
    path.write_text(path.read_text() + "\\nRELOADED = True\\n")
"""
AFTER = """
from mlops_lab.serve.background import manager, server as server_module, server_table
app = Flask("new")
app.get("/")(lambda: "new")
print(*[module.RELOADED for module in (manager, server_module, server_table)], end=" ")
print([item.name for item in serve.servers()], old.running)
server = serve.start(app, name="cell")
answer = requests.get(server.url)
print(answer.text, answer.headers["X-Lab-Generation"], server.port == old.port, old.running, len(serve.servers()))
serve.stop_all()
"""


def test_autoreload_loses_no_server(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "mlops_lab", ignore=shutil.ignore_patterns("fashion_mnist", "__pycache__"))
    said = run([AUTORELOAD, EDIT, AFTER], resources={"metadata": {"path": str(tmp_path)}})
    assert said[-1].splitlines() == ["True True True ['cell'] True", "new 2 True False 1"]
