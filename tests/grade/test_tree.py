"""The copy of a submission, while its code may still be changing it."""

import os

from mlops_lab.grade.sandbox import tree


def test_a_folder_that_becomes_a_link_while_it_is_given_away_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "copy" / "inner").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for name in ("copy/inner/file", "outside/file"):
        (tmp_path / name).write_text("x")
    real, given = os.chown, []

    def chown(path, *ids, **options):
        where = os.fstat(path) if isinstance(path, int) else os.stat(path, **options)
        given.append(where.st_ino)
        inner = tmp_path / "copy" / "inner"
        if where.st_ino == inner.lstat().st_ino:  # the submission's code, still running, is quicker than its owner
            inner.rename(tmp_path / "copy" / "was")
            inner.symlink_to(tmp_path / "outside")
        return real(path, os.getuid(), os.getgid(), **options)

    monkeypatch.setattr(os, "chown", chown)
    tree.owned(tmp_path / "copy", 1)
    assert (tmp_path / "copy" / "inner").is_symlink()
    assert (tmp_path / "outside" / "file").stat().st_ino not in given
