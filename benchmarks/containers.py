"""The image of a model: how large it is, and how long a fresh container takes to its first prediction.

    python benchmarks/containers.py [--times 5] [--network host]

Needs a Docker engine (tools/docker_engine.sh). The time runs from `docker run` to the first answer to an image.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from mlops_lab import deploy, serve
from mlops_lab.deploy import docker
from mlops_lab.errors import LabError

IMAGE = np.zeros((28, 28), np.uint8)


def seconds(spec: deploy.Spec) -> float:
    """Return how long a fresh container takes to answer an image."""
    subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)
    started = time.perf_counter()
    client = serve.Client(docker.start(spec))
    while True:
        with contextlib.suppress(LabError):
            client.classify("clothes", "v1", IMAGE)
            break
    taken = time.perf_counter() - started
    subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)
    return taken


def megabytes(image: str) -> float:
    """Return the size of an image."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--network")
    options = parser.parse_args()
    spec = deploy.make_spec("models", "clothes", image="mlops-lab/clothes:measured", port=8123)
    with tempfile.TemporaryDirectory() as folder:
        docker.build(spec, deploy.files(spec, "docker"), Path(folder), network=options.network)
    print(f"image {megabytes(spec.image):.0f} MB, base {megabytes('python:3.11-slim'):.0f} MB")
    taken = [seconds(spec) for _ in range(options.times)]
    print(f"docker run to first prediction: median {statistics.median(taken):.2f} s, largest {max(taken):.2f} s")


if __name__ == "__main__":
    main()
