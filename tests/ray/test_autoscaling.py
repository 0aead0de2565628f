"""More replicas while there is more to do than one of them takes, and fewer when it is over."""

import sys

import psutil
import pytest

SERVED = """
import sys
from mlops_lab.deploy.ray_front import Replicas, serve_model
serve_model(sys.argv[1], "digits", Replicas(1, most=3, cpus=0.1, in_flight=2), port=0)
"""


@pytest.fixture
def front(programs, two_versions):
    front = programs("autoscaled", sys.executable, "-c", SERVED, str(two_versions.root))
    front.url = front.printed(r"serving (http://\S+)")
    return front


def test_from_one_replica_to_three_and_back(front, load, questions, wait_for):
    def replicas():
        found = front.descendants("ServeReplica:digits-v1-")
        return sum(1 for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE)

    assert replicas() == 1
    with load(f"{front.url}/models/digits/v1", questions, clients=8) as clients:
        wait_for("three replicas", lambda: replicas() == 3)
        clients.more()
    wait_for("one replica", lambda: replicas() == 1)
    with load(f"{front.url}/models/digits/v1", questions, clients=1) as after:
        after.more(20)
    assert not clients.wrong and not after.wrong, (clients.wrong + after.wrong)[:3]
