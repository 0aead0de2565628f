"""Attacks by a server: proxies, tables of answers, recognising the grader, links, and another's server handed over."""

import hashlib
import http.server
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from corpus.serve_sources import ONNX, REFERENCE, RETURN, changed, many
from corpus_types import write

from mlops_lab.grade.live import served
from mlops_lab.grade.rubric.images import all_tested
from mlops_lab.grade.runner import Grading, grade_submission
from mlops_lab.grade.sandbox import choose

SECRET = b"a secret of the served attacks"
ROW = REFERENCE[REFERENCE.index("    row =") : REFERENCE.index("    best =")]
SLOW = pytest.mark.slow


def grade(folder, files, *only):
    return grade_submission(write(folder, files), Grading(only=only, secret=SECRET))


@SLOW
@pytest.mark.skipif(not choose().apart, reason="only a namespace without a network stops a proxy")
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


@pytest.mark.skipif(not choose().apart, reason="only a namespace without a network stops it")
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
    if link.endswith("manifest.json") and report.sandbox["name"] == "limits":
        return  # without a namespace the submission's own server reads what its link leads to, and ends
    assert (report.score == report.max_score) == ("." in link), str(report)  # a link to a folder is in the way


@SLOW
def test_models_of_ones_own_are_in_nobodys_way(tmp_path):
    own = {f"models/clothes/{n}/{name}": b"own" for n in (1, 2) for name in ("model.keras", "model.onnx", "notes")}
    report = grade(tmp_path, {**many(), **own}, "serve-5")
    assert report.score == report.max_score, str(report)


@SLOW
def test_a_table_of_the_shipped_test_images_gets_two_points_at_most(tmp_path):
    images, labels = all_tested()
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

    shipped = {one.tobytes() for one in all_tested()[0]}
    images, _ = garments(np.random.default_rng(1), 200, held_out=True)
    assert not any(one.tobytes() in shipped for one in images)
