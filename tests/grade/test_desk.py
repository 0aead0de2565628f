"""The folder that a check and a student's code share follows no link that the code may have made."""

import pytest

from mlops_lab.grade.cases import Failed
from mlops_lab.grade.desk import Desk
from mlops_lab.grade.remote import RemoteTarget


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, str(tmp_path), lambda: None)


def test_what_is_put_is_read_until_it_is_removed(desk):
    desk.put("a/b.txt", b"text")
    assert (desk.read("a/b.txt"), desk.files(), desk.files("a")) == (b"text", ["a/b.txt"], ["b.txt"])
    desk.remove("a/b.txt")
    assert (desk.read("a/b.txt"), desk.files()) == (None, [])


def test_no_link_leads_out(desk, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("x")
    (desk.folder / "linked").symlink_to(tmp_path / "outside")
    (desk.folder / "file").symlink_to(tmp_path / "outside" / "secret")
    assert (desk.read("linked/secret"), desk.read("file"), desk.files()) == (None, None, [])
    with pytest.raises(Failed):
        desk.put("linked/new", b"x")
    with pytest.raises(Failed):
        desk.remove("linked/secret")
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]


def test_a_file_that_is_too_large_is_not_read(desk):
    desk.put("large", b"x" * 100)
    assert desk.read("large", limit=99) is None


def test_the_sandbox_sees_the_same_files(tmp_path):
    source = "def double(path, out):\n  with open(path) as file, open(out, 'w') as new: new.write(file.read() * 2)\n"
    with RemoteTarget(tmp_path, [("answers.py", source)]) as target:
        desk = target.desk()
        done = target.call("double", (desk.put("in.txt", b"ab"), desk.path("out.txt")), {})
        assert (done.error, desk.read("out.txt")) == ("", b"abab")
        assert target.until("double", (desk.path("in.txt"), desk.path("other.txt")), 1, None) == "stopped"
        assert desk.read("other.txt") is None
