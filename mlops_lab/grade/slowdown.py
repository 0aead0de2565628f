"""The factor by which this machine is slower at present than at rest: time limits grow by it.

Time limits are multiples of what the reference answer takes: the server that serve-4 is compared with is asked in this
process, in the same minute as the answer.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

MATERIAL = Path(__file__).parent / "material"
ASKED = 20  # answers of one measurement
NORMAL = 0.0085  # seconds that they take on two cores at rest, as in docs/performance.md
MOST = 3.0
KEPT = 20.0  # seconds for which a measurement counts
_measured: list[float] = []  # when, and the factor


def factor() -> float:
    """Return what time limits are multiplied by: 1 on a machine that is as fast and idle, at most 3.

    Examples
    --------
    >>> 1 <= factor() <= 3
    True
    """
    if not _measured or time.monotonic() - _measured[0] > KEPT:
        slower = statistics.median(_seconds() for _ in range(3)) / NORMAL
        _measured[:] = [time.monotonic(), min(MOST, max(1.0, slower))]
    return _measured[1]


def _seconds() -> float:
    """Return how long the reference takes for some answers, waiting for the processor included."""
    ask = reference()
    started = time.perf_counter()
    for _ in range(ASKED):
        ask()
    return time.perf_counter() - started


@cache
def reference() -> Callable[[], int]:
    """Return what asks the reference answer about one image and gives the status: decoding, model, JSON and all."""
    path = MATERIAL / "api.txt"
    source = path.read_text(encoding="utf-8").replace('"models/clothes.onnx"', repr(str(MATERIAL / "clothes.onnx")))
    namespace: dict[str, object] = {"__name__": "reference"}
    exec(compile(source, str(path), "exec"), namespace)
    client = namespace["app"].test_client()  # type: ignore[attr-defined]

    import numpy as np

    from mlops_lab.image import encode_png

    image = encode_png(np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8))

    def ask() -> int:
        return int(client.post("/models/clothes/v1", data=image, content_type="image/png").status_code)

    ask()
    return ask
