import errno
import os
import time

import pytest

from mlops_lab.errors import StoreError
from mlops_lab.store import disk


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "file.txt"
    disk.write_atomically(path, b"one")
    disk.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "fdopen", "rename", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    if step == "rename":
        monkeypatch.setattr(disk.Path, "replace", full)
    else:
        monkeypatch.setattr(os, step, full)
    with pytest.raises(StoreError, match="No space left") as caught:
        disk.write_atomically(path, b"new")
    monkeypatch.undo()
    assert "Free some space" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        disk.write_atomically(tmp_path / "models" / "file.txt", b"")
    assert "A file is where a folder should be" in caught.value.hint


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
        patch.setattr(disk.Path, "unlink", lambda *_, **__: None)  # whoever is killed does not clean up
        patch.setattr(disk.Path, "replace", full)
        with pytest.raises(StoreError):
            disk.write_atomically(tmp_path / "aliases.json", b"{}")
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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_every_error_of_the_system_becomes_ours(tmp_path, number):
    with pytest.raises(StoreError) as caught, disk.explained(tmp_path):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in caught.value.message
    assert caught.value.hint
