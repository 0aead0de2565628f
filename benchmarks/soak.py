"""The promises of docs/reliability.md in their long forms, one after the other: `make soak`.

    python benchmarks/soak.py                       everything: two hours or so
    python benchmarks/soak.py --only kills swaps    some of them
    python benchmarks/soak.py --quick               a twentieth of each, to see that all of it runs

Each is a program of its own that prints what it saw and ends with 1 where a promise is broken; so does this one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A name, the program with its arguments, and the arguments of the quick form.
RUNS: dict[str, tuple[str, str]] = {
    "kills": ("kills.py --kills 1000", "kills.py --kills 50"),
    "log-kills": ("log_kills.py", "log_kills.py --kills 50"),
    "log-kills-server": ("log_kills.py --server", "log_kills.py --server --kills 1"),
    "log-kills-workers": ("log_kills.py --server --workers 2", "log_kills.py --server --workers 2 --kills 1"),
    "endings": ("endings.py --times 200", "endings.py --times 10"),
    "endings-workers": ("endings.py --times 100 --workers 2", "endings.py --times 5 --workers 2"),
    "swaps": ("swaps.py --swaps 100", "swaps.py --swaps 5 --bad 3"),
    "malformed": ("malformed.py --requests 100000", "malformed.py --requests 1500"),
    "cost": ("cost.py --seconds 600", "cost.py --seconds 20"),
    "rows": ("http_servers.py", "http_servers.py"),
    "slow-clients": ("pressure.py slow --sockets 1000", "pressure.py slow --sockets 20"),
    "half-open": ("pressure.py grpc --sockets 1000", "pressure.py grpc --sockets 20"),
    "overload": ("pressure.py overload --seconds 60", "pressure.py overload --seconds 5"),
    "overload-slow": ("pressure.py overload --slow --seconds 60", "pressure.py overload --slow --seconds 5"),
    "threads": ("pressure.py threads --each 5000", "pressure.py threads --each 250"),
    "growth": ("pressure.py soak --requests 200000", "pressure.py soak --requests 10000"),
    "day": ("day.py --times 3", "day.py --fast"),
    "ray": ("ray_cluster.py --seconds 60", "ray_cluster.py --seconds 0"),
    "unloading": ("unloading.py --versions 10", "unloading.py --versions 2 --megabytes 20"),
}


def run(arguments: str) -> tuple[int, float]:
    """Run a program of this folder; return its exit status and how many seconds it took."""
    program, *rest = arguments.split()
    began = time.monotonic()
    status = subprocess.run([sys.executable, str(HERE / program), *rest], check=False, cwd=HERE.parent).returncode
    return status, time.monotonic() - began


def main() -> None:
    """Run them, and say at the end which promises hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help=", ".join(RUNS))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    outcomes = {}
    for name in options.only:
        arguments = RUNS[name][options.quick]
        print(f"\n=== {name}: python benchmarks/{arguments}", flush=True)
        outcomes[name] = run(arguments)
    print("\n=== what holds")
    for name, (status, seconds) in outcomes.items():
        print(f"{name:16} {'holds' if status == 0 else f'BROKEN ({status})':12} {seconds:6.0f} s")
    raise SystemExit(1 if any(status for status, _ in outcomes.values()) else 0)


if __name__ == "__main__":
    main()
