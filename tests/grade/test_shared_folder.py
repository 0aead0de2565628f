"""The folder that a check and a student's code share follows no link that the code may have made."""

import pytest

from mlops_lab.grade.cases import Failed
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.shared_folder import SharedFolder


@pytest.fixture
def shared(tmp_path):
    return SharedFolder(tmp_path, str(tmp_path), lambda: None)


def test_what_is_put_is_read_until_it_is_removed(shared):
    shared.put("a/b.txt", b"text")
    assert (shared.read("a/b.txt"), shared.files(), shared.files("a")) == (b"text", ["a/b.txt"], ["b.txt"])
    shared.remove("a/b.txt")
    assert (shared.read("a/b.txt"), shared.files()) == (None, [])


def test_no_link_leads_out(shared, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    (shared.folder / "linked").symlink_to(tmp_path / "outside")
    (shared.folder / "file").symlink_to(tmp_path / "outside" / "secret")
    assert (shared.read("linked/secret"), shared.read("file"), shared.files()) == (None, None, [])
    with pytest.raises(Failed):
        shared.put("linked/new", b"x")
    with pytest.raises(Failed):
        shared.remove("linked/secret")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_a_file_that_is_too_large_is_not_read(shared):
    shared.put("large", b"x" * 100)
    assert shared.read("large", limit=99) is None


def test_the_sandbox_sees_the_same_files(tmp_path):
    source = "def double(path, out):\n  with open(path) as file, open(out, 'w') as new: new.write(file.read() * 2)\n"
    with RemoteTarget(tmp_path, [("answers.py", source)]) as target:
        shared = target.shared_folder()
        done = target.call("double", (shared.put("in.txt", b"ab"), shared.path("out.txt")), {})
        assert (done.error, shared.read("out.txt")) == ("", b"abab")
        assert target.until("double", (shared.path("in.txt"), shared.path("other.txt")), 1, None) == "stopped"
        assert shared.read("other.txt") is None
