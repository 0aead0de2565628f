import compileall
import re
import shutil
from pathlib import Path

import pytest

from mlops_lab import deploy
from mlops_lab.deploy import render
from mlops_lab.errors import StoreError, WrongUsage

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def files():
    return render.Files({"b/two.txt": "2\n", "one.txt": "<1>\n"})


@pytest.mark.parametrize("kind", render.KINDS)
def test_every_kind_leaves_nothing_to_fill_in(kind):
    found = deploy.files(deploy.make_spec(MODELS, "clothes"), kind)
    assert found
    # "{{ $labels…" is for Prometheus to fill in, "${{ …" for GitHub.
    assert not [path for path, text in found.items() if re.search(r"(?<!\$)\{\{ (?!\$)|\{%", text)]


@pytest.mark.parametrize("kind", render.KINDS)
def test_templates_that_pip_has_compiled(kind, tmp_path, monkeypatch):
    spec = deploy.make_spec(MODELS, "clothes")
    before = deploy.files(spec, kind)
    copy = shutil.copytree(render.TEMPLATES, tmp_path / "templates", ignore=shutil.ignore_patterns("__pycache__"))
    assert compileall.compile_dir(copy, quiet=1)
    monkeypatch.setattr(render, "TEMPLATES", copy)
    assert deploy.files(spec, kind) == before


def test_a_kind_that_there_is_not():
    with pytest.raises(WrongUsage, match="swarm"):
        deploy.files(deploy.make_spec(MODELS, "clothes"), "swarm")


def test_written_once_and_again(files, tmp_path):
    assert files.write(tmp_path) == [tmp_path / "b" / "two.txt", tmp_path / "one.txt"]
    files.write(tmp_path)
    assert (tmp_path / "b" / "two.txt").read_text() == "2\n"


def test_another_s_file_is_not_overwritten(files, tmp_path):
    (tmp_path / "one.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"one\.txt exists and differs"):
        files.write(tmp_path)
    assert not (tmp_path / "b").exists()
    files.write(tmp_path, force=True)
    assert (tmp_path / "one.txt").read_text() == "<1>\n"


def test_a_folder_that_cannot_be_written(files, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        files.write(tmp_path / "file" / "below")


def test_hashes_are_folded_where_files_are_shown_and_kept_where_they_are_written(tmp_path):
    text = "flask==3.1 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n    # via -r serve.in\n"
    files = render.Files({"requirements.txt": text})
    assert str(files) == "--- requirements.txt\nflask==3.1  # 2 hashes\n    # via -r serve.in\n"
    assert "2 hashes" in files._repr_html_() and "sha256" not in files._repr_html_()
    assert files.write(tmp_path)[0].read_text() == files["requirements.txt"] == text


def test_representations(files):
    assert str(files) == "--- b/two.txt\n2\n\n--- one.txt\n<1>\n"
    assert "&lt;1&gt;" in files._repr_html_()
    assert files.to_dict() == {"b/two.txt": "2\n", "one.txt": "<1>\n"}
