import shutil

import pytest

from mlops_lab.errors import DamagedArtifact, StoreError, UnknownModel, UnknownVersion, WrongUsage
from mlops_lab.store import ModelStore


@pytest.fixture
def three(publish_up_to):
    return publish_up_to(3)


def test_what_there_is(three):
    assert three.names() == ["digits"]
    assert three.versions("digits") == [1, 2, 3]
    assert three.aliases("digits") == {}


def test_nothing_at_all(tmp_path):
    store = ModelStore(tmp_path / "nowhere")
    assert store.names() == []
    assert store.versions("digits") == []
    with pytest.raises(UnknownModel, match="There are none yet"):
        store.get("digits")
    assert not (tmp_path / "nowhere").exists()


def test_folders_that_are_no_versions(three):
    for name in ("04", "0", "v5", "99999999", ".publishing-x", "notes"):
        shutil.copytree(three.root / "digits/1", three.root / "digits" / name)
    (three.root / "digits/7").mkdir()
    (three.root / "README.md").write_text("")
    (three.root / "empty").mkdir()
    assert three.versions("digits") == [1, 2, 3]
    assert three.names() == ["digits"]


@pytest.mark.parametrize(("word", "number"), [(1, 1), ("1", 1), ("v2", 2), ("latest", 3), ("production", 2)])
def test_every_word_for_a_version(three, word, number):
    three.promote("digits", 2)
    assert three.resolve("digits", word) == number
    assert three.get("digits", word).version == number


@pytest.mark.parametrize("word", [0, 4, -1, "v4", "v0", "v01", "v1e3", "staging", "", "v²", "../1", "v9999999"])
def test_a_version_that_is_not_there(three, word):
    with pytest.raises(UnknownVersion, match="'v1', 'v2', 'v3'"):
        three.resolve("digits", word)


def test_an_alias_of_a_version_that_is_gone_says_so(three):
    (three.root / "digits" / "aliases.json").write_text('{"production": 7}')
    with pytest.raises(UnknownVersion, match="points at v7, which is not there") as caught:
        three.resolve("digits", "production")
    assert "'production'" not in caught.value.hint


def test_damaged_aliases_keep_no_version_from_being_loaded(three):
    (three.root / "digits" / "aliases.json").write_text("{")
    assert three.load("digits", "v2").version == 2
    with pytest.raises(StoreError, match=r"aliases\.json cannot be read"):
        three.load("digits", "production")


@pytest.mark.parametrize("name", ["digit", "", ".", "..", "../models/digits", "digits/1", "Digits", "x" * 300, "a\0b"])
def test_a_model_that_is_not_there(three, name):
    for ask in (three.get, three.history, three.load):
        with pytest.raises(UnknownModel, match="'digits'"):
            ask(name)


def test_a_folder_copied_to_another_name_is_not_that_model(models):
    shutil.copytree(models.root / "digits", models.root / "copied")
    with pytest.raises(DamagedArtifact, match="describes digits v1"):
        models.load("copied")


def test_promote_and_roll_back(three):
    assert three.promote("digits", "v1", why="the first") == 1
    assert three.promote("digits", "latest") == 3
    assert three.aliases("digits") == {"production": 3}
    assert three.rollback("digits", why="it was worse") == 1
    assert three.aliases("digits") == {"production": 1}
    events = [(entry["event"], entry["version"]) for entry in three.history("digits")]
    assert all({"time", "by", "why"} <= entry.keys() for entry in three.history("digits"))
    assert events == [
        ("published", 1),
        ("published", 2),
        ("published", 3),
        ("promoted", 1),
        ("promoted", 3),
        ("rolled back", 1),
    ]


@pytest.mark.parametrize("promoted", [[], ["v1"]])
def test_nowhere_to_roll_back_to(three, promoted):
    for version in promoted:
        three.promote("digits", version)
    with pytest.raises(StoreError, match="no version to go back to"):
        three.rollback("digits")


def test_rolling_back_to_a_version_that_is_gone(three):
    three.promote("digits", 1)
    three.promote("digits", 2)
    shutil.rmtree(three.root / "digits/1")
    with pytest.raises(UnknownVersion):
        three.rollback("digits")
    assert three.aliases("digits") == {"production": 2}


def test_promoting_what_is_not_there(three):
    with pytest.raises(UnknownVersion):
        three.promote("digits", "v9")
    with pytest.raises(WrongUsage):
        three.promote("digits", "v1", alias="../x")
    assert three.aliases("digits") == {}


def test_aliases_do_not_disturb_each_other(three):
    three.promote("digits", 1)
    three.promote("digits", 3, alias="staging")
    three.promote("digits", 2)
    assert three.rollback("digits") == 1
    assert three.aliases("digits") == {"production": 1, "staging": 3}


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(WrongUsage, match="models is a file"):
        ModelStore(tmp_path / "models").names()


def test_a_folder_that_cannot_be_read(three, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(three.root), "iterdir", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        three.names()


def test_representations(three):
    three.promote("digits", 2)
    html = three._repr_html_()
    assert "v1, v2, v3" in html
    assert "production → v2" in html
    assert "digits v2" in str(three.get("digits", 2))
