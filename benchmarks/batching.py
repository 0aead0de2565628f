"""What batching gives and costs: requests per second and milliseconds, each with and without, in the same rounds.

    python benchmarks/batching.py [--engines onnx keras] [--clients 1 8 32] [--rounds 5] [--seconds 2]

For each engine one process serves the same model four times, on four ports: twice without batching (the second is a
null: what the machine's noise alone makes of it), with batches of what came meanwhile, and with a wait of 2 ms. Each
client POSTs the same 28×28 PNG over its own connection. Ratios are to the first one in the same round; their median.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from server import Load, Server

from mlops_lab import serve
from mlops_lab.image import encode_png
from mlops_lab.store import ModelStore

MODELS = Path(__file__).parents[1] / "models"
VARIANTS = {
    "off": None,
    "off again": None,
    "0 ms": serve.Batching(milliseconds=0),
    "2 ms": serve.Batching(milliseconds=2),
}


def engine_of(name: str) -> Any:
    """Return an engine of the shipped model; ``xla`` is Keras, compiled anew for every length of a batch."""
    engine = ModelStore(MODELS).load("clothes", 1, engine="keras" if name == "xla" else name).engine
    if name == "xla":
        import tensorflow as tf

        model = engine.model
        engine._call = tf.function(
            lambda inputs: model(inputs, training=False),
            input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)],
            jit_compile=True,
        )
    return engine


class Counting:
    """An engine that counts its calls, and the examples in them."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.lengths = engine, list[int]()

    def predict(self, inputs: Any) -> Any:
        """Compute, and keep how many examples there were."""
        self.lengths.append(len(inputs))
        return self._engine.predict(inputs)


def run(name: str) -> None:
    """Be the server: say the ports, and serve until standard input ends; then say how long the batches were."""
    model, engine = ModelStore(MODELS).load("clothes", 1), engine_of(name)
    running, counting = {}, {variant: Counting(engine) for variant in VARIANTS}
    for variant, batching in VARIANTS.items():
        if batching is not None and name == "xla":
            batching = replace(batching, buckets=(1, 2, 4, 8, 16, 32))
        predictor = replace(model, engine=counting[variant])
        running[variant] = serve.start([predictor], name=variant, batching=batching)
    for length in (1, 2, 4, 8, 16, 32):
        engine.predict(np.zeros((length, 28, 28, 1), np.float32))
    print(json.dumps({variant: server.port for variant, server in running.items()}), flush=True)
    for variant in sys.stdin:
        lengths = counting[variant.strip()].lengths
        print(statistics.mean(lengths or [1]), flush=True)
        lengths.clear()


@contextmanager
def started(name: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """Run a server of every variant in a process of its own."""
    command = [sys.executable, __file__, "--run", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
        process.terminate()


def measure(process: subprocess.Popen[str], variant: str, port: int, clients: int, seconds: float) -> dict[str, float]:
    """Return what one variant does for so many clients."""
    png = encode_png(np.random.default_rng(0).integers(0, 255, (28, 28)))
    process.stdin.write(f"{variant}\n")  # what came before counts no more
    process.stdin.flush()
    process.stdout.readline()
    with Load(Server(process, "127.0.0.1", port), "/models/clothes/v1", png, "image/png", clients) as load:
        time.sleep(seconds)
    assert set(load.found) == {"200"}, load.found
    process.stdin.write(f"{variant}\n")
    process.stdin.flush()
    return {
        "rate": load.found["200"] / seconds,
        "p50": statistics.median(load.milliseconds),
        "p99": statistics.quantiles(load.milliseconds, n=100)[98],
        "length": float(process.stdout.readline()),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", default=["onnx", "keras"], choices=["onnx", "keras", "xla"])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(options.run)
    print("| engine | clients | batching | requests/s | × off | p50 ms | p99 ms | images in a batch |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.engines:
        with started(name) as (process, ports):
            for clients in options.clients:
                found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
                for _ in range(options.rounds):
                    for variant, port in ports.items():
                        found[variant].append(measure(process, variant, port, clients, options.seconds))
                for variant, rounds in found.items():
                    told = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
                    ratio = statistics.median(
                        one["rate"] / base["rate"] for one, base in zip(rounds, found["off"], strict=True)
                    )
                    print(
                        f"| {name} | {clients} | {variant} | {told['rate']:.0f} | {ratio:.2f} | {told['p50']:.1f} |"
                        f" {told['p99']:.1f} | {told['length']:.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
