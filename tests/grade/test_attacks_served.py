"""Attacks by a server: proxies, tables of answers, recognising the grader, and answers that hurt whoever asks."""

import contextlib
import hashlib
import http.server
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from corpus.serve_sources import ONNX, REFERENCE, RETURN, changed, many

from mlops_lab.grade.cases import Failed
from mlops_lab.grade.http import HttpClient
from mlops_lab.grade.inner import InnerServer
from mlops_lab.grade.live import served
from mlops_lab.grade.rubric.images import _test_split
from mlops_lab.grade.runner import Grading, grade_submission
from mlops_lab.grade.sandbox import choose

SECRET = b"a secret of the served attacks"
ROW = REFERENCE[REFERENCE.index("    row =") : REFERENCE.index("    best =")]
SLOW = pytest.mark.slow


def grade(folder, files, *only):
    for name, content in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return grade_submission(folder, Grading(only=only, secret=SECRET))


@SLOW
@pytest.mark.skipif(choose().rung != "bubblewrap", reason="only a namespace without a network stops a proxy")
def test_a_proxy_to_a_teachers_server_gets_nothing(tmp_path):
    asked = []

    class Teacher(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Teacher) as teacher:
        threading.Thread(target=teacher.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{teacher.server_port}"
        proxy = (
            "import urllib.request\nfrom flask import Flask, request\napp = Flask(__name__)\n"
            "@app.route('/models/clothes/v1', methods=['GET', 'POST'])\ndef proxy():\n"
            f"    return urllib.request.urlopen('{url}' + request.path, request.get_data() or None, timeout=2).read()\n"
        )
        report = grade(tmp_path, {"api.py": proxy}, "serve-2")
        teacher.shutdown()
    assert report.score == 0 and not asked


# Takes every socket that came in off its address, and asks a neighbour of the grader through it.
STEAL = """
import ctypes, os, socket, sys
from flask import Flask
app = Flask(__name__)
found, said, frame = {}, [], sys._getframe()
while "order" not in frame.f_locals:
    frame = frame.f_back
for fd in [value for value in frame.f_locals["order"].values() if isinstance(value, int)]:
    try:
        one = socket.socket(fileno=os.dup(fd))
    except OSError:
        continue
    found[fd] = one.family.name
    try:
        if ctypes.CDLL(None).connect(fd, bytes(16), 16):  # AF_UNSPEC
            continue
        one.settimeout(1)
        one.bind(("0.0.0.0", 0))
        one.connect(("127.0.0.1", PORT))
        said.append(fd)
    except (OSError, TypeError, ValueError):
        pass
@app.get("/")
def families():
    return {"families": sorted(set(found.values())), "said": said}
"""


@pytest.mark.skipif(choose().rung != "bubblewrap", reason="only a namespace without a network stops it")
def test_no_socket_of_the_network_crosses(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as neighbour:
        neighbour.settimeout(0.2)
        (tmp_path / "api.py").write_text(STEAL.replace("PORT", str(neighbour.getsockname()[1])))
        with served(tmp_path / "api.py") as server:
            with pytest.raises(TimeoutError):
                neighbour.accept()
            assert server.get("/").json() == {"families": ["AF_UNIX"], "said": []}


@SLOW
@pytest.mark.parametrize(
    "link",
    [
        "secret/1/model.skops",
        "models/numbers/1/model.onnx",
        "models/clothes/2/manifest.json",
        "models/digits",
        "secret",
    ],
)
def test_the_grader_writes_through_no_link(link, tmp_path):
    folder, outside = tmp_path / "submission", tmp_path / "outside"
    outside.mkdir()
    victim = outside / "victim"
    victim.write_text("whole")
    make = (
        f"import os\nos.makedirs(os.path.dirname('./{link}'), exist_ok=True)\n"
        f"if not os.path.lexists('{link}'):\n    os.symlink({str(victim if '.' in link else outside)!r}, '{link}')\n"
    )
    files = many(("MODELS = {}\n", make + "MODELS = {}\n"))
    report = grade(folder, {**files, "models/README": "x"}, "serve-5")
    assert victim.read_text() == "whole" and list(outside.iterdir()) == [victim]
    assert (report.score == report.max_score) == ("." in link), str(report)  # a link to a folder is in the way


@SLOW
def test_models_of_ones_own_are_in_nobodys_way(tmp_path):
    own = {f"models/clothes/{n}/{name}": b"own" for n in (1, 2) for name in ("model.keras", "model.onnx", "notes")}
    report = grade(tmp_path, {**many(), **own}, "serve-5")
    assert report.score == report.max_score, str(report)


@SLOW
def test_a_table_of_the_shipped_test_images_gets_two_points_at_most(tmp_path):
    images, labels = _test_split()
    table = {
        hashlib.sha256(one.tobytes()).hexdigest()[:16]: int(label) for one, label in zip(images, labels, strict=True)
    }
    look_up = (
        "    import hashlib, json\n    table = json.load(open('table.json'))\n"
        "    known = table.get(hashlib.sha256(pixels.astype('uint8').tobytes()).hexdigest()[:16], 0)\n"
        "    row = np.eye(10)[known]\n"
    )
    report = grade(tmp_path, {**changed((ROW, look_up)), "table.json": json.dumps(table)}, "serve-2")
    assert report.score <= 2, str(report)


@SLOW
@pytest.mark.parametrize(
    "row",
    ["    row = np.full(10, 0.1)\n", "    row = np.random.default_rng(int(pixels.sum())).dirichlet(np.ones(10))\n"],
    ids=["constant", "noise"],
)
def test_answers_without_a_model_get_two_points_at_most(row, tmp_path):
    report = grade(tmp_path, changed((ROW, row)), "serve-2")
    assert report.score <= 2, str(report)


@SLOW
def test_a_server_that_behaves_only_for_the_grader_does_not_recognise_it(tmp_path):
    recognise = (
        "    agent = request.headers.get('User-Agent', '').lower()\n"
        "    if not any(word in agent + str(request.headers).lower() for word in ('mlops', 'grade', 'check', 'test', 'urllib')):\n"
        "        return jsonify(error='nobody looks'), 500\n"
    )
    report = grade(tmp_path, changed(("    data = request.files", recognise + "    data = request.files")), "serve-2")
    assert report.score == 0, str(report)


@SLOW
def test_garbage_under_load_is_seen(tmp_path):
    garbage = (
        "    global busy\n    busy += 1\n    import time; time.sleep(0.02)\n"
        + ROW
        + "    row = row[::-1] if busy > 1 else row\n    busy -= 1\n"
    )
    files = changed((ROW, garbage), ("app = Flask(__name__)\n", "app = Flask(__name__)\nbusy = 0\n"))
    report = grade(tmp_path, files, "serve-4")
    own = next(leaf for leaf in report.checks if leaf.id == "serve-4.own")
    assert (own.points, own.key) == (0, "mixed"), str(report)


LIBRARY = "from mlops_lab.serve import create_app\napp = create_app([])\n"
HANDED_OVER = {
    "by another file": {"api.py": "from helper import app\n", "helper.py": LIBRARY},
    "by a file of a file": {"api.py": "import one\napp = one.app\n", "one.py": "from two import app\n", "two.py": LIBRARY},
    "by a package": {"api.py": "import own\napp = own.app\n", "own/__init__.py": LIBRARY},
    "by a module of a package": {
        "api.py": "from own.inner import app\n", "own/inner.py": "from . import other\nfrom .other import app\n",
        "own/other.py": LIBRARY,
    },
    "and rewritten": {"api.py": LIBRARY + "open(__file__, 'w').write('from flask import Flask')\n"},
}  # fmt: skip


@pytest.mark.parametrize("name", HANDED_OVER)
def test_this_librarys_server_is_nobodys_own(name, tmp_path):
    report = grade(tmp_path, HANDED_OVER[name], "serve-1")
    first = report.checks[0]
    assert (first.id, first.state, first.key) == ("serve-1.starts", "failed", "library"), str(report)


def test_files_beside_it_may_use_this_librarys_server(tmp_path):
    beside = {"compare.py": LIBRARY, "tests/test_api.py": LIBRARY, "mlops_lab/data.py": LIBRARY}
    helper = {
        "helper.py": "import helper, own, mlops_lab.data\nfrom .... import compare\n",
        "own/__init__.py": "import api\n",
    }
    reference = {**changed(), **beside, **helper}
    reference["api.py"] += "\ntry:\n    import helper\nexcept ImportError:\n    pass\n"
    report = grade(tmp_path, reference, "serve-1")
    assert report.score == report.max_score, str(report)


HANGS = {
    "never answers": "import time\nfrom flask import Flask\napp = Flask(__name__)\n@app.before_request\ndef wait(): time.sleep(999)\n",
    "is never loaded": "import time\ntime.sleep(999)\n",
    "closes at once": "import socket\ns = socket.create_server(('127.0.0.1', 5000))\nwhile True: s.accept()[0].close()\n",
}


@SLOW
@pytest.mark.parametrize("name", HANGS)
def test_a_submission_that_hangs_ends_within_two_minutes(name, tmp_path):
    started = time.monotonic()
    report = grade(tmp_path, {"api.py": HANGS[name] + "# readyz latest\n"}, "serve")
    assert time.monotonic() - started < 120
    assert report.score <= 1, str(report)  # importing starts no server: that is read from the file


@SLOW
def test_escapes_in_labels_and_errors_stay_text(tmp_path):
    nasty = "<script>alert(1)</script>\\x1b]0;owned\\x07=HYPERLINK(1)"
    files = changed((RETURN, f'return {{"label": "{nasty}", "error": "{nasty}"}}, 500'))
    report = grade(tmp_path, files, "serve-2")
    text = str(report) + json.dumps(report.to_dict(), ensure_ascii=False) + report.page()
    assert "<script" not in report.page() and "\x1b" not in text and "\x07" not in text


@contextlib.contextmanager
def raw_server(send):
    """Answer every connection with what a function sends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(client):
            with contextlib.suppress(OSError), client:
                client.recv(65536)
                send(client)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}")


def forever(head, piece):
    def send(client):
        client.sendall(head)
        while True:
            client.sendall(piece)

    return send


def drip(head):
    def send(client):
        client.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.05)

    return send


@contextlib.contextmanager
def inner_server():
    """Give the end of the inner server's control that crosses into the sandbox."""
    inner = InnerServer()
    try:
        yield inner, socket.socket(fileno=os.dup(inner.descriptor))
    finally:
        inner.close()


def ask_inner(control, length, body=b""):
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    socket.send_fds(control, [b"x"], [theirs.fileno()])
    theirs.close()
    ours.sendall(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n" + body)
    return ours


@pytest.mark.parametrize("length", [b"-1", b"-5", b"abc", b"1_0", "²".encode("latin-1")])
def test_the_inner_server_reads_no_body_without_end(length):
    with inner_server() as (inner, control), control, ask_inner(control, length) as asked:
        assert b" 400 " in asked.recv(65536).split(b"\r\n")[0]
        assert inner.asked == 0


def test_the_inner_server_holds_so_many_connections_and_no_more():
    before = threading.active_count(), psutil.Process().num_fds()
    with inner_server() as (inner, control), control, contextlib.ExitStack() as stack:
        inner.answer = inner.hang
        for _ in range(100):
            stack.enter_context(ask_inner(control, b"1", b"x"))
        time.sleep(0.3)
        assert threading.active_count() - before[0] <= 34
        assert psutil.Process().num_fds() - before[1] <= 100 + 3 + 34
        inner.answer = lambda body: (200, b"{}")
        inner.released.set()
        with ask_inner(control, b"1", b"x") as asked:
            assert b" 200 " in asked.recv(65536).split(b"\r\n")[0]


def test_the_inner_server_outlives_what_is_no_connection(tmp_path):
    with inner_server() as (_, control), control, open(tmp_path / "file", "wb") as file, socket.socket() as network:
        for one in [file, network] * 50:
            socket.send_fds(control, [b"x"], [one.fileno()])
        with ask_inner(control, b"1", b"x") as asked:
            assert b" 503 " in asked.recv(65536).split(b"\r\n")[0]


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE = {
    "a body without end": forever(OK + b"\r\n", b"x" * 65536),
    "chunks without end": forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "headers without end": forever(OK, b"Set-Cookie: a=" + b"x" * 1000 + b"\r\n"),
    "a header line without end": forever(OK + b"X: ", b"x" * 65536),
    "ten thousand headers": lambda client: client.sendall(OK + b"X: 1\r\n" * 10_000 + b"\r\n"),
    "a length that lies": lambda client: client.sendall(OK + b"Content-Length: 1000\r\n\r\nshort"),
    "a length that is no number": lambda client: client.sendall(b"HTTP/1.1 abc\r\nContent-Length: -5\r\n\r\n"),
    "a drip": drip(b"Content-Length: 100000\r\n"),
    "a drip that says that it closes": drip(b"Content-Length: 100000\r\nConnection: close\r\n"),
    "a drip without a length": drip(b"Connection: close\r\n"),
    "interim answers without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": lambda client: time.sleep(5),
    "no HTTP": lambda client: client.sendall(b"\x00\xff" * 5000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_graders_client_is_capped(name):
    before = psutil.Process().memory_info().rss
    started = time.monotonic()
    with raw_server(HOSTILE[name]) as client, pytest.raises(Failed):
        client.get("/", timeout=1)
    assert time.monotonic() - started < 4
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_only_a_server_that_is_late_again_and_again_is_given_up():
    late = iter([True, True, False, True, True, False, True, True, True])

    def send(client):
        if next(late):
            time.sleep(1)
        client.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with raw_server(send) as client:
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(Failed, match="not answered within"):
                    client.get("/", timeout=0.2)
            assert client.get("/", timeout=0.5).status == 200
        for _ in range(3):
            with pytest.raises(Failed, match="not answered within"):
                client.get("/", timeout=0.2)
        with pytest.raises(Failed, match="has stopped answering"):
            client.get("/", timeout=0.2)


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "http://127.0.0.1:1/secret", "/elsewhere", "//evil.example/x/"]
)
def test_redirects_are_not_followed_elsewhere(place):
    def send(client):
        client.sendall(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())

    with raw_server(send) as client:
        assert client.get("/models", timeout=2).status == 307


def test_a_compressed_body_is_not_unpacked():
    import gzip

    bomb = gzip.compress(b"\0" * 50_000_000)

    def send(client):
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        client.sendall(OK + head.encode() + bomb)

    with raw_server(send) as client:
        answer = client.get("/", timeout=5)
    with pytest.raises(ValueError):
        answer.json()
    assert len(answer.body) < 1_000_000


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", b"1" * 100_000])
def test_hostile_json_is_a_value_error(body):
    def send(client):
        client.sendall(OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    with raw_server(send) as client, pytest.raises(ValueError):
        client.get("/", timeout=5).json()


@SLOW
def test_a_hostile_model_file_runs_only_in_the_sandbox(tmp_path):
    """A model of one's own is loaded in a sandbox; a pickle under a model's name is data there, and harms nobody."""
    import pickle

    class Gift:
        def __reduce__(self):
            return (os.system, ("touch /tmp/mlops-lab-model-canary",))

    files = {**changed(), **ONNX, "models/own.keras": pickle.dumps(Gift()), "models/own.onnx": b"\x08\xff" * 100}
    files["api.py"] = REFERENCE.replace(ROW, "    row = np.full(10, 0.1)\n")
    report = grade(tmp_path, files, "serve-2")
    assert report.score <= 2
    assert not Path("/tmp/mlops-lab-model-canary").exists()


def test_held_out_images_are_new_bytes():
    from mlops_lab.grade.rubric.images import garments

    shipped = {one.tobytes() for one in _test_split()[0]}
    images, _ = garments(np.random.default_rng(1), 200, held_out=True)
    assert not any(one.tobytes() in shipped for one in images)
