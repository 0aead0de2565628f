"""Batching before Ray, by our server, against batching inside it, by Ray Serve's own decorator, in alternating rounds.

    python benchmarks/ray_batching.py [--clients 16] [--rounds 5] [--seconds 4] [--fixed-ms 20] [--row-ms 0.5]

One replica of a model that takes 20 ms a call and 0.5 ms a row, as a large network on a GPU does. Four servers of it:
without batching, twice (the second is a null: what the machine's noise alone makes of it), with our server's batches in
front, and with ``@serve.batch`` in the replica. Needs Ray (`make test-ray` installs it).
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

from ray_ratio import Server, ask

from mlops_lab import data
from mlops_lab.image import encode_png
from mlops_lab.serve import Batching

VARIANTS = ("off", "off again", "ours", "ray")


def serve(variant: str, fixed: float, row: float) -> None:
    """Be the server of a variant until SIGTERM."""
    os.environ["RAY_AUTH_MODE"] = "token"  # before Ray is imported
    import threading
    import time

    from mlops_lab.deploy import ray_front
    from mlops_lab.engines.ray import Replica, import_ray

    class Dear(Replica):
        """A replica whose calls cost what those of a large network do."""

        def __init__(self, load):
            super().__init__(load)
            self._device = threading.Lock()  # which computes one call at a time

        def predict(self, inputs):
            with self._device:
                time.sleep((fixed + row * len(inputs)) / 1000)
            return super().predict(inputs)

    batch = import_ray("ray.serve").batch

    class Batched(Dear):
        """The same, which joins the requests that wait for it."""

        @batch(max_batch_size=32, batch_wait_timeout_s=0.002)
        async def _joined(self, requests):
            import numpy as np

            answers = super().predict(np.concatenate(requests))
            ends = np.cumsum([len(one) for one in requests])
            return np.split(answers, ends[:-1])

        async def predict(self, inputs):
            return await self._joined(inputs)

    ray_front.Replica = Batched if variant == "ray" else Dear
    # Where Ray joins requests they must all be there; else as many as by default, because a replica that is full makes
    # Ray ask again after pauses, and with one in flight that alone took most of the time.
    replicas = ray_front.Replicas(1, cpus=0.5, **({"in_flight": 64} if variant == "ray" else {}))
    ours = Batching(32, milliseconds=2) if variant == "ours" else None
    models = Path(__file__).resolve().parents[1] / "models"
    ray_front.serve_model(models, "clothes", replicas, port=0, batching=ours, limits={"in_flight": 64})


def main() -> None:
    """Start all, ask them in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--fixed-ms", type=float, default=20)
    parser.add_argument("--row-ms", type=float, default=0.5)
    parser.add_argument("--serve", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.fixed_ms, options.row_ms)
    body = encode_png(data.load("fashion-mnist", limit=100).test.images[0])
    cost = ["--fixed-ms", str(options.fixed_ms), "--row-ms", str(options.row_ms)]
    servers, rates, middles = {}, {name: [] for name in VARIANTS}, {name: [] for name in VARIANTS}
    try:
        for name in VARIANTS:
            servers[name] = Server([sys.executable, __file__, "--serve", name, *cost])
        for _ in range(options.rounds):
            for name, server in servers.items():
                rate, p50 = ask(server.url, body, options.clients, options.seconds)
                rates[name].append(rate)
                middles[name].append(p50)
    finally:
        for server in servers.values():
            server.stop()
    print("| batching | requests/s | × off | p50 ms |\n|---|---|---|---|")
    for name in VARIANTS:
        ratio = statistics.median(one / base for one, base in zip(rates[name], rates["off"], strict=True))
        print(
            f"| {name} | {statistics.median(rates[name]):.0f} | {ratio:.2f} | {statistics.median(middles[name]):.1f} |"
        )


if __name__ == "__main__":
    main()
