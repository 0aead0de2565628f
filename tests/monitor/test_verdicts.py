"""/metrics says what the log says: harm by version, looked at aside and not at every scrape."""

import threading
import time
from pathlib import Path

import pytest

from mlops_lab import monitor, serve
from mlops_lab.errors import NotFound
from mlops_lab.monitor import PredictionLog, verdicts
from mlops_lab.monitor import log as logs
from mlops_lab.monitor.command import open_log
from mlops_lab.predict import PredictionEvent
from mlops_lab.serve.command import Settings
from mlops_lab.store import ModelStore

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def log(tmp_path):
    with PredictionLog(tmp_path / "predictions.db") as log:
        yield log


@pytest.fixture
def app(log, reference, monkeypatch):
    def load(models, name, version):
        if name != "clothes":
            raise NotFound("There is no reference.", "Make one.")
        return reference

    monkeypatch.setattr(verdicts, "load_reference", load)
    yield serve.create_app(MODELS, log=log)
    wait_for_looks()  # a look that a scrape began ends before what it calls is as it was


def wait_for_looks():
    for thread in threading.enumerate():
        if thread.name == "mlops-lab-verdicts":
            thread.join(60)


def fill(log, predictor, images, *, age=0.0):
    rows = predictor.probabilities(images)
    event = PredictionEvent(f"{age}", time.time() - age, predictor, images, rows, 0.01)
    assert log.append(event)
    log.flush()


def scraped(app, until):
    """Return the verdicts in /metrics by name, once there are some that will do."""
    end = time.monotonic() + 60
    while True:
        lines = app.test_client().get("/metrics").text.splitlines()
        found = dict(line.split() for line in lines if line.startswith("mlops_lab_monitor_"))
        if until(found) or time.monotonic() > end:
            return {name.removeprefix("mlops_lab_monitor_"): float(value) for name, value in found.items()}
        time.sleep(0.02)


@pytest.mark.parametrize(("kind", "harmful"), [("quiet", 0), ("masks", 1)])
def test_metrics_tell_harm_change_accuracy_and_labels(app, log, clothes, halves, kind, harmful):
    sample = halves[1].sample(400)
    fill(log, clothes, (monitor.disturb(sample, kind, 0.8) if harmful else sample).images)
    found = scraped(app, bool)
    of = '{model="clothes",version="v1"}'
    assert found[f"harmful{of}"] == harmful and found[f"predictions{of}"] == 400
    assert found[f"changed{of}"] >= harmful and found[f"labels_needed{of}"] > 50
    assert (found[f"estimated_accuracy{of}"] < found[f"expected_accuracy{of}"] - 0.03) == bool(harmful)


def test_only_a_version_that_answers_and_has_a_reference_is_watched(app, log, clothes, halves):
    fill(log, clothes, halves[1].images[:100], age=2 * verdicts.QUIET_SECONDS)
    collector = verdicts.LogVerdicts(log, ModelStore(MODELS))
    collector.look()
    assert [metric.samples for metric in collector.collect()] == [[]] * len(verdicts.GAUGES)


def test_many_scrapes_look_once(app, log, clothes, halves, monkeypatch):
    fill(log, clothes, halves[1].images[:100])
    first = scraped(app, bool)
    fill(log, clothes, halves[1].images[:50], age=1.0)
    assert scraped(app, lambda found: True) == first
    monkeypatch.setattr(verdicts, "EVERY_SECONDS", 0.0)
    name = 'predictions{model="clothes",version="v1"}'
    assert scraped(app, lambda found: found[f"mlops_lab_monitor_{name}"] == "150.0")[name] == 150


def test_a_log_that_cannot_be_read_has_no_verdict(app, log, clothes, halves, tmp_path, monkeypatch, caplog):
    fill(log, clothes, halves[1].images[:100])
    monkeypatch.setattr(verdicts, "EVERY_SECONDS", 0.0)
    assert scraped(app, bool)
    wait_for_looks()  # one that opens the log just now would make the file again
    for path in tmp_path.glob("predictions.db*"):
        path.unlink()
    assert scraped(app, lambda found: not found) == {}
    assert "no verdict" in caplog.text


def test_the_command_opens_the_log_once(tmp_path, monkeypatch):
    opened = []
    connect = logs.connect
    monkeypatch.setattr(logs, "connect", lambda *given, **more: opened.append(given) or connect(*given, **more))
    with open_log(Settings(models=MODELS, log=str(tmp_path / "predictions.db")), print) as log:
        serve.create_app(MODELS, log=log)
    assert len(opened) == 1
