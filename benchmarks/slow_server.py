"""A server whose model takes 20 ms, so that a client on the same two cores can send four times what it can answer.

python benchmarks/slow_server.py        prints `serving http://…`, and ends on SIGTERM
"""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import numpy as np

from mlops_lab import serve
from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor


def answer(inputs: Any) -> Any:
    """Return the same probabilities for every image, after a while."""
    time.sleep(0.02)
    return np.full((len(inputs), 10), 0.1)


def main() -> None:
    """Serve until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    spec = InputSpec(shape=(28, 28, 1), size=(28, 28))
    slow = Predictor("clothes", 1, spec, tuple("0123456789"), PythonEngine(answer))
    with serve.start([slow], name="slow") as server:
        print(f"serving {server.url}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
