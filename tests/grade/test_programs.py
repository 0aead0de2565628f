"""A student's program runs as `python NAME` does, and how it ends is seen."""

import socket

import pytest

from mlops_lab.grade import programs
from mlops_lab.grade.cases import Failed


@pytest.fixture
def run(tmp_path):
    def run(text, beside=None, **options):
        (tmp_path / "own.py").write_text(text)
        return programs.run(tmp_path / "own.py", beside or {}, **options)

    return run


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_it_cannot_tell_in_our_place_how_it_ended(run):
    text = (
        "import glob, os\nopened = 0\nfor path in glob.glob(f'/proc/{os.getppid()}/fd/*'):\n"
        "    try:\n        os.open(path, os.O_WRONLY)\n        opened += 1\n    except OSError:\n        pass\n"
        "print(opened)\n"
    )
    ended = run(text)
    assert (ended.status, ended.printed.strip()) == (0, "0")


def test_a_file_beside_it_learns_where_the_grader_answers(run):
    text = (
        "import http.client\nport = int(open('port.txt').read())\n"
        "connection = http.client.HTTPConnection('127.0.0.1', port)\nconnection.request('GET', '/one')\n"
        "print(connection.getresponse().read().decode())\n"
    )

    def respond(asked):
        return 200, "text/plain", asked.path.encode()

    ended = run(text, {"port.txt": b"RELAY"}, respond=respond, relay_in="port.txt")
    assert ended.printed.strip() == "/one"


def test_its_status_and_what_it_printed(run):
    ended = run("import sys, pathlib\nprint(sys.argv[1:], pathlib.Path('a.txt').read_text())\nsys.exit(3)\n",
                {"inner/a.txt": b"beside"}, arguments=("one",), place="inner")  # fmt: skip
    assert (ended.status, ended.printed.strip()) == (3, "['one'] beside")


def test_this_library_is_there_and_settings_too(run):
    ended = run("import os, mlops_lab\nprint(os.environ['PORT'])\n", settings={"PORT": "8123"})
    assert (ended.status, ended.printed.strip()) == (0, "8123")


def test_what_it_prints_may_be_longer_in_the_answer_than_a_pipe_holds(run):
    ended = run("import os\nos.write(1, bytes([255]) * 16_000)\n", seconds=5)
    assert (ended.status, len(ended.printed)) == (0, 16_000)


def test_one_that_does_not_end_is_ended(run):
    ended = run("import time\nprint('here')\ntime.sleep(99)\n", seconds=0.5)
    assert (ended.status, ended.printed.strip()) == (None, "here")


def test_ctrl_c_comes_when_a_text_was_printed(run):
    text = "import time\ntry:\n    print('ready')\n    time.sleep(99)\nexcept KeyboardInterrupt:\n    print('ended')\n"
    ended = run(text, interrupt_at="ready")
    assert ended.status == 0 and "ended" in ended.printed


SERVES = "import http.server as h\nh.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()\n"
STARTS = (
    "import socket, subprocess, sys, time\nsubprocess.Popen([sys.executable, 'serves.py'])\n"
    "while socket.socket().connect_ex(('127.0.0.1', {port})):\n    time.sleep(0.05)\n"
)


def test_a_server_that_it_leaves_is_seen(run, port):
    assert run(STARTS.format(port=port), {"serves.py": SERVES.format(port=port).encode()}, port=port).held
    assert not run("print('nothing')\n", port=port).held


def test_another_server_can_stand_there(run, port):
    text = f"import urllib.request as r\nprint(r.urlopen('http://127.0.0.1:{port}/readyz').status)\n"
    assert run(text, port=port, taken=True).printed.strip() == "200"


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(Failed):
        programs.run(tmp_path / "nothing.py", {})
