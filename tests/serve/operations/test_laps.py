import threading

from mlops_lab.serve.operations import laps


def test_laps_add_up_to_the_time_so_far():
    watch = laps.begin()
    for stage in ("decode", "infer", "decode"):
        laps.lap(stage)
    assert list(watch.seconds) == ["decode", "infer"]
    assert abs(sum(watch.seconds.values()) - (watch.last - watch.started)) < 1e-9
    assert watch.elapsed() >= sum(watch.seconds.values())


def test_each_thread_has_its_own():
    mine = laps.begin()
    theirs = []
    thread = threading.Thread(target=lambda: (theirs.append(laps.current()), laps.lap("infer")))
    thread.start()
    thread.join()
    assert theirs == [None]
    assert not mine.seconds
    assert laps.current() is mine


def test_a_stopwatch_that_has_ended_is_forgotten():
    mine = laps.begin()
    assert laps.end() is mine
    assert laps.current() is None
    assert laps.end() is None
