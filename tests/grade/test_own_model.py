"""A model that a submission brings, as the grader reads it after the submission's code has run beside it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mlops_lab.grade.rubric import own_model
from mlops_lab.grade.rubric.images import MATERIAL
from mlops_lab.grade.rubric.serve_load import _all_opened
from mlops_lab.grade.rubric.versions import scaled_onnx

IMAGES = np.zeros((2, 28, 28), np.uint8)
LINKS = {"models": "outside", "models/inner": "outside", "models/own.onnx": "outside/own.onnx"}


@pytest.fixture
def server(tmp_path):
    for name in ("outside", "copy"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "own.onnx").write_bytes(scaled_onnx((MATERIAL / "clothes.onnx").read_bytes(), 2.0))
    return SimpleNamespace(folder=tmp_path / "copy")


def test_a_model_in_the_copy_is_a_candidate(server, tmp_path):
    (server.folder / "models").mkdir()
    (tmp_path / "outside").rename(server.folder / "models" / "inner")
    shipped, own = own_model.candidates(server, IMAGES)
    assert set(own) == set(own_model.HOW) and not np.allclose(own["right"], shipped["right"])


@pytest.mark.parametrize("link", LINKS)
def test_no_link_leads_the_reading_out_of_the_copy(link, server, tmp_path):
    if link != "models":
        (server.folder / "models").mkdir()
    (server.folder / link).symlink_to(tmp_path / LINKS[link])
    assert len(list(own_model.candidates(server, IMAGES))) == 1
    assert _all_opened(server) == {}


def test_a_model_that_becomes_a_link_after_it_was_seen_is_not_read(server, tmp_path, monkeypatch):
    (server.folder / "models").mkdir()
    (server.folder / "models" / "own.onnx").symlink_to(tmp_path / "outside" / "own.onnx")
    monkeypatch.setattr(own_model, "plain_files", lambda folder: [Path("own.onnx")])
    assert len(list(own_model.candidates(server, IMAGES))) == 1
