"""The suite `ray` with a load of 60 s: four clients while versions change and a replica and a node process are killed.

    python benchmarks/ray_cluster.py [--seconds 60]

Needs Ray (`make test-ray` installs it).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the suite, and end as it does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    environment = os.environ | {"MLOPS_LAB_RAY_SECONDS": str(options.seconds)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "ray", "--timeout", "1200", "tests/ray"]
    raise SystemExit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
