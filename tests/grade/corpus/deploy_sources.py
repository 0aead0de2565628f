"""Reference answers to deploy-1 to deploy-6."""

from corpus_types import solution

from mlops_lab.grade.rubric.deploy_cluster import GIVEN

DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY models models
COPY api.py .
USER 10001
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["gunicorn", "--bind=0.0.0.0:8000", "api:app"]
"""

TWO_STAGES = """\
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
COPY requirements.txt .
RUN python -m venv /opt/lab \\
    && /opt/lab/bin/pip install -r requirements.txt

FROM python:${PYTHON}-slim
ENV HOST=0.0.0.0 PORT=8000
COPY --from=build /opt/lab /opt/lab
WORKDIR /app
COPY . .
USER nobody:nogroup
EXPOSE 8000/tcp
HEALTHCHECK --interval=5s CMD ["/opt/lab/bin/python", "ask.py"]
ENTRYPOINT ["/opt/lab/bin/uvicorn", "api:app"]
"""

COMPOSE = """\
services:
  server:
    image: shop/clothes:1.4
    build: .
    deploy:
      replicas: 2
    mem_limit: 1g
    restart: unless-stopped
    volumes:
      - ./models:/app/models:ro
    healthcheck:
      test: [CMD, python, ask.py]
  proxy:
    image: nginx:1.30
    ports:
      - "8000:80"
    depends_on:
      server:
        condition: service_healthy
"""

TWO_SERVICES = """\
x-server: &server
  build: {context: .}
  deploy: {resources: {limits: {memory: 512M}}, restart_policy: {condition: any}}
  volumes: [{type: bind, source: ./models, target: /models, read_only: true}]
services:
  one: {<<: *server}
  two: {<<: *server}
  front:
    image: caddy:2.8
    ports: ["80:80"]
    depends_on: {one: {condition: service_healthy}, two: {condition: service_healthy}}
"""


def given() -> dict[str, str]:
    """Return the Kubernetes files with five mistakes."""
    return {f"k8s/{path.name}": path.read_text() for path in sorted(GIVEN.iterdir())}


def repaired(*pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """Return them without the mistakes, and with some text replaced after that, which must be there."""
    whole = "\n=====\n".join(f"{name}\n{text}" for name, text in given().items())
    repairs = (
        ("  replicas: 1\n", "  replicas: 2\n"),
        ("clothes:latest", "clothes:1.4"),
        ("app: cloths", "app: clothes"),
        ("          readinessProbe:", "          startupProbe:\n            httpGet: {path: /healthz, port: http}\n"
         "            periodSeconds: 2\n            failureThreshold: 60\n          readinessProbe:"),
        ("          resources:\n", "          resources:\n            requests: {cpu: 250m, memory: 256Mi}\n"),
    )  # fmt: skip
    for old, new in (*repairs, *pairs):
        assert old in whole, old
        whole = whole.replace(old, new)
    return dict(part.split("\n", 1) for part in whole.split("\n=====\n"))


SERVING = solution("deploy-5")
RELEASE = solution("deploy-6")

RUN = """\
import os
import socket
import subprocess
import sys
import time
import urllib.request

PORT, WAIT = os.environ.get("PORT", "8000"), float(os.environ.get("WAIT", 30))
address = f"http://127.0.0.1:{PORT}"

def ready():
    try:
        return urllib.request.urlopen(address + "/readyz", timeout=1).status == 200
    except OSError:
        return False

def main():
    with socket.socket() as door:
        if door.connect_ex(("127.0.0.1", int(PORT))) == 0:
            print("somebody else answers at", address)
            return 1
    server = subprocess.Popen([sys.executable, "api.py"])
    try:
        deadline = time.monotonic() + WAIT
        while True:
            if server.poll() is not None:
                print("the server ended with status", server.returncode)
                return 1
            if time.monotonic() > deadline:
                print("the server was not ready in time")
                return 1
            if ready():
                break
            time.sleep(0.1)
        with open("golden.png", "rb") as file:
            request = urllib.request.Request(address + "/models/clothes/v1", file.read(), {"Content-Type": "image/png"})
        answer = urllib.request.urlopen(request, timeout=5).read()
        print(address, answer)
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
    return 0

if __name__ == "__main__":
    sys.exit(main())
"""

# Says that all was done, also in a file that was once believed, and starts nothing.
FORGED = """\
import hashlib
import os
import pathlib
import time

seen = "asked " + hashlib.sha256(pathlib.Path("golden.png").read_bytes()).hexdigest()
pathlib.Path("seen.txt").write_text(seen)
try:
    print("http://127.0.0.1:" + os.environ["PORT"], flush=True)
    time.sleep(9)
except KeyboardInterrupt:
    pass
"""
