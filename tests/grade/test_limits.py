"""What plain limits allow, and what they say that they leave open."""

import os
import sys
import threading

import pytest

from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.sandbox import Isolation, Limits, choose, isolation
from mlops_lab.grade.sandbox.tree import threads_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit on processes is set on Linux")
OWN = Isolation("limits", (), ())
ALLOWED = [("", "import resource\nALLOWED = resource.getrlimit(resource.RLIMIT_NPROC)[0]\n")]


@pytest.fixture
def threads():
    """Run 60 threads beside the test."""
    ended = threading.Event()
    started = [threading.Thread(target=ended.wait, daemon=True) for _ in range(60)]
    for one in started:
        one.start()
    yield len(started)
    ended.set()
    for one in started:
        one.join()


def allowed(folder, isolation):
    with RemoteTarget(folder, ALLOWED, isolation=isolation) as target:
        return target.get("ALLOWED")


def test_what_the_graders_own_user_runs_already_is_not_taken_from_the_submission(threads, tmp_path):
    assert threads_of(os.getuid()) > threads
    assert allowed(tmp_path, OWN) > Limits().processes + threads


def test_another_user_has_only_the_limit(threads, tmp_path):
    if choose("limits").uid is None:
        pytest.skip("code runs as another user only for root, with a Python that everybody may read")
    assert allowed(tmp_path, choose("limits")) == Limits().processes == 160


def test_threads_of_other_users_are_not_counted():
    assert threads_of(isolation.FIRST_UID + isolation.UIDS) == 0


@pytest.mark.parametrize("root", [True, False])
def test_plain_limits_say_what_they_leave_open(root, monkeypatch):
    monkeypatch.setattr(isolation, "_is_root", lambda: root)
    monkeypatch.setattr(isolation, "_readable_by_others", lambda path: True)
    said = choose("limits").leaves_open
    assert "writing where everybody may, such as /tmp" in said
    assert ("a process that outlives its check after clearing its environment" in said) == (not root)
    assert ("reading whatever the grader's own user can read" in said) == (not root)
