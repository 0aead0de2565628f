import errno
import os

import pytest

from mlops_lab import files
from mlops_lab.errors import StoreError


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "new" / "file.txt"
    files.write_atomically(path, b"one")
    files.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "fdopen", "rename", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    if step == "rename":
        monkeypatch.setattr(files.Path, "replace", full)
    else:
        monkeypatch.setattr(os, step, full)
    with pytest.raises(StoreError, match="No space left") as caught:
        files.write_atomically(path, b"new")
    monkeypatch.undo()
    assert "Free some space" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        files.write_atomically(tmp_path / "models" / "file.txt", b"")
    assert "A file is where a folder should be" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_every_error_of_the_system_becomes_ours(tmp_path, number):
    with pytest.raises(StoreError) as caught, files.explained(tmp_path):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in caught.value.message
    assert caught.value.hint
