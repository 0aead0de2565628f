import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import psutil
import pytest
import requests

from mlops_lab.errors import WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.serve import workers
from mlops_lab.serve.command import Settings
from mlops_lab.serve.observability import multiprocess
from mlops_lab.serve.workers import supervise

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows hands no listening socket down")


@contextmanager
def started(models, *more, stderr=None, python=("-m", "mlops_lab")):
    """Run the command with two workers; nothing of it may be left in the end."""
    command = [sys.executable, *python, "serve", "--models", str(models.root), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--workers", "2", *more], stdout=subprocess.PIPE, stderr=stderr or subprocess.PIPE, text=True
    )
    family = []
    try:
        line = process.stdout.readline()
        assert re.fullmatch(r"serving http://127\.0\.0\.1:\d+\n", line), line + (process.communicate()[1] or "")
        family += children(process)
        yield process, int(line.rsplit(":", 1)[1])
        family += children(process) if process.poll() is None else []
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGKILL)
    assert psutil.wait_procs(family, timeout=10)[1] == []


def children(process):
    return psutil.Process(process.pid).children()


def until(check, seconds=15):
    """Wait for something to become true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    return check()


def samples(port, name):
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    found = re.findall(rf'^{name}\{{(.*)worker="(\d)"(.*)\}} (\S+)$', text, re.M)
    return [(worker, before + after, float(value)) for before, worker, after, value in found]


@contextmanager
def load(port, image, clients=4):
    """Send images from a few clients, each over new connections, and count how every request ended."""
    found, ended = Counter(), threading.Event()

    def run():
        while not ended.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
            try:
                connection.connect()
            except OSError:
                found["refused"] += 1
                time.sleep(0.01)
                continue
            try:
                for _ in range(5):
                    connection.request("POST", "/models/digits/v1", image, {"Content-Type": "image/png"})
                    answer = connection.getresponse()
                    answer.read()
                    found[answer.status] += 1
                    if answer.will_close:
                        break
            except (OSError, http.client.HTTPException) as error:
                found[f"lost: {type(error).__name__}"] += 1
            finally:
                connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def image(images):
    return encode_png(images[2])


def test_two_processes_answer_and_count_each_their_own(shared_models, image):
    with started(shared_models) as (process, port):
        pids = {child.pid for child in children(process)}
        assert len(pids) == 2
        with load(port, image) as found:
            assert until(lambda: len({w for w, labels, _ in requests_counted(port)}) == 2)
        assert set(found) == {200}
        counted = sum(value for _, _, value in requests_counted(port))
        assert counted == found[200]
        assert {worker for worker, _, _ in samples(port, "mlops_lab_version_ready")} == {"0", "1"}


def requests_counted(port):
    wanted = 'route="/models/<name>/<version>"'
    return [sample for sample in samples(port, "mlops_lab_requests_total") if wanted in sample[1]]


def test_a_killed_worker_is_replaced_while_the_other_answers(shared_models, image):
    with started(shared_models) as (process, port):
        first = {child.pid for child in children(process)}
        with load(port, image) as found:
            until(lambda: found[200] > 20)
            victim = min(first)
            os.kill(victim, signal.SIGKILL)
            before = found[200]
            assert until(lambda: len({w for w, *_ in samples(port, "mlops_lab_build")}) == 2 and found[200] > before)
            assert until(lambda: {child.pid for child in children(process)} - first)
        after = {child.pid for child in children(process)}
        assert victim not in after and len(after) == 2
        lost = sum(number for word, number in found.items() if str(word).startswith("lost"))
        assert lost <= 4  # at most what each of four clients had in the killed process' hands
        assert set(found) - {200} <= {word for word in found if str(word).startswith("lost")}
        process.terminate()
        errors = process.communicate(timeout=20)[1]
    assert f"process {victim}) ended with -9; another starts in 0.1 s" in errors


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_the_end_loses_no_accepted_request(shared_models, image, name):
    with started(shared_models) as (process, port):
        with load(port, image) as found:
            until(lambda: found[200] > 50)
            process.send_signal(name)
            assert process.wait(20) == 0
        assert set(found) <= {200, "refused"}
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_one_worker_that_is_told_to_end_drains_and_is_replaced(shared_models, image):
    with started(shared_models) as (process, port):
        first = children(process)
        with load(port, image) as found:
            until(lambda: found[200] > 20)
            first[0].terminate()
            assert until(lambda: {child.pid for child in children(process)} - {child.pid for child in first})
            assert until(lambda: len({w for w, *_ in samples(port, "mlops_lab_build")}) == 2)
        assert set(found) == {200}


IMPATIENT = """
from mlops_lab.cli import main
from mlops_lab.serve import workers

workers.STUCK_SECONDS, workers.AFTER_DRAIN_SECONDS = 4.0, 0.5
raise SystemExit(main())
"""


def test_a_stuck_worker_is_replaced(shared_models, image):
    limit = ("--limit", "drain_seconds=0.5")
    with started(shared_models, *limit, python=("-c", IMPATIENT)) as (process, port):
        first = {child.pid for child in children(process)}
        stuck = min(first)
        os.kill(stuck, signal.SIGSTOP)  # it runs no more, but its process is there
        assert until(lambda: stuck not in {child.pid for child in children(process)}, 30)
        assert until(lambda: len({w for w, *_ in samples(port, "mlops_lab_build")}) == 2)
        process.terminate()
        errors = process.communicate(timeout=20)[1]
    assert f"process {stuck}) is stuck; it has 1 s to answer" in errors
    assert f"process {stuck}) ended with -9; another starts in" in errors


def test_a_worker_is_silent_where_its_loop_or_a_call_is_stuck(monkeypatch):
    server = SimpleNamespace(last_tick=time.monotonic())
    overdue = []
    monkeypatch.setattr(workers, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(workers.WATCHDOG, "longest_overdue", lambda: overdue[0] if overdue else 0.0)
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        beating = threading.Thread(target=workers._heartbeat, args=(theirs, server), daemon=True)
        beating.start()
        assert ours.recv(1) == b"."
        overdue.append(workers.STUCK_SECONDS + 1)
        assert falls_silent(ours)
        overdue.clear()
        assert ours.recv(1) == b"."
        server.last_tick -= workers.STUCK_SECONDS + 1
        assert falls_silent(ours)
    server.last_tick = time.monotonic()  # it speaks again, finds that nobody listens, and ends before the patches do
    beating.join(30)
    assert not beating.is_alive()


def falls_silent(channel):
    """Return whether nothing comes any more, once what was sent before has been read."""
    channel.settimeout(0.5)
    try:
        while channel.recv(4096):
            pass
    except TimeoutError:
        return True
    finally:
        channel.settimeout(5)
    return False


def test_workers_do_not_outlive_a_parent_that_was_killed(shared_models):
    with started(shared_models, stderr=subprocess.DEVNULL) as (process, _):
        orphans = children(process)
        process.kill()
        assert psutil.wait_procs(orphans, timeout=10)[1] == []


def test_a_version_published_while_serving_appears_in_every_worker(models, digits_run):
    with started(models) as (_, port):
        models.publish(digits_run, "digits")

        def seen():
            found = samples(port, "mlops_lab_version_ready")
            return {worker for worker, labels, value in found if 'version="v2"' in labels and value == 1}

        assert until(lambda: seen() == {"0", "1"})


def test_a_folder_without_models_is_told_as_by_one_process(tmp_path):
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(tmp_path), "--port", "0", "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There are no models" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [(Settings("models", workers=2, grpc_port=0), "gRPC answers from one process"), (Settings("m", workers=65), "65")],
)
def test_what_cannot_be(settings, words):
    with pytest.raises(WrongUsage, match=words):
        supervise(settings, print, print)


def test_a_worker_that_is_gone_is_left_out_of_the_metrics(tmp_path):
    multiprocess.expose(tmp_path / "0.sock", lambda: b"# TYPE a gauge\na 1.0\n")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "1.sock"))
    text, kind = multiprocess.collect_all(tmp_path)
    assert text.decode().splitlines()[-1] == 'a{worker="0"} 1.0'
    assert kind.startswith("text/plain")
