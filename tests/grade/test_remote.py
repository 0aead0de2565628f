"""Functions in the sandbox look to a check like functions of its own process."""

import threading

import numpy as np
import pytest

from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.running import Settings, run_exercise

SOURCE = """
import numpy as np
import random

STAGE = {"build": ("data", 1), 2: [None, True, 1.5]}

def double(x):
    return x + x

def in_place(images):
    images /= 2
    return images

def seeds(x):
    np.random.seed(3)

def asks(action, n):
    return [action(i) for i in range(n)] + [action(value=7)]

def survives(action):
    try:
        action()
    except KeyboardInterrupt:
        return "interrupted"

def boom():
    raise ValueError("no")

class Recorder:
    def __init__(self, start):
        self.kept = [start]
    def note(self, x):
        self.kept.append(x)
        return len(self.kept)
    def all(self):
        return self.kept

def draws():
    return float(np.random.default_rng(0).random())

def asks_at_once(action, n):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(action, range(n)))

def leaves_a_thread(action):
    import threading, time
    def later():
        try:
            time.sleep(0.3)
            action("too late")
        except BaseException as error:
            caught.append(type(error).__name__)
    threading.Thread(target=later, daemon=True).start()

caught = []

def waits(action):
    import time
    deadline = time.monotonic() + 20
    while not caught and time.monotonic() < deadline:
        action("now")
        time.sleep(0.02)
    return list(caught)

def opens(url, data):
    from urllib.request import Request, urlopen
    with urlopen(Request(url + "/a?b", data=data), timeout=10) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read()

def passes_on(action):
    images = np.ones(3)
    action(images)
    return images

def writes_on(action):
    images = action()
    try:
        images[0] = 1
    except ValueError:
        return "cannot be written"
    return "written"

def leaves():
    import os
    os._exit(0)

def loops():
    while True:
        pass
"""


@pytest.fixture(scope="module")
def namespace():
    values = {}
    exec(compile(SOURCE, "answers.py", "exec"), values)
    return values


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    with RemoteTarget(tmp_path_factory.mktemp("s"), [("answers.py", SOURCE)]) as target:
        yield target


@pytest.fixture(params=["here", "sandbox"])
def answer(request, namespace, remote):
    return Answer(LocalTarget(namespace) if request.param == "here" else remote, ("double",))


@pytest.mark.parametrize("value", [3, 2.5, "a", [1, None], (1, 2), b"x", float("inf"), 2**80, np.float32(1.5)])
def test_plain_values_cross(answer, value):
    got = answer.double(value)
    assert got == value + value and type(got) is type(value + value)


def test_arrays_cross_with_their_type(answer):
    images = np.arange(12, dtype=np.uint8).reshape(3, 4)
    got = answer.double(images)
    assert got.dtype == np.uint8 and (got == images + images).all()


def test_a_plain_value_is_read(answer):
    assert answer.value("STAGE") == {"build": ("data", 1), 2: [None, True, 1.5]}


def test_a_changed_argument_is_seen_and_is_changed_here(answer):
    images = np.ones((2, 2))
    done = answer.in_place.call(images)
    assert done.changed == (0,) and (images == 0.5).all()


def test_a_touched_random_state_is_seen(answer):
    assert answer.seeds.call(1).random_changed
    assert not answer.double.call(1).random_changed


def test_a_generator_of_ones_own_touches_nothing(tmp_path):
    with RemoteTarget(tmp_path, [("answers.py", SOURCE)]) as target:  # NumPy loads its random numbers just then
        assert not target.call("draws", (), {}).random_changed


def test_functions_of_the_check_are_called_back(answer):
    seen = []

    def action(place=None, value=None):
        seen.append((place, value))
        return place or value

    assert answer.asks(action, 2) == [None, 1, 7]
    assert seen == [(0, None), (1, None), (None, 7)]


def test_what_a_function_of_the_check_changes_is_changed_for_the_student(answer):
    def action(images):
        images *= 3

    assert answer.passes_on(action).tolist() == [3, 3, 3]


@pytest.mark.parametrize(("writeable", "said"), [(True, "written"), (False, "cannot be written")])
def test_an_array_that_cannot_be_written_crosses_as_one(answer, writeable, said):
    def action():
        images = np.zeros(3)
        images.flags.writeable = writeable
        return images

    assert answer.writes_on(action) == said


def test_several_threads_call_back_at_the_same_time(answer):
    meeting = threading.Barrier(8, timeout=20)

    def action(place):
        meeting.wait()
        return place * place

    assert answer.asks_at_once(action, 8) == [place * place for place in range(8)]


def test_a_thread_of_an_earlier_call_does_not_reach_what_a_later_one_was_given(remote):
    answer = Answer(remote, ())
    answer.leaves_a_thread(lambda word: None)
    seen = set()
    assert answer.waits(seen.add) == ["KeyError"]
    assert seen == {"now"}


def test_a_server_that_the_check_plays_is_found(answer):
    seen = []

    def respond(asked):
        seen.append(asked)
        return None if asked.body == b"away" else (201, "text/plain", asked.body[::-1])

    with answer.target.mock_server(respond) as url:
        assert answer.opens(url, None) == (201, "text/plain", b"")
        assert answer.opens(url, b"abc") == (201, "text/plain", b"cba")
        assert answer.opens.call(url, b"away").kind in ("RemoteDisconnected", "ConnectionResetError", "URLError")
    assert [(one.method, one.path) for one in seen] == [("GET", "/a"), ("POST", "/a"), ("POST", "/a")]


def test_a_world_may_interrupt(answer):
    def action():
        raise KeyboardInterrupt

    assert answer.survives(action) == "interrupted"


def test_objects_stay_and_their_methods_are_called(answer):
    recorder = answer.Recorder("first")
    assert recorder.note("second") == 2
    assert recorder.all() == ["first", "second"]


def test_what_it_raises_is_told(answer):
    done = answer.boom.call()
    assert (done.kind, done.error.split(" (")[0]) == ("ValueError", "ValueError: no")
    with pytest.raises(Failed, match="boom raised ValueError: no"):
        answer.boom()


def test_what_is_not_there_is_said(answer):
    with pytest.raises(Failed, match="There is no missing"):
        answer.missing(1)


def test_a_process_that_ended_is_started_again(remote):
    with pytest.raises(Failed, match="gave no result"):
        remote.call("leaves", (), {})
    assert remote.call("double", (2,), {}).value == 4


def test_a_time_limit_ends_the_process_and_not_the_exercise(double, tmp_path):
    source = "def double(x):\n    while x == 10: pass\n    return x + x\n"
    with RemoteTarget(tmp_path, [("answers.py", source)]) as target:
        result = run_exercise(double, Answer(target, ("double",)), Settings(stop=target.kill))
    assert [part.state for part in result.parts] == ["passed", "timeout", "blocked"]
