"""The writer's thread: groups, order, and what happens when writing fails."""

import threading
import time

import pytest

from mlops_lab.monitor.writer import GroupWriter, Receipt


def make(write, **options):
    settings = {"max_items": 1000, "max_bytes": 1 << 20, "linger": 0.0}
    return GroupWriter(write, (OSError,), **{**settings, **options})


def put(writer, item, rows=1, size=1, patience=5.0):
    receipt = Receipt(writer, rows, patience)
    writer.put(item, rows, size, receipt)
    return receipt


def test_what_comes_together_is_written_together_and_in_order():
    groups = []
    writer = make(lambda group: (groups.append(group), (len(group), 0))[1], linger=0.2)
    receipts = [put(writer, number) for number in range(50)]
    assert writer.flush()
    assert [number for group in groups for number in group] == list(range(50))
    assert len(groups) < 5 and all(receipt.wait() for receipt in receipts)
    writer.close()


def test_a_group_waits_for_as_many_as_the_last_one_had():
    groups, go_on = [], threading.Event()

    def write(group):
        go_on.wait(20)
        groups.append(len(group))
        return len(group), 0

    writer = make(write, linger=20.0, regular=True)
    first = put(writer, "alone")
    while writer.queued and not writer._in_hand:
        time.sleep(0.001)
    together = [put(writer, number) for number in range(10)]
    go_on.set()
    assert all(receipt.wait() for receipt in (first, *together))
    again = [put(writer, number) for number in range(10)]  # without the tenth, they would wait for 20 seconds
    assert all(receipt.wait() for receipt in again) and groups == [1, 10, 10]
    writer.close()


def test_a_group_that_fails_once_is_tried_again(monkeypatch):
    monkeypatch.setattr("mlops_lab.monitor.writer.PAUSES", (0.0, 0.0))
    attempts = []

    def write(group):
        attempts.append(group)
        if len(attempts) < 3:
            raise OSError("disk full")
        return len(group), 0

    writer = make(write)
    assert not put(writer, "a").wait()  # whoever waits is told at the first failure
    assert writer.flush()
    assert len(attempts) == 3 and writer.counts.error == "" and (writer.counts.written, writer.counts.late) == (1, 1)
    assert put(writer, "b").wait()
    writer.close()


def test_a_group_that_always_fails_is_given_up_and_the_next_at_once(monkeypatch):
    monkeypatch.setattr("mlops_lab.monitor.writer.PAUSES", (0.0,))
    attempts = []

    def write(group):
        attempts.append(group)
        raise OSError("disk full")

    writer = make(write)
    for item, rows in (("a", 2), ("b", 3)):
        assert writer.put(item, rows, 1) and writer.flush()
    assert len(attempts) == 3  # twice, then once: the disk was known to be full
    assert writer.counts.failed == 5 and "disk full" in writer.counts.error
    writer.close()


def test_one_that_makes_no_sense_takes_no_other_with_it():
    def write(group):
        if "nonsense" in group:
            raise KeyError("nonsense")
        return len(group), 0

    writer = make(write, linger=0.2)
    receipts = [put(writer, item) for item in ("a", "nonsense", "b")]
    assert [receipt.wait() for receipt in receipts] == [True, False, True]
    assert (writer.counts.written, writer.counts.failed) == (2, 1)
    writer.close()


@pytest.mark.parametrize("limit", [{"max_items": 2}, {"max_bytes": 20}])
def test_a_full_queue_takes_no_more(limit):
    go_on = threading.Event()
    writer = make(lambda group: (go_on.wait(5), (len(group), 0))[1], **limit)
    try:
        taken = [writer.put(number, 1, 10) for number in range(20)]
        assert 15 < writer.counts.dropped < 20
        assert taken.count(False) == writer.counts.dropped
    finally:
        go_on.set()
        writer.close()


def test_closing_writes_what_is_left_and_takes_no_more():
    written = []
    writer = make(lambda group: (written.extend(group), (len(group), 0))[1], linger=5.0)
    for number in range(10):
        writer.put(number, 1, 1)
    writer.close()
    assert written == list(range(10)) and writer.queued == 0
    assert not writer.put(11, 1, 1) and not put(writer, 12).wait()
