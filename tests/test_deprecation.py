"""A name that was renamed still works, and its warning names the new one."""

import pytest
from flask import Flask

from mlops_lab import serve, store
from mlops_lab.grade.calls import Answer, LocalTarget


def test_the_old_name_of_a_fingerprint(tmp_path):
    models = store.ModelStore(tmp_path)
    with pytest.warns(DeprecationWarning, match=r"ModelStore\.mark has been renamed: use fingerprint"):
        assert models.mark("clothes", 1) == models.fingerprint("clothes", 1) == (0, 0, 0)


def test_the_old_name_of_the_details_of_a_public_url():
    server = serve.start(Flask("empty"), name="renamed")
    with server, pytest.warns(DeprecationWarning, match="use public_url_details"):
        assert server.reach == server.public_url_details


def test_the_old_name_of_a_folder_that_a_check_shares():
    answer = Answer(LocalTarget({}), ())
    with pytest.warns(DeprecationWarning, match=r"Answer\.desk has been renamed: use shared_folder"):
        folder = answer.desk()
    assert folder.put("a.txt", b"a").endswith("a.txt") and folder.files() == ["a.txt"]
