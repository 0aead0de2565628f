import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from mlops_lab import serve, store
from mlops_lab.errors import StoreError
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.watcher import StoreWatcher
from mlops_lab.store.manifest import ModelManifest

WSGI_SERVERS = {
    "waitress": """
import sys, waitress
from mlops_lab.serve import create_app

server = waitress.create_server(create_app(sys.argv[1]), host="127.0.0.1", port=0)
print(server.effective_port, flush=True)
server.run()
""",
    "one that forks": """
import os, sys
from wsgiref.simple_server import make_server
from mlops_lab.serve import create_app

server = make_server("127.0.0.1", 0, create_app(sys.argv[1]))  # the application is made before the fork
print(server.server_port, flush=True)
if os.fork() == 0:
    server.serve_forever()
os.wait()
""",
}


@pytest.fixture
def folder(tmp_path):
    """A models folder with the shipped digits as version 1."""
    shutil.copytree("models/digits", tmp_path / "digits")
    return tmp_path


def publish_copy(folder, version, *, break_it=False):
    """Publish version 1 again under another number, the way a publisher does: whole, by renaming."""
    source, target = folder / "digits" / "1", folder / "digits" / str(version)
    staging = folder / "digits" / ".publishing-test"
    shutil.copytree(source, staging)
    text = json.loads((staging / "manifest.json").read_text())
    (staging / "manifest.json").write_text(json.dumps({**text, "version": version}))
    if break_it:
        (staging / "model.onnx").write_bytes(b"x" * text["files"]["model.onnx"]["size"])
    staging.rename(target)


def test_a_new_version_is_served_after_a_refresh(folder):
    registry = Registry.of(store.ModelStore(folder))
    assert registry.get("digits").version == 1
    publish_copy(folder, 2)
    assert registry.refresh()
    assert registry.get("digits", "latest").version == 2
    assert registry.get("digits", "production").version == 1


def test_a_refresh_without_a_change_keeps_the_loaded_predictors(folder):
    registry = Registry.of(store.ModelStore(folder))
    before = registry.get("digits", "v1")
    assert not registry.refresh()
    assert registry.get("digits", "v1") is before


def test_promote_and_rollback_move_the_default(folder):
    models = store.ModelStore(folder)
    registry = Registry.of(models)
    publish_copy(folder, 2)
    models.promote("digits", 2)
    registry.refresh()
    assert registry.get("digits").version == 2
    models.rollback("digits")
    registry.refresh()
    assert registry.get("digits").version == 1


def test_a_removed_version_is_gone(folder):
    publish_copy(folder, 2)
    registry = Registry.of(store.ModelStore(folder))
    shutil.rmtree(folder / "digits" / "2")
    assert registry.refresh()
    with pytest.raises(store.models.UnknownVersion):
        registry.get("digits", "v2")


def test_a_bad_artifact_displaces_nothing_and_says_why(folder):
    registry = Registry.of(store.ModelStore(folder))
    publish_copy(folder, 2, break_it=True)
    registry.refresh()
    assert registry.get("digits", "latest").version == 1
    assert registry.entry("digits").states()["v2"].startswith("failed: ")
    assert "SHA-256" in registry.entry("digits").states()["v2"]


def test_a_version_damaged_while_it_is_served_goes_on_from_memory(folder):
    registry = Registry.of(store.ModelStore(folder))
    before = registry.get("digits", "v1")
    manifest = folder / "digits" / "1" / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    registry.refresh()
    assert registry.get("digits", "v1") is before
    assert registry.entry("digits").states()["v1"].startswith("ready; what is on disk now was refused: ")


def test_damaged_aliases_leave_the_known_ones(folder):
    registry = Registry.of(store.ModelStore(folder))
    (folder / "digits" / "aliases.json").write_text("{")
    registry.refresh()
    assert registry.get("digits", "production").version == 1


def test_a_registry_without_a_store_has_nothing_to_refresh():
    assert not Registry().refresh()


def test_the_watch_brings_a_new_version_into_a_running_server(folder):
    with serve.start(folder, name="watched") as server:
        client = serve.Client(server)
        image = np.zeros((8, 8), np.uint8)
        publish_copy(folder, 2)
        deadline = time.monotonic() + 10
        while "v2" not in client.models()[0]["versions"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert client.classify("digits", "latest", image).response["version"] == "v2"


def test_the_watch_survives_a_folder_that_cannot_be_read(folder, monkeypatch):
    registry = Registry.of(store.ModelStore(folder))
    looked = []

    def fail(self):
        looked.append(True)
        raise store.models.StoreError("The folder cannot be read.", "Make it readable.")

    monkeypatch.setattr(store.ModelStore, "names", fail)
    watch = StoreWatcher(registry, seconds=0.01)
    watch.start()
    while len(looked) < 3:
        time.sleep(0.01)
    watch.stop()
    assert registry.get("digits", "v1").version == 1


def test_a_copied_manifest_reads_as_the_new_version(folder):
    publish_copy(folder, 7)
    text = (folder / "digits" / "7" / "manifest.json").read_bytes()
    assert ModelManifest.from_json(text, "7").version == 7


def test_a_store_that_stays_unreadable_is_said_once(folder, monkeypatch, caplog):
    registry, looks = Registry.of(store.ModelStore(folder)), []

    def refuse():
        looks.append("look")
        raise StoreError("The folder cannot be read.")

    monkeypatch.setattr(registry, "refresh", refuse)
    watch = StoreWatcher(registry, seconds=0.001)
    watch.start()
    while len(looks) < 5:
        time.sleep(0.001)
    watch.stop()
    assert caplog.messages == ["The folder cannot be read."]


class Terrible(BaseException):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [SystemExit("in a model's code"), Terrible(), RecursionError(), OSError(24, "files")])
def test_the_watcher_survives_whatever_a_look_raises(folder, monkeypatch, error, caplog):
    registry = Registry.of(store.ModelStore(folder))
    looks = []
    real = registry.refresh

    def refresh():
        looks.append(len(looks))
        if len(looks) < 3:
            raise error
        return real()

    monkeypatch.setattr(registry, "refresh", refresh)
    watcher = StoreWatcher(registry, 0.01)
    watcher.start()
    try:
        until(lambda: looks)
        publish_copy(folder, 2)
        until(lambda: "v2" in registry.listing()[0]["versions"])
        until(lambda: watcher.store_problem() == "")
    finally:
        watcher.stop()
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1  # once, not at every look


def until(check):
    deadline = time.monotonic() + 10
    while not check() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert check()


@pytest.mark.parametrize("keys", [(), ("secret",)])
def test_readyz_says_when_the_watcher_is_stuck(folder, monkeypatch, keys):
    app = serve.create_app(folder, api_keys=keys)
    registry = app.extensions["mlops_lab"].registry
    leave = threading.Event()
    monkeypatch.setattr(registry, "refresh", lambda: leave.wait(30) and False)
    watcher = StoreWatcher(registry, 0.01, stuck_seconds=0.05)
    watcher.start()
    try:
        until(lambda: "store" in app.test_client().get("/readyz").json)
        answer = app.test_client().get("/readyz")
        assert answer.status_code == 200  # what is loaded goes on answering
        assert ("stuck" if not keys else "not seen") in answer.json["store"]
    finally:
        leave.set()
    until(lambda: "store" not in app.test_client().get("/readyz").json)
    watcher.stop()


def test_readyz_says_when_a_look_fails_and_when_the_watcher_is_gone(folder, monkeypatch):
    app = serve.create_app(folder)
    registry = app.extensions["mlops_lab"].registry
    monkeypatch.setattr(registry, "refresh", lambda: 1 // 0)
    watcher = StoreWatcher(registry, 0.01)
    watcher.start()
    until(lambda: "division" in app.test_client().get("/readyz").json.get("store", ""))
    watcher._ended.set()
    watcher._thread.join()
    watcher._ended.clear()
    assert "has ended" in app.test_client().get("/readyz").json["store"]


def test_a_version_that_failed_for_want_of_files_or_memory_is_tried_again(folder, monkeypatch):
    models = store.ModelStore(folder)
    registry = Registry.of(models)
    publish_copy(folder, 2)
    models.promote("digits", 2)
    real, asked = models.load, []

    def load(name, number):
        asked.append(number)
        try:
            raise OSError(errno.EMFILE, "Too many open files")
        except OSError as error:
            raise StoreError("It cannot be read.", "") from error

    monkeypatch.setattr(models, "load", load)
    registry.refresh()
    assert registry.entry("digits").states()["v2"].startswith("failed")
    monkeypatch.setattr(models, "load", real)
    registry.refresh()
    assert registry.get("digits").version == 2
    assert registry.entry("digits").states()["v2"] == "ready"


def test_a_store_that_nobody_serves_any_more_is_not_watched(folder):
    registry = Registry.of(store.ModelStore(folder))
    watcher = StoreWatcher(registry, 0.01)
    watcher.start()
    del registry
    until(lambda: not watcher._thread.is_alive())


def test_a_watcher_that_was_replaced_leaves_the_store_to_the_next_one(folder):
    registry = Registry.of(store.ModelStore(folder))
    first, second = StoreWatcher(registry), StoreWatcher(registry)
    for watcher in (first, second):
        watcher.start()
    first.stop()
    assert registry.watched_in == os.getpid()
    second.stop()
    assert registry.watched_in == 0


def test_an_application_is_watched_once_and_predictors_are_not(folder, bright):
    app = serve.create_app(folder)
    registry = app.extensions["mlops_lab"].registry
    assert registry.watched_in == 0  # a server that forks would lose the thread
    for _ in range(2):
        assert app.test_client().get("/healthz").status_code == 200
        assert registry.watched_in == os.getpid()
    loaded = serve.create_app([bright])
    assert loaded.test_client().get("/healthz").status_code == 200
    assert loaded.extensions["mlops_lab"].registry.watched_in == 0


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_another_wsgi_server_sees_promotions(folder, server):
    """One that answers in the process that made the application, and one that forks after that, as gunicorn may."""
    store.ModelStore(folder).promote("digits", 1)
    command = [sys.executable, "-c", WSGI_SERVERS[server], folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        client = serve.Client(f"http://127.0.0.1:{int(process.stdout.readline())}")
        image = np.zeros((8, 8), np.uint8)

        def served():
            return client.classify("digits", "production", image).response["version"]

        assert served() == "v1"
        publish_copy(folder, 2)
        store.ModelStore(folder).promote("digits", 2)
        until(lambda: served() == "v2")
        store.ModelStore(folder).rollback("digits")
        until(lambda: served() == "v1")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
