import errno
import getpass
import json
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.store.aliases import move_alias, read_aliases
from mlops_lab.store.history import read_history
from mlops_lab.store.names import check_name


@pytest.mark.parametrize("name", ["a", "clothes", "0", "a-b_c", "x" * 64])
def test_good_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "A", "é", "a/b", "..", "a b", "x" * 65, "a\n", "a\0", "ａ"])
def test_bad_names(name):
    with pytest.raises(WrongUsage, match="cannot be the name of a model"):
        check_name(name)


def test_an_alias_is_set_moved_and_removed(tmp_path):
    assert move_alias(tmp_path, "production", 1, event="promoted") is None
    assert move_alias(tmp_path, "production", 2, event="promoted") == 1
    assert read_aliases(tmp_path) == {"production": 2}
    assert move_alias(tmp_path, "production", None, event="removed") == 2
    assert read_aliases(tmp_path) == {}


def test_every_move_is_noted(tmp_path):
    move_alias(tmp_path, "production", 1, event="promoted", why="first")
    move_alias(tmp_path, "production", 2, event="promoted")
    first, second = read_history(tmp_path)
    assert (first["event"], first["version"], first["alias"], first["why"]) == ("promoted", 1, "production", "first")
    assert (second["before"], second["why"]) == (1, "")
    assert {"time", "by"} <= first.keys()


@pytest.mark.parametrize("alias", ["latest", "v1", "17", "v0", "007"])
def test_words_that_mean_a_version_are_taken(tmp_path, alias):
    with pytest.raises(WrongUsage, match="already means a version"):
        move_alias(tmp_path, alias, 1, event="promoted")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": "1"}', '{"a": true}', '{"a": 1.0}', "null", "\xff", "[" * 10**5]
)
def test_a_damaged_alias_file_is_an_error_of_ours(tmp_path, text):
    (tmp_path / "aliases.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"aliases\.json"):
        read_aliases(tmp_path)


def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path):
    move_alias(tmp_path, "production", 1, event="promoted")
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"event": "promo')
    move_alias(tmp_path, "production", 2, event="promoted")
    assert [entry["version"] for entry in read_history(tmp_path)] == [1, 2]


def test_lines_that_are_no_entries_are_left_out(tmp_path):
    (tmp_path / "history.jsonl").write_bytes(b'\xff\xfe\n17\nnull\n{"event": "promoted"}\n' + b"[" * 10**5 + b"\n")
    assert read_history(tmp_path) == [{"event": "promoted"}]


def test_no_history_yet(tmp_path):
    assert read_history(tmp_path) == []


def test_a_history_that_cannot_be_read(tmp_path):
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"history\.jsonl"):
        read_history(tmp_path)


def test_a_full_disk_leaves_the_aliases_as_they_were(tmp_path, monkeypatch):
    move_alias(tmp_path, "production", 1, event="promoted")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        move_alias(tmp_path, "production", 2, event="promoted")
    assert read_aliases(tmp_path) == {"production": 1}


def test_a_user_without_a_name(tmp_path, monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nameless)
    move_alias(tmp_path, "production", 1, event="promoted")
    assert read_history(tmp_path)[0]["by"] == "unknown"


def test_threads_lose_no_alias(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: move_alias(tmp_path, f"alias-{number}", number, event="promoted"), range(1, 25)))
    assert read_aliases(tmp_path) == {f"alias-{number}": number for number in range(1, 25)}
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 24
    assert all(json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines())


def _move(arguments):
    folder, number = arguments
    move_alias(folder, f"alias-{number}", number, event="promoted")


def test_processes_lose_no_alias(tmp_path):
    with get_context("fork").Pool(2) as pool:
        pool.map(_move, [(tmp_path, number) for number in range(1, 9)])
    assert len(read_aliases(tmp_path)) == len(read_history(tmp_path)) == 8
