"""The servers that the benchmarks compare: ours, and what users would pick instead, each as its quickstart has it."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from environments import PEERS, interpreter
from server import ROOT, Server
from wrk import Post, is_answered

from mlops_lab import data
from mlops_lab.image import encode_png

MODEL = ROOT / "models" / "clothes" / "1"
LABELS = json.loads((MODEL / "manifest.json").read_text())["outputs"][0]["labels"]
IMAGE = data.load("fashion-mnist").test.images[0]  # an ankle boot, and every model here says so
BOOT = LABELS.index("Ankle boot")
PNG = encode_png(IMAGE)
INPUT = (IMAGE[None, :, :, None] / 255).round(4)
PNG_HEADERS = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
START_SECONDS = 120


def has_label(body: bytes) -> bool:
    """Return whether an answer in the course's JSON, or one image of it, says what the image is."""
    answer = json.loads(body)
    row = answer["predictions"][0] if "predictions" in answer else answer
    return bool(row["label"] == "Ankle boot" and len(row["probabilities"]) == len(LABELS))


def is_boot(row: Any) -> bool:
    """Return whether ten probabilities say what the image is."""
    return len(row) == len(LABELS) and int(np.argmax(row)) == BOOT


CLASSIFY = Post("/models/clothes/v1", PNG, PNG_HEADERS, has_label)


@dataclass(frozen=True)
class Contender:
    """How a server is started, and what it is asked.

    Parameters
    ----------
    name
        In tables.
    command, environment
        Its program with arguments, and variables; ``{port}`` stands for the port.
    post
        The request that classifies one image.
    folder
        Where the program runs.
    """

    name: str
    command: tuple[str, ...]
    post: Post
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)


def ours(*options: str, models: Path = ROOT / "models", post: Post = CLASSIFY) -> Contender:
    """Return `mlops-lab serve`."""
    run = (sys.executable, "-m", "mlops_lab", "serve", "--models", str(models), "--port", "{port}")
    return Contender("mlops-lab", (*run, *options), post)


def bare() -> Contender:
    """Return our decoder, engine and encoder under uvicorn, with nothing between them."""
    return Contender(
        "nothing but the model", (sys.executable, str(ROOT / "benchmarks/bare_server.py"), "{port}"), CLASSIFY
    )


def echo() -> Contender:
    """Return a bare Flask echo under granian."""
    run = ("-m", "granian", "--interface", "wsgi", "--blocking-threads", "8", "--no-log", "--port", "{port}", "app:app")
    post = Post("/", PNG, PNG_HEADERS, lambda body: bool(json.loads(body)["n"] == len(PNG)))
    return Contender("Flask echo under granian", (str(interpreter("echo")), *run), post, PEERS / "echo")


def fastapi() -> Contender:
    """Return twenty lines of FastAPI, Pillow and ONNX Runtime under uvicorn."""
    run = ("-m", "uvicorn", "--log-level", "error", "--no-access-log", "--port", "{port}", "app:app")
    post = Post("/", PNG, PNG_HEADERS, has_label)
    return Contender("FastAPI + ONNX Runtime", (str(interpreter("fastapi")), *run), post, PEERS / "fastapi")


def litserve(engine: str) -> Contender:
    """Return LitServe's quickstart."""
    body = json.dumps({"image": base64.b64encode(PNG).decode()}).encode()
    return _quickstart("litserve", "LitServe", engine, ("app.py", "{port}"), Post("/predict", body, JSON, has_label))


def bentoml(engine: str) -> Contender:
    """Return BentoML's quickstart."""
    body = json.dumps({"images": INPUT.tolist()}).encode()
    post = Post("/classify", body, JSON, lambda answer: is_boot(json.loads(answer)[0]))
    run = ("-m", "bentoml", "serve", "service:Classifier", "--host", "127.0.0.1", "--port", "{port}")
    return _quickstart("bentoml", "BentoML", engine, run, post, BENTOML_DO_NOT_TRACK="True")


def mlserver(engine: str) -> Contender:
    """Return MLServer's quickstart for a model of one's own."""
    tensor = {"name": "image", "shape": list(INPUT.shape), "datatype": "FP32", "data": INPUT.ravel().tolist()}
    body = json.dumps({"inputs": [tensor]}).encode()
    post = Post(
        "/v2/models/clothes/infer", body, JSON, lambda answer: is_boot(json.loads(answer)["outputs"][0]["data"])
    )
    run = ("-c", "from mlserver.cli import main; main()", "start", ".")
    return _quickstart("mlserver", "MLServer", engine, run, post, MLSERVER_HTTP_PORT="{port}", MLSERVER_GRPC_PORT="0")


def _quickstart(
    folder: str, name: str, engine: str, command: tuple[str, ...], post: Post, **variables: str
) -> Contender:
    name = f"{name} + {'Keras' if engine == 'keras' else 'ONNX Runtime'}"
    return Contender(name, (str(interpreter(folder)), *command), post, PEERS / folder, {**variables, "ENGINE": engine})


QUICKSTARTS: dict[str, Callable[[str], Contender]] = {"mlserver": mlserver, "litserve": litserve, "bentoml": bentoml}


def launch(contender: Contender) -> Server:
    """Start a server, and return at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {name: value.format(port=port) for name, value in contender.environment.items()}
    known = {"MODEL_FOLDER": str(MODEL), "LABELS": ",".join(LABELS), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [part.replace("{port}", str(port)) for part in contender.command],
        cwd=contender.folder,
        env={**os.environ, **known, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    return Server(process, "127.0.0.1", port, contender.name)


@contextmanager
def started(contender: Contender) -> Iterator[Server]:
    """Run a server for the length of a block, from its first right answer on."""
    server = launch(contender)
    try:
        wait(server, contender.post)
        yield server
    finally:
        end(server)


def wait(server: Server, post: Post) -> None:
    """Wait for the first right answer.

    Raises
    ------
    RuntimeError
        The server ended, or did not answer in two minutes.
    """
    deadline = time.monotonic() + START_SECONDS
    while not is_answered(server, post):
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} does not answer; exit status {server.process.poll()}")
        time.sleep(0.005)


def end(server: Server) -> None:
    """End a server with what it has started."""
    with suppress(ProcessLookupError):
        server.process.terminate()
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
        os.killpg(server.process.pid, signal.SIGKILL)  # children that outlive their parent
