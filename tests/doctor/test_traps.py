"""The course's own cells in a real kernel, and what the doctor says of them."""

import threading

import pytest
from flask import Flask
from werkzeug.serving import make_server

from mlops_lab.doctor import traps
from mlops_lab.serve import stop_all
from mlops_lab.serve.background.werkzeug_servers import find_werkzeug_servers

SET_UP = """
import socket, threading, time
from flask import Flask
from mlops_lab import doctor, serve

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]

app = Flask("api")


@app.route("/", methods=["GET"])
def model_info():
    return {"version": "old"}


def wait():
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
"""
COURSE = "app.run(debug=True, host='0.0.0.0', port=port)"
THREAD = "threading.Thread(target=lambda: app.run(host='0.0.0.0', port=port, {}), daemon=True).start(); wait()"
EXAMINE = "print(doctor.examine('models', port))"
TAKEN = "socket_in_the_way = socket.create_server(('127.0.0.1', port))\napp.run(port=port)"
STOP = """
import requests
serve.stop_all()
server = serve.start(app, port=port)
print(requests.get(server.url).status_code, doctor.examine("models").to_dict()["passed"])
"""


def run(*cells):
    """Run cells in one real kernel, on past errors; return what the last one printed."""
    import nbformat  # it takes a second and a half, which only the process that runs these tests should spend
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SET_UP, *cells)])
    NotebookClient(book, timeout=60, allow_errors=True).execute()
    return "".join(output.get("text", output.get("evalue", "")) for output in book.cells[-1].outputs)


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_courses_cell_is_explained():
    said = run(COURSE, EXAMINE)
    assert "app.run in a cell: debug=True starts the program a second time" in said
    assert "server = serve.start(app)" in said


@pytest.mark.slow
def test_a_port_that_is_taken_is_explained():
    assert "app.run in a cell: The port is in use" in run(TAKEN, EXAMINE)


@pytest.mark.slow
def test_another_last_exception_is_none_of_the_doctors_business():
    assert "app.run" not in run("raise SystemExit(3)", EXAMINE)
    assert "app.run" not in run("1 / 0", EXAMINE)


@pytest.mark.slow
def test_a_stale_thread_is_found_named_and_ended():
    said = run(THREAD.format("debug=False"), EXAMINE)
    assert "It is still running in a thread of this notebook, with the code that it was started with" in said
    assert "in use by a server in a thread of this process" in said
    assert run(THREAD.format("debug=False"), STOP) == "200 True\n"


@pytest.mark.slow
def test_starting_on_its_port_says_what_is_there():
    said = run(THREAD.format("debug=False"), "serve.start(app, port=port)")
    assert "in a thread of this process" in said


@pytest.mark.slow
def test_an_open_debugger_is_an_error():
    said = run(THREAD.format("debug=True, use_reloader=False"), EXAMINE)
    assert "failed   app.run on port" in said and "Flask's debugger is open to the network" in said


def test_servers_in_threads_are_found_and_ended():
    server = make_server("127.0.0.1", 0, Flask("left"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    (left,) = find_werkzeug_servers()
    assert (left.port, left.debugger) == (server.server_port, False)
    assert traps.check()[0].name == f"app.run on port {left.port}"
    stop_all()
    thread.join(5)
    assert not thread.is_alive() and find_werkzeug_servers() == []
