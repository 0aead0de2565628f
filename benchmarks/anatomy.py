"""Where the time of one image goes: HTTP, decoding, the model, JSON, and everything else.

HTTP is what a bare ASGI echo takes under uvicorn; the parts are measured in process, alone; the rest is what is left of
the whole: routing, admission, metrics, checks, the request id, and hand-overs between threads.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator

import numpy as np
from batches import milliseconds
from contenders import CLASSIFY, PEERS, PNG, PNG_HEADERS, Contender, ours, started
from environments import interpreter
from results import Effort, Result
from server import ROOT
from wrk import Post, drive

from mlops_lab import store
from mlops_lab.image import decode, to_input
from mlops_lab.predict import from_probabilities


def asgi_echo() -> Contender:
    """Return a bare ASGI application under uvicorn with httptools."""
    run = ("-m", "uvicorn", "--http", "httptools", "--log-level", "error", "--no-access-log", "--port", "{port}")
    post = Post("/models/clothes/v1", PNG, PNG_HEADERS, lambda body: bool(json.loads(body)["n"] == len(PNG)))
    command = (str(interpreter("uvicorn")), *run, "app:app")
    return Contender("ASGI echo under uvicorn", command, post, PEERS / "uvicorn")


def parts(seconds: float) -> dict[str, float]:
    """Return the microseconds of each part, in process."""
    predictor = store.ModelStore(ROOT / "models").load("clothes", 1)
    spec, engine = predictor.input, predictor.engine
    image = decode(PNG, spec)
    inputs = to_input([image], spec)
    rows = np.asarray(engine.predict(inputs))

    def encode() -> bytes:
        predictions = [prediction.to_dict() for prediction in from_probabilities(rows, predictor.labels)]
        return json.dumps({"model": "clothes", "version": "v1", "predictions": predictions}).encode()

    steps = {
        "decode the PNG": lambda: decode(PNG, spec),
        "pixels to model input": lambda: to_input([image], spec),
        "the model": lambda: engine.predict(inputs),
        "answer as JSON": encode,
    }
    return {name: 1000 * milliseconds(step, seconds) for name, step in steps.items()}


def anatomy(effort: Effort) -> Iterator[Result]:
    """Take one image apart, on one connection."""
    echo, whole = [], []
    peer = asgi_echo()
    with started(ours()) as server, started(peer) as other:
        for _ in range(effort.pairs):
            whole.append(drive(server, CLASSIFY, 1, effort.seconds).p50)
            echo.append(drive(other, peer.post, 1, effort.seconds).p50)
    found = {"HTTP (an ASGI echo)": 1000 * statistics.median(echo), **parts(effort.seconds / 2)}
    total = 1000 * statistics.median(whole)
    found["everything else"] = max(0.0, total - sum(found.values()))
    yield Result("microseconds of one image, 1 connection, p50", total, details={"parts": found})
    for name, microseconds in found.items():
        yield Result(f"  {name}", microseconds)
