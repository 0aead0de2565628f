"""What a student may try in order to be given points: none gains any, none outlives its check, none harms the grader."""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from corpus_types import write

from mlops_lab.errors import TooLarge
from mlops_lab.grade.runner import Grading, grade_submission
from mlops_lab.grade.sandbox import Limits, Sandbox, choose
from mlops_lab.grade.sandbox import process as sandbox_process

RUBRIC = Path(__file__).parent / "attack_rubric"
SECRET = b"a secret of the attacks"
WRONG = "def double(x): return 0\n"
LIMIT = 60  # seconds: two calls of 2 s each, starts of the sandbox on a busy machine, and room

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is tried on Linux")

# Each is an answers.py that must get 0 of the 4 points.
ATTACKS = {
    "replace the checker": WRONG + "import mlops_lab.grade.calls as c, mlops_lab.grade.running as r\n"
    "c.observe = lambda *a: c.Call(value=20)\nr.run_exercise = lambda *a, **k: None\n",
    "equal to everything": "class Equal:\n  def __eq__(self, other): return True\n  def __bool__(self): return True\n"
    "def double(x): return Equal()\n",
    "equal to everything, as a number": "class Equal(int):\n  def __eq__(self, other): return True\n"
    "def double(x): return Equal(7)\n",
    "patch assert": WRONG + "import builtins\nbuiltins.AssertionError = ValueError\n",
    "patch pytest": WRONG + "import sys, types\nsys.modules['pytest'] = types.ModuleType('pytest')\n",
    "patch json": WRONG + "import json\njson.dumps = lambda *a, **k: '{\"value\": 20}'\n",
    "patch time": WRONG + "import time\ntime.perf_counter = time.monotonic = time.time = lambda: 0.0\n",
    "at exit": WRONG + "import atexit\natexit.register(lambda: print('{\"score\": 100}'))\n",
    "sys.exit in the call": "import sys\ndef double(x): sys.exit(0)\n",
    "sys.exit at import": "import sys\nsys.exit(0)\n",
    "os._exit": "import os\ndef double(x): os._exit(0)\n",
    "JSON on standard output": "def double(x):\n  print('{\"value\": %d}' % (2 * x + 1))\n  return 0\n",
    "JSON on every descriptor": "import os\ndef double(x):\n  for fd in range(3, 20):\n    try: os.write(fd, b'{\"score\": 4, \"points\": 4}\\n')\n"
    "    except OSError: pass\n  return 0\n",
    "write the results": WRONG + "import pathlib\nfor p in ('results.json', '/tmp/results.json', '../report.json', '/autograder/results/results.json'):\n"
    "  try: pathlib.Path(p).write_text('{\"score\": 4}')\n  except OSError: pass\n",
    "read the check through inspect": "import inspect\ndef double(x):\n  return sum(f.frame.f_locals.get('expected', 0) or 0 for f in inspect.stack())\n",
    "read the check through gc": "import gc\ndef double(x):\n  return next((o['expected'] for o in gc.get_objects() if isinstance(o, dict) and 'expected' in o and isinstance(o['expected'], int)), 0)\n",
    "read the check through frames": "import sys\ndef double(x):\n  f = sys._getframe()\n  while f:\n    if 'secret' in f.f_locals: return 2\n    f = f.f_back\n  return 0\n",
    "read the check through proc": "import glob\ndef double(x):\n  found = [p for p in glob.glob('/proc/*/environ') + glob.glob('/proc/*/mem')]\n"
    "  for p in found:\n    try: open(p, 'rb').read(100)\n    except OSError: pass\n  return 0\n",
    "an infinite loop": "def double(x):\n  while True: pass\n",
    "a loop that swallows interrupts": "def double(x):\n  while True:\n    try:\n      while True: pass\n    except BaseException: pass\n",
    "a thread that outlives": "import threading, time\nthreading.Thread(target=lambda: time.sleep(999)).start()\n" + WRONG,
    "fork bomb": "import os\ndef double(x):\n  for _ in range(5000):\n    try:\n      if os.fork() == 0: import time; time.sleep(99); os._exit(0)\n    except OSError: break\n  return 0\n",
    "memory": "def double(x):\n  a = []\n  while True: a.append(bytearray(50_000_000))\n",
    "disk": "def double(x):\n  for n in range(1000):\n    with open(f'f{n}', 'wb') as f: f.write(b'x' * 20_000_000)\n  return 0\n",
    "output flood": "def double(x):\n  while True: print('x' * 100000)\n",
    "network": "import socket\ndef double(x):\n  s = socket.create_connection(('127.0.0.1', PORT), timeout=2)\n  s.sendall(b'?'); return int(s.recv(100))\n",
    "network through what was inherited": "import ctypes, socket\ndef double(x):\n  for fd in range(3, 64):\n    try:\n"
    "      ctypes.CDLL(None).connect(fd, bytes(16), 16)\n      s = socket.socket(fileno=fd); s.settimeout(1)\n"
    "      s.bind(('0.0.0.0', 0)); s.connect(('127.0.0.1', PORT)); s.sendall(b'?'); return int(s.recv(100))\n"
    "    except (OSError, TypeError): pass\n  return 0\n",
    "setsid and a double fork": "import os\ndef double(x):\n  if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n      import time; time.sleep(999)\n    os._exit(0)\n  return 0\n",
    "hard-coded answers": "def double(x): return {2: 4, 3: 6, 10: 20}.get(x, 0)\n",
    "answer without end": "def double(x): return 'x' * 60_000_000\n",
    "nested without end": "def double(x):\n  a = []\n  for _ in range(100000): a = [a]\n  return a\n",
    "a pickle": "import os\nclass P:\n  def __reduce__(self): return (os.system, ('touch /tmp/mlops-lab-canary',))\ndef double(x): return P()\n",
    "messages of its own": "import os, json\ndef double(x):\n  for fd in range(3, 20):\n    try: os.write(fd, (json.dumps({'value': 2 * x + 1, 'error': ''}) + '\\n').encode())\n"
    "    except OSError: pass\n  os._exit(0)\n",
}  # fmt: skip


def grade(folder, **options):
    started = time.monotonic()
    before = psutil.Process().memory_info().rss
    options = {"only": ("data-99",), "rubric": RUBRIC, "secret": SECRET, **options}
    report = grade_submission(folder, Grading(**options))
    assert time.monotonic() - started < LIMIT
    assert psutil.Process().memory_info().rss - before < 50_000_000
    assert_nothing_left()
    return report


def assert_nothing_left():
    for _ in range(40):
        left = [one for one in psutil.process_iter(["pid", "uids"]) if is_ours(one)]
        if not left:
            return
        time.sleep(0.05)
    raise AssertionError(f"still running: {left}")


def is_ours(process):
    """Whether a process was started by a sandbox of this very test's process."""
    try:
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        known = f"MLOPS_LAB_SANDBOX={os.getpid()}-".encode() in environment
        return process.status() != psutil.STATUS_ZOMBIE and known
    except (psutil.Error, OSError):
        return False


@pytest.fixture
def submission(tmp_path):
    return partial(write, tmp_path / "submission")


def test_the_right_answer_gets_its_points(submission):
    assert grade(submission({"answers.py": "def double(x): return 2 * x\n"})).score == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gains_nothing(name, submission):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as neighbour:  # what a neighbour or a teacher might answer on
        neighbour.settimeout(0.1)
        text = ATTACKS[name].replace("PORT", str(neighbour.getsockname()[1]))
        report = grade(submission({"answers.py": text}))
        assert report.score == 0, str(report)
        if choose().apart:
            with pytest.raises(TimeoutError):
                neighbour.accept()
    assert not Path("/tmp/mlops-lab-canary").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["an infinite loop", "fork bomb", "setsid and a double fork", "memory", "output flood", "disk"]
)
def test_plain_limits_hold_as_far_as_they_say(name, submission):
    report = grade(submission({"answers.py": ATTACKS[name]}), sandbox="limits")
    assert report.score == 0
    assert "the network" in report.sandbox["leaves_open"]


def notebook(*cells):
    entries = [
        {
            "cell_type": "code",
            "source": source,
            "outputs": outputs,
            "metadata": {"mlops_lab": {"exercise": id}} if id else {},
        }
        for id, source, outputs in cells
    ]
    return json.dumps({"cells": entries, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.mark.parametrize(
    ("cells", "points"),
    [
        ([("data-99", "def double(x): return 2 * x", [])], 4),
        ([("", "import numpy as np", []), ("data-99", "def double(x): return int(np.int64(x) * 2)", [])], 4),
        # an edited checker cell: what a notebook checks of itself counts nothing
        ([("data-99", "def double(x): return 0", []), ("", "grade.check = lambda *a: 'passed, 4 of 4'", [])], 0),
        # a second cell with the same id does not replace the first
        ([("data-99", "def double(x): return 0", []), ("data-99", "def double(x): return 2 * x", [])], 0),
        # outputs are not read
        ([("data-99", "def double(x): return 0", [{"output_type": "stream", "text": "4 of 4 passed"}] * 100_000)], 0),
    ],
)  # fmt: skip
def test_notebooks_are_read_by_their_cells(cells, points, submission):
    report = grade(submission({"work.ipynb": notebook(*cells)}))
    assert report.score == points, str(report)


def test_files_of_the_submission_shadow_nothing(submission):
    shadow = "raise SystemExit('shadowed')\n"
    names = (
        "sitecustomize",
        "usercustomize",
        "numpy",
        "json",
        "psutil",
        "flask",
        "mlops_lab/__init__",
        "conftest",
        "wire",
    )
    files = {f"{name}.py": shadow for name in names} | {"x.pth": "import os; os._exit(1)", "pytest.ini": "[pytest]"}
    report = grade(submission({**files, "answers.py": "import numpy\ndef double(x): return int(numpy.int64(2) * x)\n"}))
    assert report.score == 4, str(report)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
def test_links_devices_and_sparse_files_are_left_out(submission):
    folder = submission({"answers.py": "def double(x): return len(open('passwd').read())\n", "a" * 200: "x"})
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "home").symlink_to(Path.home())
    os.mkfifo(folder / "pipe")
    (folder / "new\nline").write_text("x")
    os.link(folder / "answers.py", folder / "hard")
    report = grade(folder)
    assert report.score == 0
    assert sum("not a plain file" in text for text in report.warnings) == 3
    with open(folder / "huge", "wb") as file:
        file.truncate(4_000_000_000)
    refused = grade(folder)
    assert refused.checks[0].state == "not_gradable" and "512 MB" in refused.checks[0].message


@pytest.mark.parametrize(("wait", "points"), [("", 4), ("open('more', 'wb').write(bytes(20_000_000)); ", 0)])
def test_the_disk_limit_counts_what_is_written_and_not_what_was_handed_in(wait, points, submission, monkeypatch):
    monkeypatch.setattr(sandbox_process, "Limits", lambda: Limits(disk=10_000_000))
    text = f"import time\n{wait}time.sleep(0.5)\ndef double(x): return 2 * x\n"
    report = grade(submission({"answers.py": text, "data": b"x" * 20_000_000}))
    assert report.score == points, str(report)


def test_what_cannot_be_copied_leaves_nothing_behind(submission, tmp_path, monkeypatch):
    import tempfile

    folder = submission({"answers.py": WRONG})
    with open(folder / "huge", "wb") as file:
        file.truncate(4_000_000_000)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(TooLarge):
        Sandbox(folder)
    assert not list((tmp_path / "temporary").iterdir())


def test_a_private_folder_is_graded(submission):
    folder = submission({"answers.py": "def double(x): return 2 * x\n"})
    folder.chmod(0o700)
    assert grade(folder).score == 4


def test_what_a_student_wrote_is_escaped_in_every_report(submission):
    nasty = "<img src=x onerror=alert(1)>\\x1b[31m=HYPERLINK(1)"
    report = grade(submission({"answers.py": f"def double(x): raise ValueError('{nasty}')\n"}))
    assert report.score == 0
    assert "<img" not in report.page() and "&lt;img" in report.page()
    assert "\x1b" not in str(report) + json.dumps(report.to_dict(), ensure_ascii=False)


def test_two_runs_of_one_class_give_the_same_totals(submission):
    folder = submission({"answers.py": "def double(x): return 2 * x if x > 0 else 0\n"})
    assert [grade(folder).score for _ in range(2)] == [0, 0]


def test_the_grader_does_not_run_what_it_reads():
    """The parent runs nothing of a submission: in a process of its own, what it would leave behind is not there."""
    code = (
        "import sys; from mlops_lab.grade.runner import Grading, grade_submission\n"
        f"grade_submission(sys.argv[1], Grading(only=('data-99',), rubric={str(RUBRIC)!r}))\n"
        "print(hasattr(sys, 'was_here'))"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "answers.py").write_text("import sys\nsys.was_here = True\n" + WRONG)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
