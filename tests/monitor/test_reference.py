"""What is kept beside a version: held-out data, never training data, and a file that runs nothing."""

import numpy as np
import pytest

from mlops_lab import data, monitor
from mlops_lab.data import Split
from mlops_lab.errors import DamagedArtifact, NotFound, StoreError, WrongUsage
from mlops_lab.monitor import reference as room
from mlops_lab.monitor import rehearsal


@pytest.fixture
def few_rehearsals(monkeypatch):
    monkeypatch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 3)
    monkeypatch.setattr(rehearsal, "QUIET_WINDOWS", 20)


def test_a_reference_comes_back_as_it_was(reference, clothes, halves):
    again = room.from_bytes(room.to_bytes(reference))
    assert again.scale.digest == reference.scale.digest
    assert again.accuracy == reference.accuracy
    window = monitor.observe(clothes, halves[1].images[:100])
    assert (
        monitor.compare(again, window).to_dict()["evidence"] == monitor.compare(reference, window).to_dict()["evidence"]
    )


def test_it_is_stored_beside_the_version_and_found_there(models, few_rehearsals):
    with pytest.raises(NotFound, match="no reference"):
        monitor.load_reference(models, "digits")
    made = monitor.find_reference(models, "digits")
    assert (models.get("digits").path / "evidence" / "reference.npz").is_file()
    assert monitor.load_reference(models, "digits").scale.digest == made.scale.digest
    assert models.load("digits").version == 1  # the version itself is as it was


def test_a_reference_learns_once_until_its_file_changes(models, few_rehearsals, monkeypatch):
    monitor.store_reference(models, "digits")
    learned, learn = [], room.learn
    monkeypatch.setattr(room, "learn", lambda *given: learned.append(1) or learn(*given))
    looks = [monitor.load_reference(models, "digits").estimator for _ in range(3)]
    assert len(learned) == 1 and looks[0] is looks[2]
    again = room.make_reference(models.load("digits"), data.load("digits").test, seed=1)
    (models.get("digits").path / room.FILE).write_bytes(room.to_bytes(again))
    assert monitor.load_reference(models, "digits").estimator is not looks[0]
    (models.get("digits").path / room.FILE).unlink()
    with pytest.raises(NotFound, match="no reference"):
        monitor.load_reference(models, "digits")


def test_training_data_is_refused(models, digits, few_rehearsals):
    predictor = models.load("digits")
    with pytest.raises(WrongUsage, match="from its training"):
        monitor.make_reference(predictor, digits.train, published=0.9)
    monitor.make_reference(predictor, digits.test, published=0.97)


def test_too_little_is_refused(clothes, halves):
    few = Split(halves[0].images[:50], halves[0].labels[:50])
    with pytest.raises(WrongUsage, match="at least 200"):
        monitor.make_reference(clothes, few)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x80\x04pickle"])
def test_a_damaged_file_is_explained(content):
    with pytest.raises(DamagedArtifact, match="is no reference"):
        room.from_bytes(content)


def test_a_pickle_inside_is_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", about=np.array([{"format": 1}], dtype=object))
    with pytest.raises(DamagedArtifact):
        room.from_bytes((tmp_path / "a.npz").read_bytes())


def test_a_damaged_reference_is_made_again(models, few_rehearsals):
    monitor.find_reference(models, "digits")
    path = models.get("digits").path / "evidence" / "reference.npz"
    path.write_bytes(b"broken")
    with pytest.raises(DamagedArtifact):
        monitor.load_reference(models, "digits")
    assert monitor.find_reference(models, "digits").accuracy > 0.9


def test_in_a_folder_that_is_only_read_a_reference_is_made_once(models, few_rehearsals, monkeypatch):
    made, make = [], room.make_reference

    def refuse(path, content):
        raise StoreError("The folder cannot be written.")

    monkeypatch.setattr(room, "write_atomically", refuse)
    monkeypatch.setattr(room, "make_reference", lambda *given, **named: made.append(make(*given, **named)) or made[-1])
    assert monitor.find_reference(models, "digits") is made[0]
    assert len(made) == 1
    with pytest.raises(StoreError, match="cannot be written"):
        monitor.store_reference(models, "digits")


def test_a_model_of_unknown_data_needs_a_split(models, few_rehearsals, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: (_ for _ in ()).throw(NotFound("no such data set")))
    with pytest.raises(WrongUsage, match="Pass held-out data"):
        monitor.find_reference(models, "digits")


def test_publishing_keeps_what_the_version_does_on_held_out_data(models, digits, digits_run):
    version = models.publish(digits_run, "digits")
    kept = monitor.load_reference(models, "digits", version.version)
    assert (kept.model, kept.version, kept.summary.count) == ("digits", version.version, len(digits.test))
    assert kept.accuracy == pytest.approx(version.manifest.metrics["test_accuracy"])
    assert room.FILE not in version.manifest.files and version.read()  # the monitor adds to it, so it is not hashed
    window = monitor.observe(models.load("digits", version.version), digits.test.images, digits.test.labels)
    assert not monitor.compare(kept, window).changed


def test_what_was_published_is_completed_on_its_own_bins(models, digits_run, few_rehearsals):
    models.publish(digits_run, "digits")
    plain = monitor.load_reference(models, "digits")
    assert plain.rehearsals is None and plain.estimator is None
    whole = monitor.find_reference(models, "digits")
    assert whole.scale.digest == plain.scale.digest and whole.estimator is not None
    assert monitor.load_reference(models, "digits").rehearsals is not None


def test_without_its_data_a_published_reference_stays_as_it_is(models, digits_run, monkeypatch):
    models.publish(digits_run, "digits")
    monkeypatch.setattr(data, "load", lambda name: (_ for _ in ()).throw(NotFound("no such data set")))
    assert monitor.find_reference(models, "digits").rehearsals is None
