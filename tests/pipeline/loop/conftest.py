"""A small loop over digits: everything is real, servers stand behind this process, and nothing is rehearsed."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import worlds

from mlops_lab.serve import stop_all


@pytest.fixture(scope="session")
def _released(made_once):
    """A folder in which the loop has brought its first version into production."""

    def release(new):
        (new / "here").mkdir()
        (new / "here" / "pipeline.toml").write_text(worlds.SETTINGS)
        run = worlds.play(new / "here")
        assert run.state == "nothing to do", str(run)
        stop_all()

    return made_once("released-by-the-loop", release) / "here"


@pytest.fixture
def released(_released, tmp_path):
    """A copy of it of one's own."""
    yield Path(shutil.copytree(_released, tmp_path / "here"))
    stop_all()


@pytest.fixture(scope="session")
def _shifted(_released, made_once):
    def shift(new):
        folder = Path(shutil.copytree(_released, new / "here"))
        split = worlds.masked()
        worlds.answer(folder, split, labels=split.labels)

    return made_once("shifted-customers", shift) / "here"


@pytest.fixture
def shifted(_shifted, tmp_path):
    """A folder in which customers have begun to hold something before their digits, and people have judged 400."""
    yield Path(shutil.copytree(_shifted, tmp_path / "here"))
    stop_all()
