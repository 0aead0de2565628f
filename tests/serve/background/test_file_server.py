"""A student's file in a process of its own, over real processes."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import requests

from mlops_lab import serve
from mlops_lab.errors import PortTaken, ServerError, WrongUsage
from mlops_lab.serve.background import GENERATION_HEADER
from mlops_lab.serve.background.file_server import FileServer

pytestmark = pytest.mark.usefixtures("no_servers")

API = """
import subprocess, sys
from flask import Flask

app = Flask(__name__)


@app.get("/")
def say():
    print("asked")
    return "one"


@app.get("/boom")
def boom():
    return {}["nothing"]


if __name__ == "__main__":
    app.run(debug=True, host="0.0.0.0")
"""


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Return the path of an ``api.py`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # as a student has it
    path = tmp_path / "api.py"
    path.write_text(API)
    return path


def until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(server, path="/"):
    return requests.get(f"{server.url}{path}", timeout=20)


def test_it_answers_from_a_process_of_its_own(api):
    server = serve.start("api.py", mode="process")
    answer = ask(server)
    assert (answer.text, answer.headers[GENERATION_HEADER], server.name) == ("one", str(server.generation), "api")
    assert [item.name for item in serve.servers()] == ["api"]
    assert server._process.pid != os.getpid()
    until(lambda: server.requests)
    assert [(item.method, item.path, item.status) for item in server.requests] == [("GET", "/", 200)]
    until(lambda: "asked" in server.output)
    assert "in a process of its own" in server._repr_html_()


def test_what_it_prints_and_where_it_fails_is_kept(api):
    server = serve.start("api.py", mode="process")
    assert ask(server, "/boom").status_code == 500
    until(lambda: "KeyError: 'nothing'" in server.output)
    assert "RuntimeWarning" not in server.output


def test_saving_the_file_starts_it_again_on_the_same_port(api):
    server = serve.start("api.py", mode="process")
    port, old, first = server.port, server._process.pid, server.generation
    api.write_text(API.replace('"one"', '"two"'))
    answers = []
    while not answers or answers[-1].text != "two":
        answers.append(ask(server))
    # From the moment of saving nobody is turned away, and nobody hears the old code.
    assert {answer.text for answer in answers if answer.status_code == 200} == {"two"}
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 503)
    assert (server.port, server.generation) == (port, first + 1)
    assert answers[-1].headers[GENERATION_HEADER] == str(first + 1)
    assert not psutil.pid_exists(old)
    again = serve.start("api.py", mode="process")
    assert (again.port, again.generation) == (port, first + 2)


def test_saving_a_module_beside_it_counts_too(api):
    (api.parent / "words.py").write_text("WORD = 'first'")
    api.write_text(API.replace("import subprocess, sys", "import words").replace('"one"', "words.WORD"))
    server = serve.start("api.py", mode="process")
    first = server.generation
    assert ask(server).text == "first"
    (api.parent / "words.py").write_text("WORD = 'second'")
    until(lambda: server.generation == first + 1)
    assert ask(server).text == "second"


def test_a_file_that_breaks_while_it_runs_says_so_until_it_is_mended(api):
    server = serve.start("api.py", mode="process")
    api.write_text(API.replace('return "one"', "return return"))
    until(lambda: server.state == "broken")
    answer = ask(server)
    assert answer.status_code == 500
    assert "SyntaxError" in answer.json()["error"] and "api.py" not in answer.text
    assert server.problem.splitlines()[0].strip().endswith('api.py", line 11')
    assert "✗ broken" in server._repr_html_() and "return return" in server._repr_html_()
    api.write_text(API)
    until(lambda: server.state == "running")
    assert ask(server).text == "one"


BROKEN = {
    "syntax": ("def f(:\n", "SyntaxError", "api.py"),
    "import": ("import no_such_package\n", "No module named 'no_such_package'", "line 1"),
    "raises": ("x = 1\nprint(1 / 0)\n", "ZeroDivisionError", "line 2"),
    "no app": ("x = 1\n", "Failed to find Flask application", "api:name"),
    "exits": ("raise SystemExit(4)\n", "SystemExit: 4", "line 1"),
    "dies": ("import os; print('last words'); os._exit(7)\n", "status 7", "last words"),
    "debug": ("from flask import Flask\napp = Flask('x')\n", "debug mode", "0.0.0.0"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_cannot_be_served_is_explained(api, monkeypatch, what):
    code, word, place = BROKEN[what]
    api.write_text(code)
    monkeypatch.setenv("FLASK_DEBUG", "1" if what == "debug" else "0")
    threads = threading.active_count()
    with pytest.raises(ServerError) as caught:
        serve.start("api.py", mode="process", host="0.0.0.0" if what == "debug" else "127.0.0.1")
    assert word in caught.value.message and place in caught.value.message
    assert "flask/cli.py" not in caught.value.message and "mlops_lab" not in caught.value.message
    assert caught.value.hint.startswith("Correct the file")
    assert (serve.servers(), threading.active_count()) == ((), threads)


def test_a_file_that_is_not_there(api):
    with pytest.raises(ServerError, match=f"Could not import 'nowhere'. Paths begin at {api.parent}"):
        serve.start("nowhere.py", mode="process")


def test_a_process_that_dies_leaves_a_reason_and_a_free_port(api):
    server = serve.start("api.py", mode="process")
    os.kill(server._process.pid, signal.SIGKILL)
    until(lambda: not server.running)
    assert server.state == "stopped" and "ended by itself with status -9" in server._repr_html_()
    with pytest.raises(requests.ConnectionError):
        ask(server)
    assert ask(serve.start("api.py", mode="process")).text == "one"


# A helper that a polite request does not end.
HELPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(300)"
TREE = API.replace(
    "app = Flask(__name__)",
    f"app = Flask(__name__)\nhelper = subprocess.Popen([sys.executable, '-c', {HELPER!r}], stdout=subprocess.PIPE)\n"
    "helper.stdout.readline()",
).replace('return "one"', "return str(helper.pid)")


def test_stopping_ends_everything_that_the_file_started(api):
    api.write_text(TREE)
    server = serve.start("api.py", mode="process")
    helper, threads, first = int(ask(server).text), threading.active_count(), server.generation
    api.write_text(TREE + "\n")
    until(lambda: server.generation == first + 1)
    second = int(ask(server).text)
    assert gone(helper) and second != helper
    server.stop()
    server.stop()
    assert gone(second) and threading.active_count() == threads - 2
    with pytest.raises(requests.ConnectionError):
        ask(server)


KERNEL = """
import sys, time
from mlops_lab import serve
server = serve.start("api.py", mode="process")
print(server.url, server._process.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("ending", ["SIGKILL", "SIGTERM"])
def test_it_ends_with_the_kernel_however_that_ends(api, ending):
    api.write_text(TREE)
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, text=True)
    url, pid = kernel.stdout.readline().split()
    helper = int(requests.get(url, timeout=20).text)
    kernel.send_signal(getattr(signal, ending))
    kernel.communicate()
    assert gone(int(pid)) and gone(helper)


def gone(pid):
    """Wait until a process is gone, or dead and not yet fetched by a parent that is none of ours."""
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_five_reruns_leave_nothing_behind(api):
    process = psutil.Process()
    children = len(process.children())  # other tests in this process may have left a helper of multiprocessing
    serve.start("api.py", mode="process")
    threads, descriptors = threading.active_count(), process.num_fds()
    for number in range(5):
        api.write_text(API.replace('"one"', f'"{number}"'))
        server = serve.start("api.py", mode="process")
        assert ask(server).text == str(number)
    assert threading.active_count() <= threads
    assert process.num_fds() <= descriptors + 1
    assert len(process.children()) == children + 1


def test_a_port_that_is_taken(api):
    first = serve.start("api.py", mode="process")
    with pytest.raises(PortTaken, match="your own server 'api'"):
        serve.start("api.py", mode="process", name="second", port=first.port)


def test_ctrl_c_while_it_loads_leaves_no_process(api, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    children = psutil.Process().children()
    monkeypatch.setattr(FileServer, "_probe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        serve.start("api.py", mode="process")
    assert psutil.Process().children() == children
    assert serve.servers() == ()


def test_no_process_to_be_had_leaves_the_port_free(api, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("Resource temporarily unavailable")

    before = psutil.Process().num_fds()
    monkeypatch.setattr("mlops_lab.serve.background.file_server.subprocess.Popen", refuse)
    with pytest.raises(OSError, match="unavailable"):
        serve.start("api.py", mode="process")
    assert psutil.Process().num_fds() == before


def test_the_file_is_saved_in_the_moment_of_the_probe(api, monkeypatch):
    probed = FileServer._probe

    def save_first(self):
        api.write_text(API.replace('"one"', '"two"'))
        generation = self.generation
        until(lambda: self.generation > generation)
        probed(self)

    monkeypatch.setattr(FileServer, "_probe", save_first)
    assert ask(serve.start("api.py", mode="process")).text == "two"


def test_the_mode_has_to_fit(api):
    with pytest.raises(WrongUsage, match="mode='process'"):
        serve.start("api.py", mode="thread")
    with pytest.raises(WrongUsage, match="takes a file, and this is a Flask"):
        from flask import Flask

        serve.start(Flask("x"), mode="process")
    with pytest.raises(WrongUsage, match="'thread' and 'process'"):
        serve.start("api.py", mode="fork")
