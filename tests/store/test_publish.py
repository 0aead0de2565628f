import dataclasses
import errno
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mlops_lab.errors import DamagedArtifact, StoreError, VersionExists, WrongUsage
from mlops_lab.store import ModelStore, aliases, disk, verification


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "history.jsonl")


def test_a_version_folder_is_what_the_design_says(models):
    folder = models.root / "digits/1"
    assert left(folder) == ["README.md", "golden.npz", "manifest.json", "model.onnx", "model.skops"]
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert files.keys() == {"golden.npz", "model.onnx", "model.skops"}
    assert "digits v1" in (folder / "README.md").read_text()
    assert folder.stat().st_mode & 0o777 == 0o755


def test_versions_count_up_and_no_number_is_used_twice(models, digits_run):
    assert models.publish(digits_run, "digits").version == 2
    shutil.rmtree(models.root / "digits/1")
    (models.root / "digits/7").mkdir()
    assert models.publish(digits_run, "digits").version == 8


def test_a_number_of_one_s_own(models, digits_run):
    assert models.publish(digits_run, "digits", version=40, description="the fortieth").version == 40
    assert models.get("digits").manifest.description == "the fortieth"


def test_after_the_last_number_none_is_published_that_nobody_sees(models, digits_run):
    (models.root / "digits" / "999999").mkdir()
    before = models.versions("digits")
    with pytest.raises(StoreError, match="used its last version, 999999"):
        models.publish(digits_run, "digits")
    assert models.versions("digits") == before


@pytest.mark.parametrize("version", [0, -1, 1_000_000, "2", True, 1.5])
def test_a_number_that_is_none(models, digits_run, version):
    with pytest.raises(WrongUsage, match="cannot be a version"):
        models.publish(digits_run, "digits", version=version)


@pytest.mark.parametrize("name", ["", "Digits", "../x", "a/b", "x" * 65])
def test_a_name_that_is_none(models, digits_run, name):
    with pytest.raises(WrongUsage):
        models.publish(digits_run, name)


def test_a_published_version_never_changes(models, digits_run):
    before = {path.name: path.read_bytes() for path in (models.root / "digits/1").iterdir()}
    with pytest.raises(VersionExists, match="digits v1 is published already"):
        models.publish(digits_run, "digits", version=1)
    assert {path.name: path.read_bytes() for path in (models.root / "digits/1").iterdir()} == before
    assert left(models.root / "digits") == ["1"]


def test_a_folder_that_is_no_version_is_not_overwritten_either(models, digits_run):
    (models.root / "digits/5").mkdir()
    (models.root / "digits/5/notes.txt").write_text("mine")
    with pytest.raises(VersionExists):
        models.publish(digits_run, "digits", version=5)
    assert (models.root / "digits/5/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("step", ["rename", "fsync", "write_text", "write_bytes", "mkdtemp", "mkdir"])
def test_a_full_disk_leaves_nothing_that_a_reader_sees(models, digits_run, monkeypatch, step):
    places = {"rename": os, "fsync": os, "mkdtemp": disk.tempfile}
    target = places.get(step, Path)
    name = "new" if step == "mkdir" else "digits"
    with monkeypatch.context() as patch:
        patch.setattr(target, step, full)
        with pytest.raises(StoreError, match="No space left") as caught:
            models.publish(digits_run, name)
    assert "Free some space" in caught.value.hint
    assert models.versions("digits") == [1]
    assert left(models.root / "digits") == ["1"]
    assert models.publish(digits_run, "digits").version == 2


@pytest.mark.parametrize("calls", range(1, 7))
def test_a_disk_that_fills_at_any_fsync_leaves_a_whole_version_or_none(models, digits_run, monkeypatch, calls):
    done = []

    def fills_up(handle):
        done.append(handle)
        if len(done) >= calls:
            full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fills_up)
        with pytest.raises(StoreError):
            models.publish(digits_run, "digits")
    assert len(done) == calls
    versions = models.versions("digits")
    assert [models.load("digits", version).version for version in versions] == versions
    assert left(models.root / "digits") == [str(version) for version in versions]


def test_a_disk_that_fills_after_the_rename_does_not_undo_the_version(models, digits_run, monkeypatch):
    monkeypatch.setattr(aliases, "append_history", lambda *_, **__: full())
    assert models.publish(digits_run, "digits").version == 2
    assert models.load("digits", 2).version == 2


def test_the_manifest_is_written_last(models, digits_run, monkeypatch):
    seen = []
    write_text = Path.write_text

    def noted(path, *arguments, **options):
        seen.append((path.name, sorted(item.name for item in path.parent.iterdir())))
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", noted)
    models.publish(digits_run, "digits")
    assert seen[-1] == ("manifest.json", ["README.md", "evidence", "golden.npz", "model.onnx", "model.skops"])


def test_a_model_folder_that_is_a_file(tmp_path, digits_run):
    (tmp_path / "models").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        ModelStore(tmp_path / "models").publish(digits_run, "digits")
    assert "A file is where a folder should be" in caught.value.hint


def test_a_folder_without_permission(tmp_path, digits_run, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(disk.tempfile, "mkdtemp", refuse)
    with pytest.raises(StoreError, match="Permission denied") as caught:
        ModelStore(tmp_path / "models").publish(digits_run, "digits")
    assert "writable" in caught.value.hint


def test_an_export_that_answers_differently_is_not_published(models, digits_run, monkeypatch):
    load = verification.engines.load

    class Off:
        def __init__(self, engine):
            self.engine = engine

        def predict(self, inputs):
            return self.engine.predict(inputs) + np.float32(1e-4)

    monkeypatch.setattr(verification.engines, "load", lambda name, files: Off(load(name, files)))
    with pytest.raises(DamagedArtifact, match="does not answer as the golden examples"):
        models.publish(digits_run, "digits")
    assert left(models.root / "digits") == ["1"]


def test_a_framework_that_nobody_exports(models, digits_run):
    with pytest.raises(WrongUsage, match="'prolog' model cannot be published"):
        models.publish(dataclasses.replace(digits_run, framework="prolog"), "digits")


def test_threads_publish_a_version_each(models, digits_run):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: models.publish(digits_run, "digits").version, range(8)))
    assert sorted(found) == list(range(2, 10)) == models.versions("digits")[1:]
    assert [models.load("digits", version).version for version in found] == found
    assert len(models.history("digits")) == 9


def test_of_threads_that_want_the_same_number_one_wins(models, digits_run):
    def attempt(_):
        try:
            return models.publish(digits_run, "digits", version=5).version
        except VersionExists:
            return None

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(attempt, range(4)))
    assert sorted(found, key=str) == [5, None, None, None]
    assert models.load("digits", 5).version == 5


def _publish_in_process(arguments):
    root, run = arguments
    return [ModelStore(root).publish(run, "digits").version for _ in range(2)]


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_processes_publish_a_version_each(models, digits_run):
    with get_context("fork").Pool(2) as pool:
        found = pool.map(_publish_in_process, [(models.root, digits_run)] * 2, chunksize=1)
    assert sorted(number for part in found for number in part) == [2, 3, 4, 5] == models.versions("digits")[1:]


def test_what_killed_publishers_left_is_collected(models, digits_run):
    orphan = models.root / "digits" / f"{disk.TEMPORARY}dead"
    orphan.mkdir()
    os.utime(orphan, (0, 0))
    assert models.versions("digits") == [1]
    models.publish(digits_run, "digits")
    assert left(models.root / "digits") == ["1", "2"]
