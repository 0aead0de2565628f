"""Publish and remove versions with large weights while serving: the memory of what is unloaded must return.

    python benchmarks/unloading.py [--versions 10] [--megabytes 60]

A small version stays; one large version after the other is published, answers, and is removed when the next one does.
Two clients ask the newest version all the while; when they have gone, the last large version goes as well.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from server import Load, Server, running
from swaps import LABELS, SPEC, listing, wait

from mlops_lab import store
from mlops_lab.image import encode_png

EXAMPLES = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)


def large(megabytes: float, seed: int) -> bytes:
    """Return an ONNX model of two layers with so many megabytes of weights."""
    chance = np.random.default_rng(seed)
    width = max(1, int(megabytes * 1e6 / 4 / (64 + 10)))
    first = chance.random((64, width), np.float32) / width
    second = chance.random((width, 10), np.float32) / width
    nodes = [
        helper.make_node("MatMul", ["image", "first"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return model.SerializeToString()


def publish(models: store.ModelStore, megabytes: float, version: int) -> None:
    """Publish a version of so many megabytes."""
    imported = store.from_onnx(large(megabytes, version), input=SPEC, labels=LABELS, examples=EXAMPLES)
    models.publish(imported, "canary", version)


def remove(models: store.ModelStore, server: Server, version: int) -> None:
    """Remove a version and wait until the server has forgotten it."""
    shutil.rmtree(models.root / "canary" / str(version))
    while f"v{version}" in listing(server).get("states", {}):
        time.sleep(0.05)


def exchange(models: store.ModelStore, server: Server, megabytes: float, version: int) -> float:
    """Publish a large version, remove the one before, and return the server's megabytes."""
    publish(models, megabytes, version)
    wait(server, version)
    if version > 2:
        remove(models, server, version - 1)
    time.sleep(1)
    print(f"  version {version}: {server.megabytes:.1f} MB", flush=True)
    return server.megabytes


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--megabytes", type=float, default=60)
    options = parser.parse_args()
    image = encode_png(np.zeros((8, 8), np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        models = store.ModelStore(Path(folder) / "models")
        publish(models, 0.01, 1)
        with running(models.root) as server:
            time.sleep(1)
            before = server.megabytes
            with Load(server, "/models/canary/latest", image, "image/png", 2) as load:
                marks = [exchange(models, server, options.megabytes, number + 2) for number in range(options.versions)]
            remove(models, server, options.versions + 1)  # now nobody asks, and memory must return all the same
            time.sleep(1)
            after = server.megabytes
    total = options.versions * options.megabytes
    print(f"{options.versions} versions of {options.megabytes:g} MB published and removed: {dict(load.found)}")
    first, last = marks[0], marks[-1]
    print(f"memory {before:.1f} MB before, {first:.1f} with the first, {last:.1f} with the last, {after:.1f} after")
    returned = after - before < 0.05 * total and last - first < 0.05 * total
    raise SystemExit(0 if returned and set(load.found) == {"200"} else 1)


if __name__ == "__main__":
    main()
