import errno
import os
import time

import pytest

from mlops_lab import files
from mlops_lab.errors import StoreError
from mlops_lab.store import disk


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_temporary_folder_is_gone_afterwards(tmp_path):
    with disk.temporary_folder(tmp_path / "models") as folder:
        (folder / "file").write_text("")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_temporary_folder_is_gone_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), disk.temporary_folder(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_renamed_folder_stays(tmp_path):
    with disk.temporary_folder(tmp_path) as folder:
        folder.rename(tmp_path / "1")
    assert [item.name for item in tmp_path.iterdir()] == ["1"]


def test_orphans_are_removed_once_they_are_old(tmp_path):
    old, fresh = tmp_path / f"{disk.TEMPORARY}old", tmp_path / f"{disk.TEMPORARY}fresh"
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "model.keras").write_text("half")
    half_a_file, file_in_the_making = tmp_path / f"{disk.TEMPORARY}a", tmp_path / f"{disk.TEMPORARY}b"
    half_a_file.write_text("{")
    file_in_the_making.write_text("{")
    long_ago = time.time() - disk.ORPHAN_SECONDS - 1
    for path in (old, half_a_file):
        os.utime(path, (long_ago, long_ago))
    with disk.temporary_folder(tmp_path):
        pass
    assert set(tmp_path.iterdir()) == {fresh, file_in_the_making}


def test_what_a_killed_writer_of_a_file_leaves_is_an_orphan(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "unlink", lambda *_, **__: None)  # whoever is killed does not clean up
        patch.setattr(files.Path, "replace", full)
        with pytest.raises(StoreError):
            files.write_atomically(tmp_path / "aliases.json", b"{}")
    (left,) = tmp_path.iterdir()
    os.utime(left, (0, 0))
    with disk.temporary_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_every_file_and_folder_is_pushed_to_the_disk(tmp_path, monkeypatch):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_text("x")
    (tmp_path / "model").write_text("x")
    pushed = []
    monkeypatch.setattr(os, "fsync", lambda handle: pushed.append(os.path.realpath(f"/proc/self/fd/{handle}")))
    disk.sync_tree(tmp_path)
    wanted = {tmp_path, tmp_path / "model", tmp_path / "variables", tmp_path / "variables" / "data"}
    assert {os.path.realpath(path) for path in wanted} == set(pushed)
