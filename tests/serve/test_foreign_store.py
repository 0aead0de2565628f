"""A server of a store in which any file is a pipe, a device, a link or endless: it answers, and nothing hangs."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from mlops_lab.serve import create_app

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files"),
    pytest.mark.timeout(120),
]
BESIDE = ["aliases.json", "traffic.json", "history.jsonl", ".lock", "1/evidence/reference.npz"]
PAGES = ["/", "/models", "/models/digits", "/models/digits/v1", "/models/digits/traffic", "/v2/models/digits"]


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def link(path):
    path.unlink()
    path.symlink_to("/etc/hostname")


def sparse(path):
    os.truncate(path, 2**40)


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [pipe, device, link, sparse, folder])
def test_no_file_of_a_store_keeps_a_server_from_answering(shared_models, spoil, tmp_path):
    whole = shared_models.root / "digits"
    names = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()} | set(BESIDE)
    assert {"1/manifest.json", "1/model.onnx", "1/golden.npz"} <= names
    for name in sorted(names):
        root = Path(shutil.copytree(shared_models.root, tmp_path / name.replace("/", "-")))
        path = root / "digits" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        spoil(path)
        client = create_app(str(root)).test_client()
        for page in PAGES:
            assert client.get(page).status_code in (200, 400, 404, 503), (name, page)
        answer = client.post("/models/digits", json={"image": [[0] * 8] * 8})
        assert answer.is_json and answer.status_code in (200, 400, 404, 503), (name, answer.text)
