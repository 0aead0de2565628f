"""The pages of the site show what the students' notebooks show."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from mlops_lab import course
from mlops_lab.cli import commands
from mlops_lab.course.building import Built

ROOT = Path(__file__).parents[2]
SOURCE = """\
# %% [markdown]
# # A lesson

# %%
import os, sys, urllib.request
from mlops_lab import course, data, widgets

course.lifecycle("data")

# %%
print(os.getcwd(), course.__file__)
print(sorted(os.listdir())[-1])

# %%
widgets.gallery(data.load("digits"), count=4)

# %% tags=["predict", "stub"]
guess = ...

# %% tags=["predict", "solution"]
guess = 1

# %%
try:
    urllib.request.urlopen("http://192.0.2.1", timeout=1)
except OSError as error:
    print(error)
course.reveal(guess, 1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "01_data.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def shown(path):
    """Return everything that the cells of a page show, and hold that all its code has run."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "widgets" not in book.metadata
    return "\n".join(
        "".join(output.get("text", "")) + "".join("".join(value) for value in output.get("data", {}).values())
        for cell in code
        for output in cell.outputs
    )


def test_a_page_shows_what_a_student_sees_and_is_kept(folder):
    lines = []

    def build():
        return course.build_pages(folder / "pages", folder, cache=folder / "cache", report=lines.append)

    assert build().stale and lines == ["01_data has run"]
    text = shown(folder / "pages" / "01_data.ipynb")
    assert 'href="02_train.html"' in text and "you are here" in text and ".ipynb" not in text
    assert "my-course mlops-lab/mlops_lab/course/__init__.py\nmodels\n" in text
    assert 'class="lab-static"' in text and "The notebook reaches for the network" in text
    assert "no guess yet" in text
    assert not build().stale and lines == ["01_data has run"]
    source = folder / "src" / "01_data.py"
    source.write_text('# %% [markdown]\n# # A lesson\n\n# %%\nprint("changed")\n', encoding="utf-8")
    assert build().stale and len(lines) == 2
    assert shown(folder / "pages" / "01_data.ipynb") == "changed\n"
    assert len(list((folder / "cache").iterdir())) == 1


def test_a_cell_that_raises_stops_the_build(folder):
    from nbclient.exceptions import CellExecutionError

    (folder / "src" / "01_data.py").write_text("# %% [markdown]\n# # A\n\n# %%\n1 / 0\n", encoding="utf-8")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        course.build_pages(folder / "pages", folder)
    assert not (folder / "pages").exists()


# What a page of the site must show: what cells run, what a check says of an answer that is not there yet, a widget.
SHOWN = {
    "01_data": [
        r"3075 images, of which 75 are copies",
        r"not divided +0\.83\d",
        r"data-2 · .{,300}failed",
        r">#0 Ankle boot</button>",
    ],
    "02_train": [
        r"7,850 parameters",
        r"train-1 · .{,300}failed",
        r'<svg role="img" aria-label="Losses by epoch',
        r"✓ done",
    ],
    "03_store": [r"✗ does not load", r"types that skops does not trust: \[\]", r"store-1 · .{,300}failed"],
    "04_serve": [
        r"200 Ankle boot",
        r"182 of 200 are right",
        r"serve-2 · .{,300}failed",
        r"Here you draw",
        r"Requests per second",
    ],
    "05_validate": [
        r"accuracy 0\.9081",
        r"validate-1 · .{,300}partial",
        r"978 images labelled Trouser: correctly classified",
    ],
    "06_deploy": [r"service-selects-nothing", r"deploy-1 · .{,300}failed", r"production moved from v1 to v2"],
    "07_monitor": [
        r"right for 0\.90\n",
        r"monitor-1 · .{,300}failed",
        r"the monitor is right",
        r"0 of [\d,]+ images got no answer",
    ],
    "08_grade": [r"Only 0 and 1 are left", r"grade-1 · .{,300}partial", r"Report: 18 of 25 points"],
}


@pytest.mark.tensorflow
@pytest.mark.timeout(1200)
def test_the_pages_of_the_site_show_what_their_cells_do(tmp_path):
    """`make docs` has kept the pages, unless something has changed since."""
    built = course.build_pages(tmp_path, cache=ROOT / "build" / "pages")
    assert {path.stem for path in built.files} == SHOWN.keys()
    for path in built.files:
        text = shown(path)
        missing = [pattern for pattern in SHOWN[path.stem] if not re.search(pattern, text, re.DOTALL)]
        assert not missing, path.stem
        assert not re.search(r"Traceback|<script|(?:src|href)=\"https?:|mlops-lab-page-", text), path.stem
        asked, checked = path.read_text(encoding="utf-8").count("course.reveal("), text.count("no guess yet")
        assert 2 <= checked == asked, path.stem


def test_the_command_writes_pages_and_says_which_has_run(monkeypatch, tmp_path):
    def build_pages(pages, report):
        report("01_data has run")
        return Built((pages / "01_data.ipynb",), ())

    monkeypatch.setattr(course, "build_pages", build_pages)
    done = CliRunner().invoke(commands, ["course", "build", "--out", str(tmp_path), "--pages", str(tmp_path), "--json"])
    assert done.exit_code == 0 and done.stderr == "01_data has run\n"
    assert str(tmp_path / "01_data.ipynb") in json.loads(done.stdout)["files"]
