import errno
import os
import shutil

import pytest

from mlops_lab.errors import DamagedArtifact, StoreError, UnknownModel
from mlops_lab.store import ModelStore
from mlops_lab.store.aliases import move_alias
from mlops_lab.store.reading import read_below
from mlops_lab.store.routing import read_traffic

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")


@pytest.fixture
def foreign(shared_models, tmp_path):
    """A copy of a good store, for somebody to spoil."""
    shutil.copytree(shared_models.root / "digits", tmp_path / "models" / "digits")
    return ModelStore(tmp_path / "models")


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def link(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/hostname")


def endless(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def sparse(path):
    with open(path, "r+b") as file:
        file.truncate(2**40)


SPOILED = {"pipe": pipe, "link": link, "device": endless, "sparse": sparse}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("name", ["model.onnx", "model.skops"])
def test_a_spoiled_file_of_a_version_is_an_error_and_no_hang(foreign, spoil, name):
    spoil(foreign.root / "digits" / "1" / name)
    with pytest.raises(DamagedArtifact, match=name):
        foreign.load("digits", 1)


@pytest.mark.parametrize("spoil", [pipe, link, endless], ids=["pipe", "link", "device"])
def test_a_manifest_that_is_no_regular_file_makes_no_version(foreign, spoil):
    spoil(foreign.root / "digits" / "1" / "manifest.json")
    assert foreign.versions("digits") == []
    with pytest.raises(UnknownModel):
        foreign.get("digits")


def test_a_sparse_manifest_is_refused_by_its_size(foreign):
    sparse(foreign.root / "digits" / "1" / "manifest.json")
    with pytest.raises(DamagedArtifact, match="limit"):
        foreign.get("digits")


@pytest.mark.parametrize("spoil", [pipe, link, endless, sparse], ids=SPOILED)
@pytest.mark.parametrize("name", ["aliases.json", "traffic.json", "history.jsonl"])
def test_the_files_beside_the_versions_are_read_in_the_same_way(foreign, spoil, name):
    (foreign.root / "digits" / name).write_text("{}")
    spoil(foreign.root / "digits" / name)
    reader = {
        "aliases.json": lambda: foreign.aliases("digits"),
        "traffic.json": lambda: read_traffic(foreign.root / "digits"),
        "history.jsonl": lambda: foreign.history("digits"),
    }[name]
    with pytest.raises(StoreError, match=name):
        reader()


def test_folders_behind_links_are_no_models_and_no_versions(foreign, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.move(foreign.root / "digits" / "1", tmp_path / "elsewhere" / "1")
    (foreign.root / "digits" / "1").symlink_to(tmp_path / "elsewhere" / "1")
    (foreign.root / "linked").symlink_to(tmp_path / "elsewhere")
    assert foreign.names() == []


def test_a_store_behind_a_link_that_the_user_named_is_read(foreign, tmp_path):
    (tmp_path / "named").symlink_to(foreign.root)
    assert ModelStore(tmp_path / "named").load("digits").version == 1


def test_a_link_in_the_place_of_the_lock_is_not_emptied(foreign, tmp_path):
    (tmp_path / "precious").write_text("keep me")
    lock = foreign.root / "digits" / ".lock"
    lock.unlink(missing_ok=True)
    lock.symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="not a regular file"):
        move_alias(foreign.root / "digits", "production", 1, event="promoted")
    assert (tmp_path / "precious").read_text() == "keep me"


@pytest.mark.parametrize("name", ["", "../x", "/etc/hostname", "a/../../x"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(OSError) as caught:
        read_below(tmp_path, name, 100)
    assert caught.value.errno == errno.EINVAL


def test_a_link_on_the_way_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_below(tmp_path, "real/file", 1) == b"x"
    with pytest.raises(OSError, match="symbolic link"):
        read_below(tmp_path, "link/file", 1)


def test_no_file_descriptor_is_left_open(foreign):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        foreign.get("digits")
        with pytest.raises(OSError):
            read_below(foreign.root, "digits/9/manifest.json", 100)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before
