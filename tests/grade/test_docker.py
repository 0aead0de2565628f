"""With a real engine: images and Compose stacks of submissions run, and students' code stands in a container."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from corpus_types import edited, write

from mlops_lab import data
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.rubric import deploy_image
from mlops_lab.grade.runner import Grading, grade_submission
from mlops_lab.grade.sandbox import Sandbox, choose
from mlops_lab.grade.slowdown import MATERIAL

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
DOCKERFILE = """
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --no-index -r requirements.txt
COPY models models
COPY serve.py .
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=1s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["python", "serve.py"]
"""
# A server without packages, so that builds are quick: it names the nearest of some garments that it knows.
SERVE = """
import http.server, json, pathlib, signal, struct, sys, threading, zlib
known = pathlib.Path("models/known.bin").read_bytes()
rows = [(known[at], known[at + 1 : at + 785]) for at in range(0, len(known), 785)]
def pixels(png):
    at, packed = 8, b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        packed += png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    lines, out, above = zlib.decompress(packed), bytearray(), bytes(28)
    for row in range(28):
        line = bytearray(lines[row * 29 + 1 : row * 29 + 29])
        for x in range(28):
            left, up, corner = line[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            near = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
            line[x] = (line[x] + (0, left, up, (left + up) // 2, near)[lines[row * 29]]) & 255
        above, out = line, out + line
    return out
class Handler(http.server.BaseHTTPRequestHandler):
    def say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.say({"ready": True})
    def do_POST(self):
        image = pixels(self.rfile.read(int(self.headers["Content-Length"])))
        self.say({"class": min(rows, key=lambda row: sum(abs(a - b) for a, b in zip(row[1], image)))[0]})
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
SERVER = """
    build: .
    mem_limit: 600m
    restart: unless-stopped
    volumes: ["./models:/app/models:ro"]
"""
PROXY = """
  proxy:
    image: nginx:1.30
    ports: ["8000:80"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
    depends_on:
"""
HEALTHY = ": {condition: service_healthy}\n"
COMPOSE = f"services:\n  server:{SERVER}    deploy: {{replicas: 2}}\n{PROXY}      server{HEALTHY}"
ONE_KNOWN = f"services:\n  server:{SERVER}\n  other:{SERVER}\n{PROXY}      server{HEALTHY}      other{HEALTHY}"
NGINX = """
events {}
http {
  server {
    listen 80;
    location / { proxy_connect_timeout 1s; proxy_pass http://server:8000; }
  }
}
"""


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def left():
    """Return what the grader left on the engine; the image of the sandbox's container holds links only, and stays."""
    found = [said("docker", kind, "ls", *every, "--format", form) for kind, every, form in (
        ("container", ["--all"], "{{.Names}}"), ("network", [], "{{.Name}}"), ("volume", [], "{{.Name}}"),
        ("image", [], "{{.Repository}}:{{.Tag}}"))]  # fmt: skip
    return [name for names in found for name in names if name.startswith(("mlops-lab-grade-", "mlops-lab-sandbox-"))]


@pytest.fixture(scope="module")
def known():
    """Some garments that the server of the submission knows, each with its class before it."""
    train = data.load("fashion-mnist").train
    pairs = zip(train.images[:250], train.labels[:250], strict=True)
    return b"".join(bytes([label]) + image.tobytes() for image, label in pairs)


@pytest.fixture
def graded(known, tmp_path):
    def graded(check, **files):
        """Grade a submission for one check, with Docker; files replace those that are right."""
        names = {"dockerfile": "Dockerfile", "compose": "compose.yaml", "serve": "serve.py"}
        right = {"Dockerfile": DOCKERFILE, "requirements.txt": "# none\n", "serve.py": SERVE, "compose.yaml": COMPOSE,
                 "nginx.conf": NGINX, "models/known.bin": known}  # fmt: skip
        write(tmp_path, {**right, **{names[name]: text for name, text in files.items()}})
        only = tuple(one.partition(".")[0] for one in check.split(","))
        grading = Grading(only=only, docker=True, sandbox="limits", secret=b"a secret of the tests", step=3,
                          check=check if "." in check else "")  # fmt: skip
        return grade_submission(tmp_path, grading)

    yield graded
    assert left() == []


def test_right_answers_are_built_asked_and_stopped(graded):
    report = graded("deploy-1,deploy-3")
    assert report.passed and report.score == report.max_score == 22, str(report)
    assert {"deploy-1.runs", "deploy-3.runs"} <= {leaf.id for leaf in report.checks if leaf.state == "passed"}


ASKED = """CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]"""
WRONG = {
    "build": ({"dockerfile": edited(DOCKERFILE, ("COPY models", "COPY model"))}, 0),
    "ended": ({"serve": edited(SERVE, ("models/known.bin", "models/clothes.bin"))}, 0),
    "unreached": ({"serve": edited(SERVE, ('("0.0.0.0"', '("127.0.0.1" or "0.0.0.0"'))}, 0),
    # The first process of a container has no handler for SIGTERM but its own, and this image has no curl.
    "killed": (
        {
            "serve": edited(SERVE, ("signal.signal(signal.", "(signal.")),
            "dockerfile": edited(DOCKERFILE, (ASKED, "CMD curl -f :8000")),
        },
        1,
    ),
    "wrong": ({"serve": edited(SERVE, ("min(rows", "max(rows"))}, 0),
}


@pytest.mark.parametrize("hint", WRONG)
def test_an_image_that_does_not_do_its_work(hint, graded, monkeypatch):
    if hint == "unreached":
        monkeypatch.setattr(deploy_image, "START_SECONDS", 2.0)
    files, points = WRONG[hint]
    leaf = graded("deploy-1.runs", **files).checks[-1]
    assert (leaf.id, leaf.points) == ("deploy-1.runs", points), str(leaf)
    assert leaf.key == hint and leaf.hint and "{" not in leaf.hint, str(leaf)


def test_a_proxy_that_knows_one_server_loses_requests_with_it(graded):
    leaf = graded("deploy-3.runs", compose=ONE_KNOWN).checks[-1]
    assert (leaf.state, leaf.key, leaf.points) == ("partial", "lost", 1), str(leaf)


def test_what_lies_outside_of_a_submission_is_not_mounted(graded, tmp_path):
    leaf = graded("deploy-3.runs", compose=edited(COMPOSE, ("./models:", f"{tmp_path.parent}:"))).checks[-1]
    assert (leaf.points, leaf.key) == (0, "no-file"), str(leaf)


SOURCE = """
import os, socket
def look():
    try:
        socket.create_connection(("1.1.1.1", 80), 1)
        net = "open"
    except OSError:
        net = "closed"
    seen = [one for one in os.listdir("/proc") if one.isdigit()]
    return net, os.getuid() != 0, os.path.exists("/root/.bashrc"), len(seen)
def eat():
    kept = []
    while True:
        kept.append(bytearray(50_000_000))
def flood():
    while True:
        print("x" * 100_000)
"""


@pytest.fixture
def inside(tmp_path):
    isolation = choose("docker")
    with RemoteTarget(tmp_path, [("answers.py", SOURCE)], isolation=isolation) as target:
        yield SimpleNamespace(target=target, isolation=isolation)
    assert left() == []


def test_code_in_a_container_has_no_network_no_other_files_and_no_other_processes(inside):
    net, other, root, processes = inside.target.call("look", (), {}).value
    assert (net, other, root) == ("closed", True, False) and processes < 10


@pytest.mark.parametrize(("name", "why"), [("eat", "memory"), ("flood", "output")])
def test_a_container_that_uses_too_much_is_ended(name, why, inside):
    with pytest.raises(Failed, match=why):
        inside.target.call(name, (), {})


def test_a_server_in_a_container_is_graded_as_elsewhere(tmp_path):
    model = (MATERIAL / "clothes.onnx").read_bytes()
    write(tmp_path, {"api.py": (MATERIAL / "api.txt").read_bytes(), "models/clothes.onnx": model})
    report = grade_submission(tmp_path, Grading(only=("serve-1", "serve-2"), docker=True))
    assert report.sandbox["name"] == "docker" and report.score == report.max_score == 10, str(report)
    assert left() == []


def test_a_container_that_is_left_is_swept(tmp_path):
    sandbox = Sandbox(tmp_path, isolation=choose("docker"))
    process = sandbox.start({"program": "calling", "sources": [], "channel": 0, "inner": 0})
    sandbox._running.clear()
    sandbox.close()
    process.kill()
    assert left() == []


def test_the_probe_fails_where_the_interpreter_cannot_be_mounted(monkeypatch):
    from mlops_lab.grade.sandbox import container

    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    container.works.cache_clear()
    assert choose("", docker=True).name != "docker"
    container.works.cache_clear()
