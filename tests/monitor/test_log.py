"""The prediction log: each answer once, whatever happens to threads, disks and files; in SQLite and in PostgreSQL."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlops_lab.errors import BadRequest, NotFound, StoreError, UnknownModel, UnknownVersion, WrongUsage
from mlops_lab.monitor import PredictionLog, Retention, observe, schema
from mlops_lab.monitor.database import connect
from mlops_lab.predict import PredictionEvent

BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)


@pytest.fixture(scope="session")
def postgres():
    """The address of a real PostgreSQL server, of this test session alone."""
    pytest.importorskip("psycopg")
    if BIN is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="lab-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # PostgreSQL refuses root
        if user:
            shutil.chown(folder, "postgres")

        def run(*command):
            subprocess.run([*user, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")

        run(BIN / "initdb", "-D", folder / "data", "-U", "lab", "-A", "trust")
        control = (BIN / "pg_ctl", "-D", folder / "data", "-w")
        run(*control, "-o", f"-k {folder} -c listen_addresses=''", "-l", folder / "server.log", "start")
        yield f"postgresql://lab@/postgres?host={folder}"
        run(*control, "-m", "immediate", "stop")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def target(request, tmp_path):
    """A place for a log, which is empty."""
    if request.param == "sqlite":
        return tmp_path / "predictions.db"
    address = request.getfixturevalue("postgres")
    database = connect(address)
    database.run("DROP TABLE IF EXISTS predictions, models, summaries, schema_version")
    database.close()
    return address


@pytest.fixture
def event(bright, images):
    def make(request_id="r", count=1, predictor=bright):
        batch = images[:count]
        return PredictionEvent(request_id, time.time(), predictor, batch, predictor.probabilities(batch), 0.001)

    return make


def stored(target, columns="request_id"):
    database = connect(target)
    try:
        return database.run(f"SELECT {columns} FROM predictions ORDER BY id")
    finally:
        database.close()


def test_every_prediction_is_there_once_with_eight_threads(target, event):
    with PredictionLog(target) as log:
        threads = [
            threading.Thread(target=lambda n=n: [log.append(event(f"{n}-{i}")) for i in range(50)]) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(row[0] for row in stored(target)) == sorted(f"{n}-{i}" for n in range(8) for i in range(50))


def test_what_is_read_is_what_was_answered(target, event, bright, images):
    with PredictionLog(target) as log:
        log.append(event("a", count=5))
        window = log.read("bright")
    assert (window.model, window.version, window.labels) == ("bright", 1, ("dark", "bright"))
    assert window.probabilities.tolist() == bright.probabilities(images).tolist()
    brightness = window.inputs[:, window.statistics.index("brightness")]
    assert brightness == pytest.approx([0, 0.2, 0.4, 0.6, 1.0], abs=1e-6)
    assert window.accuracy is None


def test_classes_without_names_are_told_by_their_numbers(target, event, bright, images):
    nameless = replace(bright, labels=())
    with PredictionLog(target) as log:
        log.append(event("a", count=5, predictor=nameless))
        log.feedback("a", "1", place=4)
        window = log.read("bright")
    assert window.labels == observe(nameless, images).labels == ("0", "1")
    assert window.probabilities.tolist() == bright.probabilities(images).tolist() and window.accuracy == 1.0


class Valued(PredictionEvent):
    """The answer of a model that has no classes."""

    task = "regression"


def test_what_has_no_class_is_logged_without_one(target, bright, images):
    rows = np.array([[3.5], [4.0]], np.float32)
    with PredictionLog(target) as log:
        log.append(Valued("a", time.time(), bright, images[:2], rows, 0.1))
        log.append(Valued("b", time.time(), bright, ["no", "numbers"], rows, 0.1))
        log.flush()
        assert log.status.written == 4
        with pytest.raises(BadRequest, match="no classes"):
            log.feedback("a", "0")
    assert stored(target, "class, confidence") == [(None, None)] * 4


def test_a_retry_is_not_written_twice(target, event):
    with PredictionLog(target) as log:
        for _ in range(3):
            log.append(event("same", count=2))
        log.flush()
        assert (log.status.written, log.status.repeated) == (2, 4)
    assert len(stored(target)) == 2


def test_many_predictions_are_written_once_each_and_in_order(target, event, bright, images):
    batch = np.concatenate([images] * 40)  # more than one statement takes
    rows = bright.probabilities(batch)
    with PredictionLog(target) as log:
        for _ in range(2):
            log.append(PredictionEvent("many", time.time(), bright, batch, rows, 0.001))
        log.append(event("one"))
        log.flush()
        assert (log.status.written, log.status.repeated) == (201, 200)
    assert stored(target, "request_id, place") == [*(("many", place) for place in range(200)), ("one", 0)]


def test_a_durable_append_returns_when_others_can_read_it(target, event):
    log = PredictionLog(target, durable=True, patience=10)
    try:
        assert log.append(event("acknowledged"))
        assert stored(target) == [("acknowledged",)]
    finally:
        log.close()


def test_feedback_is_the_measured_accuracy(target, event):
    with PredictionLog(target) as log:
        log.append(event("a", count=5))  # said: dark, dark, dark, bright, bright
        log.feedback("a", "dark", place=0)
        log.feedback("a", "bright", place=1)
        assert log.read("bright").accuracy == 0.5
        log.feedback("a", "dark", place=1)  # on second thoughts
        assert log.read("bright").accuracy == 1.0


def test_feedback_for_what_is_not_there_is_refused(target, event):
    with PredictionLog(target) as log:
        log.append(event("a"))
        with pytest.raises(NotFound, match="no prediction 'b'"):
            log.feedback("b", "dark")
        with pytest.raises(BadRequest, match=r"no class 'drak'.*Did you mean 'dark'"):
            log.feedback("a", "drak")
        with pytest.raises(UnknownModel):
            log.read("clothes")
        with pytest.raises(UnknownVersion):
            log.read("bright", 7)


def test_no_image_is_stored_unless_asked_and_then_for_some_days(target, event):
    with PredictionLog(target) as log:
        log.append(event("a"))
    assert stored(target, "image") == [(None,)]
    with PredictionLog(target, images=True, retention=Retention(image_days=0)) as log:
        log.append(event("b"))
        log.flush()
        assert bytes(stored(target, "image")[1][0]).startswith(b"\x89PNG")
        log.trim()
    assert stored(target, "request_id, image") == [("a", None), ("b", None)]


def test_what_is_old_goes(target, event):
    with PredictionLog(target, retention=Retention(days=0)) as log:
        log.append(event("a", count=3))
        log.flush()
        assert log.trim() == 3
    assert stored(target) == []


def test_a_log_that_is_too_large_loses_its_oldest_first(target, event):
    with PredictionLog(target, retention=Retention(megabytes=0.08)) as log:
        for place in range(400):
            log.append(event(f"{place}", count=2))
        log.flush()
        gone = log.trim()
    assert 0 < gone < 800
    left = [int(row[0]) for row in stored(target)]
    assert left == sorted(left) and left[-1] == 399 and left[0] > 0


@pytest.mark.parametrize("error", [NotFound("It was removed."), WrongUsage("The reference is of other classes.")])
def test_what_is_written_counts_as_written_where_no_room_can_be_made(target, event, error):
    def gone(model, version):
        raise error

    with PredictionLog(target, durable=True, patience=10, scales=gone) as log:
        log._trimmed -= 601
        assert log.append(event("a", count=3))
        assert (log.status.written, log.status.failed, log.status.error) == (3, 0, "")
    assert len(stored(target)) == 3


@pytest.fixture
def fast_retries(monkeypatch):
    monkeypatch.setattr("mlops_lab.monitor.writer.PAUSES", (0.0,))
    monkeypatch.setattr("mlops_lab.monitor.database.BUSY_SECONDS", 0.05)


@pytest.mark.parametrize("durable", [False, True])
def test_a_locked_file_fails_no_prediction_and_is_counted(tmp_path, event, durable, fast_retries):
    path = tmp_path / "predictions.db"
    with PredictionLog(path, durable=durable) as log:
        log.append(event("before"))
        log.flush()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        assert log.append(event("lost", count=2)) is not durable
        log.flush()
        assert log.status.failed == 2 and "locked" in log.status.error and not log.status.passed
        other.execute("ROLLBACK")
        other.close()
        log.append(event("after"))
        log.flush()
        assert log.status.error == ""
    assert stored(path) == [("before",), ("after",)]


def test_a_full_disk_fails_no_prediction_and_is_counted(tmp_path, event, fast_retries, monkeypatch, caplog):
    def on_a_small_disk(*arguments, **options):
        database = connect(*arguments, **options)
        database.run("PRAGMA max_page_count = 30")  # beyond it, SQLite says what it says on a full disk
        return database

    monkeypatch.setattr("mlops_lab.monitor.log.connect", on_a_small_disk)
    with PredictionLog(tmp_path / "predictions.db") as log:
        assert log.append(event("before"))
        log.flush()
        assert all([log.append(event(f"{place}", count=5)) for place in range(300)])
        log.flush()
        assert "full" in caplog.text and log.status.failed > 0  # the last group may be small enough to fit
        assert log.status.written + log.status.failed == 1501
    assert stored(tmp_path / "predictions.db")[0] == ("before",)


def test_a_folder_that_cannot_be_written_fails_no_prediction(tmp_path, event, fast_retries):
    (tmp_path / "file").write_text("")
    with PredictionLog(tmp_path / "file" / "predictions.db") as log:
        log.append(event())
        log.flush()
        assert log.status.failed == 1 and log.status.error


def test_a_file_that_was_removed_is_made_again(tmp_path, event):
    path = tmp_path / "predictions.db"
    with PredictionLog(path) as log:
        log.append(event("a"))
        log.flush()
        for file in tmp_path.glob("predictions.db*"):
            file.unlink()
        log.append(event("b"))
        log.flush()
        assert stored(path) == [("b",)]
        assert log.read("bright").labels == ("dark", "bright")


def test_a_full_queue_drops_and_counts(tmp_path, event, monkeypatch):
    log = PredictionLog(tmp_path / "predictions.db")
    log._writer._max_items = 0
    assert not log.append(event(count=3))
    assert log.status.dropped == 3
    log.close()


def test_an_event_that_makes_no_sense_ends_nothing(tmp_path, event, bright):
    with PredictionLog(tmp_path / "predictions.db") as log:
        assert not log.append(PredictionEvent("x", 0.0, bright, None, None, 0.0))
        log.append(PredictionEvent("y", 0.0, bright, np.zeros((1, 3)), np.ones(1, np.float32), 0.0))
        log.append(event("good"))
        log.flush()
        assert log.status.failed >= 1 and log.status.dropped == 1
        log.append(event("also good"))
    assert ("also good",) in stored(tmp_path / "predictions.db")


def test_an_older_log_is_migrated_and_keeps_its_predictions(target, event, monkeypatch):
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
    with PredictionLog(target) as log:
        log.append(event("old"))
    monkeypatch.undo()
    with PredictionLog(target) as log:
        log.append(event("new"))
        log.feedback("old", "dark")
        assert len(log.read("bright")) == 2 and log.read("bright").accuracy == 1.0


def test_a_log_of_a_newer_release_is_refused(target, event):
    with PredictionLog(target) as log:
        log.append(event())
    database = connect(target)
    database.run("UPDATE schema_version SET version = 99")
    database.close()
    with pytest.raises(StoreError, match="schema 99"):
        PredictionLog(target).models()


def test_there_is_no_log_before_the_first_prediction(tmp_path):
    with pytest.raises(StoreError, match="no prediction log"):
        PredictionLog(tmp_path / "none.db").models()
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_log_is_explained(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database, but long enough to be looked at" * 10)
    with pytest.raises(StoreError, match="not a database"):
        PredictionLog(tmp_path / "a.db").models()


def test_a_password_is_never_shown():
    assert "secret" not in repr(PredictionLog("postgresql://lab:secret@db/lab")) + str(
        PredictionLog("postgresql://lab:secret@db/lab").status
    )


def test_the_examples_that_people_have_judged(tmp_path, models, digits):
    predictor, images = models.load("digits", 1), digits.test.images[:6]
    with PredictionLog(tmp_path / "log.db", images=True) as log:
        rows = predictor.probabilities(images)
        log.append(PredictionEvent("a", 1.0, predictor, images[:4], rows[:4], 0.0))
        log.append(PredictionEvent("b", 2.0, predictor, images[4:], rows[4:], 0.0))
        assert len(log.examples("digits", 1)) == 0
        for request, place, label in (("b", 1, "7"), ("a", 2, "3"), ("a", 0, "1")):
            log.feedback(request, label, place=place)
        found = log.examples("digits", 1)
        assert np.array_equal(found.images, images[[0, 2, 5]]) and found.labels.tolist() == [1, 3, 7]
        assert log.examples("digits", last=1).labels.tolist() == [7]


def test_a_log_without_images_has_no_examples(tmp_path, models, digits):
    predictor, images = models.load("digits", 1), digits.test.images[:2]
    with PredictionLog(tmp_path / "log.db") as log:
        log.append(PredictionEvent("a", 1.0, predictor, images, predictor.probabilities(images), 0.0))
        log.feedback("a", "1")
        assert len(log.examples("digits")) == 0
