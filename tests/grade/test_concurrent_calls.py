"""What a server does to a hook: several threads call it, on a full disk if asked."""

import sqlite3
import threading

import numpy as np
import pytest
from flask import request

from mlops_lab.grade import concurrent_calls
from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.wire import decode, encode, prediction_event


class Kept:
    """Keeps what it is called with, where, and for whom."""

    lost = 3

    def __init__(self, path):
        self.path, self.threads, self.seen = path, set(), []
        self.together = threading.Barrier(4)

    def __call__(self, one):
        self.together.wait(60)
        self.threads.add(threading.get_ident())
        self.seen.append((one, request.remote_addr))
        if one == 2:
            raise SystemExit("two")


def test_an_object_is_made_once_and_called_by_several_threads():
    found = Answer(LocalTarget({"Kept": Kept}), ("Kept",)).Kept.call_concurrently("here", given=[0, 1, 2, 3], threads=4)
    made = found["made"]
    assert made.path == "here" and len(made.threads) == 4 and sorted(made.seen)[3] == (3, concurrent_calls.ADDRESS)
    assert [bool(error) for error in found["errors"]] == [False, False, True, False] and found["lost"] == 3
    assert found["errors"][2].startswith("SystemExit: two")


def test_what_cannot_be_made_fails_the_check():
    with pytest.raises(Failed, match="missing 1 required"):
        Answer(LocalTarget({"Kept": Kept}), ("Kept",)).Kept.call_concurrently(given=[])


def test_a_file_is_full_while_the_crowd_is_there_and_not_afterwards(tmp_path):
    def writer(path):
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        database.execute("CREATE TABLE kept (text TEXT)")
        return lambda one: database.execute("INSERT INTO kept VALUES (?)", (one * 1000,))

    found = concurrent_calls.run(writer, [tmp_path / "full.db"], ["x"] * 40, threads=1, pages=6)
    assert found["errors"][0] == "" and "database or disk is full" in found["errors"][-1]
    found = concurrent_calls.run(writer, [tmp_path / "roomy.db"], ["x"] * 40, threads=1)
    assert set(found["errors"]) == {""}


def test_an_answered_request_crosses():
    images, rows = np.zeros((1, 28, 28), np.uint8), np.eye(2, dtype=np.float32)[:1]
    event = decode(encode(prediction_event("id", 5.0, 0.1, images, rows, "clothes", 3, ("a", "b"))))
    assert (event.request_id, event.time, event.predictor.version, event.predictions[0].label) == ("id", 5.0, 3, "a")
    assert event.images.shape == (1, 28, 28)
    for wrong in ([], ["id"], ["id", 0, 0, "images", None, "clothes", 3, []]):
        with pytest.raises(ValueError, match="not a value"):
            decode({"event": encode(wrong)})
