"""``mlops-lab serve --log``: what a real server wrote is read by the other commands, and nothing is lost at its end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import requests

from mlops_lab.image import encode_png
from mlops_lab.monitor import Retention, store_reference
from mlops_lab.monitor import command as room
from mlops_lab.monitor.database import connect
from mlops_lab.monitor.reference import load_reference
from mlops_lab.serve.command import Settings

PNG = {"Content-Type": "image/png"}


@contextmanager
def started(models, log, *more):
    """Run the command; at the end it must drain and end with 0."""
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(models.root), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--log", str(log), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline()
        assert re.fullmatch(r"serving http://127\.0\.0\.1:\d+\n", line), line + (process.communicate()[1] or "")
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.warnings = process.communicate(timeout=30)[1]
    assert process.returncode == 0


def lab(*arguments):
    command = [sys.executable, "-m", "mlops_lab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def stored(path, columns="request_id"):
    database = connect(path)
    try:
        return database.run(f"SELECT {columns} FROM predictions ORDER BY id")
    finally:
        database.close()


def ask(url, images, clients=4):
    """Send each image from one of several clients; return the request ids of the answers."""
    said = []

    def run(part):
        with requests.Session() as session:
            for image in part:
                answer = session.post(f"{url}/models/digits", data=encode_png(image), headers=PNG, timeout=20)
                assert answer.status_code == 200
                said.append(answer.headers["X-Request-Id"])

    threads = [threading.Thread(target=run, args=(images[place::clients],)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


@pytest.fixture
def few_rehearsals(monkeypatch):
    monkeypatch.setattr("mlops_lab.monitor.rehearsal.WINDOWS_OF_A_KIND", 8)
    monkeypatch.setattr("mlops_lab.monitor.rehearsal.QUIET_WINDOWS", 40)


def test_what_a_server_wrote_is_what_the_monitor_reads(models, digits, tmp_path, few_rehearsals):
    path = tmp_path / "predictions.db"
    store_reference(models, "digits", 1, digits.test)
    with started(models, path) as url:
        drawn = np.random.default_rng(0).choice(len(digits.test), 120)
        said = ask(url, digits.test.images[drawn])
        judged = {"request_id": said[0], "label": "3"}
        assert requests.post(f"{url}/models/digits/feedback", json=judged, timeout=20).json()["label"] == "3"
    assert sorted(row[0] for row in stored(path)) == sorted(said)  # ended by SIGTERM, which writes what is left
    assert stored(path, "COUNT(truth), COUNT(image)") == [(1, 0)]
    found = lab("monitor", "drift", "--log", path, "--models", models.root, "--json")
    assert found.returncode == 0, found.stderr
    values = json.loads(found.stdout)
    assert values["predictions"] == 120 and values["harmful"] is False and values["labels_needed"] > 0
    assert set(values["estimate"]) >= {"accuracy", "interval", "trust"} and values["evidence"]


@pytest.mark.skipif(os.name == "nt", reason="Windows hands no listening socket down")
def test_two_workers_write_one_file(shared_models, digits, tmp_path):
    path = tmp_path / "predictions.db"
    with started(shared_models, path, "--workers", "2", "--durable", "--log-images") as url:
        said = ask(url, digits.test.images[:80])
        assert sorted(row[0] for row in stored(path)) == sorted(said)  # durable: before their end
        for place in (0, 40, 79):  # whichever worker is asked
            judged = {"request_id": said[place], "label": "3"}
            assert requests.post(f"{url}/models/digits/feedback", json=judged, timeout=20).status_code == 200
        text = requests.get(f"{url}/metrics", timeout=20).text
        written = re.findall(r'mlops_lab_log_predictions_total\{.*outcome="written".*\} (\S+)', text)
        assert len(written) == 2 and sum(map(float, written)) == 80
    assert stored(path, "COUNT(truth), COUNT(image)") == [(3, 80)]


def test_a_log_that_cannot_be_opened_is_a_warning(shared_models, tmp_path):
    (tmp_path / "file").write_text("")
    warnings = []
    settings = Settings(str(shared_models.root), log=str(tmp_path / "file" / "p.db"))
    with room.open_log(settings, warnings.append) as log:
        assert len(warnings) == 1 and "not logged" in warnings[0]
        assert log.retention == Retention()


def test_summaries_are_kept_where_the_version_has_a_reference(models, digits, tmp_path, few_rehearsals):
    settings = Settings(str(models.root), log=str(tmp_path / "p.db"))
    with room.open_log(settings, print) as log:
        assert log._scales("digits", 1) is None and log._scales("shoes", 1) is None
        store_reference(models, "digits", 1, digits.test)
        assert log._scales("digits", 1).digest == load_reference(models, "digits", 1).scale.digest
