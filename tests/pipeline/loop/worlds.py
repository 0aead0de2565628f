"""What a loop meets: a folder of settings, servers behind this process, and predictions that stand in a log."""

from pathlib import Path

import numpy as np

from mlops_lab import data, monitor, serve
from mlops_lab.data import Split
from mlops_lab.monitor import PredictionLog
from mlops_lab.pipeline import run_loop
from mlops_lab.predict import PredictionEvent
from mlops_lab.store import ModelStore

SETTINGS = """
name = "digits"

[data]
name = "digits"
limit = 900

[train]
framework = "sklearn"

[validate]
images = 200

[release]
seconds = 0.2
p99 = 60000.0
per_second = 1.0
budget = 60000.0

[monitor]
log = "predictions.db"
window = 400
rehearse = false

[retrain]
labels = 300

[canary]
share = 30
judged = 40
seconds = 120.0
"""


class InThread:
    """A server over a folder of models, behind this process; it has no name, so that it displaces no other."""

    started = 0

    def __init__(self, models, *, seconds):
        InThread.started += 1
        self._server = serve.start(ModelStore(models), name=f"of a loop {InThread.started}")
        self.url, self.stop = self._server.url, self._server.stop

    def last_log_lines(self):
        return ""


def play(folder, **options):
    """Run the loop in a folder once."""
    return run_loop(Path(folder) / "pipeline.toml", start=InThread, **options)


def customers(count=400, seed=5):
    """Return images that the loop's first version was neither trained nor tested on."""
    whole, used = data.load("digits"), data.load("digits", limit=900)
    known = {image.tobytes() for image in used.train.images}
    free = np.flatnonzero([image.tobytes() not in known for image in whole.train.images])
    chosen = np.random.default_rng(seed).choice(free, count, replace=False)
    return Split(whole.train.images[chosen], whole.train.labels[chosen])


def masked(count=400, seed=5):
    """Return the same with something before each digit."""
    return monitor.disturb(customers(count, seed), "masks", 0.8, seed=seed)


def answer(folder, split, *, labels=None, version=1, time=1_800_000_000.0):
    """Let a version answer images, and write that into the log; with labels, people have judged each of them."""
    predictor = ModelStore(Path(folder) / "models").load("digits", version)
    rows = predictor.probabilities(split.images)
    with PredictionLog(Path(folder) / "predictions.db", images=True) as log:
        for start in range(0, len(split), 100):
            part = slice(start, start + 100)
            log.append(
                PredictionEvent(
                    f"{version}-{time}-{start}", time + start, predictor, split.images[part], rows[part], 0.001
                )
            )
        log.flush()
        for place, label in enumerate([] if labels is None else labels):
            log.feedback(f"{version}-{time}-{place // 100 * 100}", str(label), place=place % 100)
    return rows.argmax(axis=1)
