"""Served by Ray: what happens to requests where replicas and machines die, and versions change."""

import shutil
import sys

import numpy as np
import requests


def test_it_answers_as_the_model_does(cluster, questions):
    expected = cluster.models.load("digits", 1)
    assert requests.get(f"{cluster.url}/models/digits/v1", timeout=60).json()["version"] == "v1"
    for body, digit in questions[:10]:
        found = requests.post(
            f"{cluster.url}/models/digits", data=body, headers={"Content-Type": "image/png"}, timeout=60
        )
        assert found.json()["predictions"][0]["label"] == expected.labels[digit]
    assert len(cluster.replicas(cluster.head, 1)) == len(cluster.replicas(cluster.node, 1)) == 1


def test_ray_refuses_who_has_no_token(cluster):
    program = f"import ray\nray.init({cluster.address!r})\nprint('let in', flush=True)"
    for mode in ("disabled", "token"):
        stranger = cluster.start(mode, sys.executable, "-c", program, RAY_AUTH_MODE=mode, RAY_AUTH_TOKEN="guessed")
        stranger.printed("(InvalidAuthToken)")
        stranger.stop()
        assert "let in" not in stranger.log.read_text()
    assert (cluster.folder / "token").stat().st_mode & 0o077 == 0


def test_no_request_is_lost_to_a_promotion_a_rollback_or_a_death(cluster, load, questions):
    with load(f"{cluster.url}/models/digits", questions) as clients:
        clients.more()
        cluster.models.promote("digits", 2)
        clients.answered_by("v2")
        clients.more()
        cluster.models.rollback("digits")
        clients.answered_by("v1")
        clients.more()
        (replica,) = cluster.replicas(cluster.head, 1)
        replica.kill()
        clients.more(200)
        cluster.wait_for_replicas(1, 2)
        (raylet,) = cluster.node.descendants("raylet/raylet")
        raylet.kill()
        clients.more(400)
    p50, p99, worst = np.quantile(clients.milliseconds, (0.5, 0.99, 1))
    answered = f"{len(clients.milliseconds):,} requests, {len(clients.wrong)} failed or mislabelled"
    print(f"{answered}; p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms")
    assert not clients.wrong, clients.wrong[:3]
    assert set(clients.versions) == {"v1", "v2"}


def test_a_version_that_is_removed_leaves_the_cluster(cluster, wait_for):
    assert cluster.replicas(cluster.head, 2)
    shutil.rmtree(cluster.models.root / "digits" / "2")
    wait_for("the end of v2's replica", lambda: not cluster.replicas(cluster.head, 2))
    assert cluster.replicas(cluster.head, 1)


def test_it_ends_when_it_is_told_to(cluster):
    assert cluster.front.stop() == 0
