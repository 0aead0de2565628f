import shutil
from pathlib import Path

import pytest

from mlops_lab.deploy import warmup
from mlops_lab.errors import DamagedArtifact, StoreError
from mlops_lab.store import ModelStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clothes(tmp_path):
    shutil.copytree(ROOT / "models" / "clothes", tmp_path / "models" / "clothes")
    return ModelStore(tmp_path / "models")


def test_the_checksum_is_that_of_tfrecord():
    """The bytes that `tf.io.TFRecordWriter` writes for this record."""
    assert warmup.to_records([b"123456789"]).hex() == "0900000000000000" + "37f97139" + b"123456789".hex() + "e5b08ac7"


def test_what_the_manifest_lists_stays_as_it_is(clothes):
    version = clothes.get("clothes", 1)
    before = {path: path.stat().st_mtime_ns for path in version.path.rglob("*") if path.is_file()}
    path = warmup.write_warmup(version)
    assert path == version.path / "assets.extra" / "tf_serving_warmup_requests"
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert version.read().keys() == version.manifest.files.keys()
    assert clothes.load("clothes", 1).probabilities(version.manifest.golden.inputs).shape == (10, 10)


def test_writing_again_changes_nothing(clothes):
    version = clothes.get("clothes", 1)
    first = warmup.write_warmup(version).stat()
    assert warmup.write_warmup(version).stat().st_mtime_ns == first.st_mtime_ns


def test_the_first_alone_and_then_all(clothes):
    one, all_of_them = warmup.read_records(warmup.write_warmup(clothes.get("clothes", 1)).read_bytes())
    pixels = 28 * 28 * 4
    assert pixels < len(one) < pixels + 100
    assert 10 * pixels < len(all_of_them) < 10 * pixels + 100
    assert b"\x0a\x07clothes\x1a\x0fserving_default" in one


def test_no_request_is_larger_than_the_server_takes(clothes, monkeypatch):
    monkeypatch.setattr(warmup, "MAX_EXAMPLES", 1)
    assert len(warmup.requests(clothes.get("clothes", 1).manifest)) == 1


def test_a_folder_that_cannot_be_written(clothes):
    version = clothes.get("clothes", 1)
    (version.path / "assets.extra").write_text("a file in the way")
    with pytest.raises(StoreError, match="assets"):
        warmup.write_warmup(version)


@pytest.mark.parametrize("place", [0, 9, 13, 22, -1])
def test_a_flipped_bit_is_noticed(place):
    content = bytearray(warmup.to_records([b"123456789", b"abc"]))
    content[place] ^= 1
    with pytest.raises(DamagedArtifact, match="does not match its checksum"):
        list(warmup.read_records(bytes(content)))


@pytest.mark.parametrize("length", [1, 11, 20, 24])
def test_a_file_that_was_cut_short_is_noticed(length):
    with pytest.raises(DamagedArtifact):
        list(warmup.read_records(warmup.to_records([b"123456789"])[:length]))


@pytest.mark.tensorflow
def test_tensorflow_writes_the_same_bytes(tmp_path):
    import tensorflow as tf

    records = [b"", b"123456789", bytes(range(256)) * 40]
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for record in records:
            writer.write(record)
    assert (tmp_path / "records").read_bytes() == warmup.to_records(records)
