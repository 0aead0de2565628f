"""Many images at once: 256 in one POST, and the whole test set, over HTTP against in process."""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import onnxruntime
from contenders import BOOT, MODEL, ours, started
from pairs import alternate
from results import Effort, Result
from server import ROOT
from wrk import Post, drive

from mlops_lab import data, store
from mlops_lab.serve import Client

COUNT = 256


def images() -> Any:
    """Return 256 images, the first an ankle boot."""
    return data.load("fashion-mnist").test.images[:COUNT]


def npy_post() -> Post:
    """Return a POST of the images as one npy file of bytes."""
    with io.BytesIO() as file:
        np.save(file, images())
        body = file.getvalue()
    return Post("/models/clothes/v1", body, {"Content-Type": "application/x-npy"}, _course_is_right)


def oip_post() -> Post:
    """Return a POST of the images as one binary tensor of the Open Inference Protocol, answered in binary too."""
    raw = (images()[..., None] / 255).astype("<f4").tobytes()
    entry = {"name": "image", "shape": [COUNT, 28, 28, 1], "datatype": "FP32"}
    tensor = {**entry, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return Post("/v2/models/clothes/infer", head + raw, headers, _tensor_is_right)


def _course_is_right(body: bytes) -> bool:
    predictions = json.loads(body)["predictions"]
    return len(predictions) == COUNT and predictions[0]["class"] == BOOT


def _tensor_is_right(body: bytes) -> bool:
    rows = np.frombuffer(body[-COUNT * 40 :], "<f4").reshape(COUNT, 10)
    return bool(rows[0].argmax() == BOOT and np.allclose(rows.sum(axis=1), 1, atol=1e-3))


def session() -> Callable[[Any], Any]:
    """Return ONNX Runtime with one thread, as a function of images from 0 to 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    running = onnxruntime.InferenceSession(str(MODEL / "model.onnx"), options, providers=["CPUExecutionProvider"])
    name = running.get_inputs()[0].name
    return lambda inputs: running.run(None, {name: inputs})[0]


def milliseconds(function: Callable[[], Any], seconds: float) -> float:
    """Return the median of calls for some seconds, of one at least."""
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        started_at = time.perf_counter()
        function()
        taken.append(1000 * (time.perf_counter() - started_at))
    return statistics.median(taken)


def batch(effort: Effort) -> Iterator[Result]:
    """Compare one POST of 256 images with ONNX Runtime's own call of the same images, already floats."""
    inputs, run = (images()[..., None] / 255).astype(np.float32), session()
    with started(ours()) as server:
        for name, post in (("npy", npy_post()), ("OIP binary", oip_post())):
            ratios = alternate(
                lambda: milliseconds(lambda: run(inputs), effort.seconds),
                lambda post=post: drive(server, post, 1, effort.seconds).p50,
                effort.pairs,
            )
            print(f"  256 images as {name}: {ratios}", flush=True)
            what = f"256 images in one POST ({name}): speed over ONNX Runtime's in process"
            yield Result(what, ratios.median, "at least", 0.85, asdict(ratios))


def test_set(effort: Effort) -> Iterator[Result]:
    """Compare classifying the test images over HTTP, in batches of 256, with classifying them in process."""
    chosen = data.load("fashion-mnist").test.images[: effort.test_images]
    predictor = store.ModelStore(ROOT / "models").load("clothes", 1)
    parts = [chosen[start : start + COUNT] for start in range(0, len(chosen), COUNT)]
    with started(ours()) as server:
        client = Client(server.url)
        ratios = alternate(
            lambda: milliseconds(lambda: [client.classify("clothes", "v1", part) for part in parts], 0),
            lambda: milliseconds(lambda: predictor.predict(chosen), 0),
            effort.pairs + 1,
        )
    what = f"the {len(chosen):,} test images over HTTP: time over that in process"
    yield Result(what, ratios.median, "at most", 1.5, asdict(ratios))
