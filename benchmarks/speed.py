"""How fast an image is classified, as a share of what a bare Flask echo does on the same HTTP server.

    python benchmarks/speed.py [--clients 1 8] [--rounds 5] [--seconds 2]

Each client POSTs a 28×28 PNG over its own connection. "echo" is a Flask application that answers how many bytes it
read, under waitress with 8 threads; "echo again" is the null, what noise alone makes of it; "echo, our server" the
same application in the server that `mlops-lab serve` runs. Ratios are to the echo of the same round; their median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from contextlib import ExitStack

import http_servers
from http_servers import ROWS, bare, ours, pace

from mlops_lab.serve import Limits
from mlops_lab.serve.http import serve_forever

VARIANTS = ("echo", "echo again", "echo, our server", "ours")


def run(variant: str, port: int) -> None:
    """Be the server."""
    if variant.startswith("echo") and variant != "echo, our server":
        import waitress

        return waitress.serve(bare(), host="127.0.0.1", port=port, threads=8)
    serve_forever(ours() if variant == "ours" else bare(), "127.0.0.1", port, Limits(), print)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(options.run, options.port)
    # The other benchmark starts, waits for and ends a server; what it starts is ours.
    http_servers.command = lambda _, variant, port: [sys.executable, __file__, "--run", variant, "--port", str(port)]
    print("| clients | | requests/s | × echo | p50 ms |")
    print("|---|---|---|---|---|")
    with ExitStack() as stack:
        ports = {variant: stack.enter_context(http_servers.running("", variant)) for variant in VARIANTS}
        for clients in options.clients:
            found: dict[str, list[tuple[float, float]]] = {variant: [] for variant in VARIANTS}
            for _ in range(options.rounds):
                for variant, port in ports.items():
                    found[variant].append(pace(port, ROWS["good"], options.seconds, clients))
            for variant, rounds in found.items():
                rate, milliseconds = (statistics.median(values) for values in zip(*rounds, strict=True))
                pairs = zip(rounds, found["echo"], strict=True)
                ratio = statistics.median(one[0] / base[0] for one, base in pairs)
                print(f"| {clients} | {variant} | {rate:.0f} | {ratio:.2f} | {milliseconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
