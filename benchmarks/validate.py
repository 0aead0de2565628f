"""What it costs to validate: the figures of docs/validate.md.

    python benchmarks/validate.py [--load]

The first part measures in this process; ``--load`` starts ``mlops-lab serve`` and looks whether the load generator
keeps its clock at twice what the server bears.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time

import numpy as np

from mlops_lab import data, validate
from mlops_lab.serve import Client
from mlops_lab.store import ModelStore


def seconds(function, rounds=5):
    """Return the median time of a call."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def measure(fashion, clothes):
    """Print the seconds of each part, and of fairlearn's bootstrap beside ours."""

    def everything():
        quality = validate.evaluate(clothes, fashion)
        predicted, labels = quality.answers.predicted, fashion.test.labels
        for by in ("coverage", "brightness", "contrast"):
            groups = validate.group_images(fashion.test.images, by)
            for metric in ("accuracy", "recall", "precision", "f1"):
                validate.by_group(metric, labels, predicted, groups)

    print(f"quality and groups of 10,000 images: {seconds(everything):.2f} s (to reach: 5)")
    random = np.random.default_rng(0)
    labels, predicted, groups = (random.integers(0, n, 4000) for n in (2, 2, 4))
    ours = seconds(lambda: validate.by_group("recall", labels, predicted, groups, resamples=100))
    print(f"100 bootstraps of groups, 4,000 rows: {ours:.4f} s (to reach: 1)")
    try:
        from fairlearn.metrics import MetricFrame
        from sklearn.metrics import recall_score
    except ModuleNotFoundError:
        print("fairlearn is not installed: no comparison")
    else:
        about = {"y_true": labels, "y_pred": predicted, "sensitive_features": groups}
        theirs = seconds(lambda: MetricFrame(metrics=recall_score, n_boot=100, ci_quantiles=[0.025], **about), 1)
        print(f"the same by fairlearn: {theirs:.1f} s, {theirs / ours:,.0f} times as long")
    print(f"data.check of 70,000 images: {seconds(lambda: data.check(fashion), 3):.2f} s")
    print(f"tests of behaviour, 500 images: {seconds(lambda: validate.check_behaviour(clothes, fashion), 3):.2f} s")
    print(f"robustness, 500 images: {seconds(lambda: validate.measure_robustness(clothes, fashion), 3):.2f} s")
    version = ModelStore("models").get("clothes", 1)
    print(f"all gates but the server: {seconds(lambda: validate.assess(version, server=False), 3):.2f} s")


def identical_pairs(pairs=200):
    """Print how many of pairs that differ by chance alone are called different."""
    labels, called = np.arange(2000) % 10, 0
    for seed in range(pairs):
        random = np.random.default_rng(seed)
        rows = [np.where(random.random(2000) < 0.9, labels, (labels + 1) % 10) for _ in range(2)]
        found = validate.compare(np.eye(10)[rows[0]], np.eye(10)[rows[1]], (labels, labels), seed=seed)
        called += found.verdict != "no difference"
    print(f"identical pairs called different: {called} of {pairs} (at most 5% ± 3)")


def load(fashion):
    """Print what the server bears, and the generator's lateness at twice that."""
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", "models", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = re.search(r"http://\S+", server.stdout.readline()).group()
        client, images = Client(url), fashion.test.images[:20]
        found = validate.find_saturation(client, "clothes", "v1", images, limit=50, start=200)
        print(found)
        plan = validate.LoadTestConfig(rate=2 * found.rate, seconds=5, milliseconds=60_000, failed=1, per_second=0)
        twice = validate.measure_load(client, "clothes", "v1", images, plan)
        print(f"{twice}\nat twice saturation late by {twice.lateness:.1f} ms at p99 (to reach: 5)")
        server.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", action="store_true")
    arguments = parser.parse_args()
    dataset = data.load()
    if arguments.load:
        load(dataset)
    else:
        measure(dataset, ModelStore("models").load("clothes", 1))
        identical_pairs()
