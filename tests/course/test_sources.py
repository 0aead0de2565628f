"""The source of a notebook is read as jupytext reads it, and what is wrong with it is said with its line."""

import json
import subprocess
from pathlib import Path

import pytest
import venvs

from mlops_lab.course.sources import parse, read
from mlops_lab.errors import WrongUsage

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
SOURCE = """\
# %% [markdown]
# # Title
#
# Text.

# %% tags=["stub"] mlops_lab={"exercise": "data-2"}
def describe(split):
    return {}

# %% tags=["solution"] mlops_lab={"exercise": "data-2"}
def describe(split):
    return {"count": 1}

# %% tags=["check"]
grade.check("data-2", describe)

# %% [markdown] tags=["hint"]
# Look closer.

# %%
# %%writefile api.py
x = 1

# %%
    # !ls
# a comment with 100 % in it
"""


def test_cells_have_their_text_tags_and_exercise():
    cells = parse(SOURCE)
    assert [cell.kind for cell in cells] == ["markdown", "code", "code", "code", "markdown", "code", "code"]
    assert cells[0].text == "# Title\n\nText."
    assert [cell.exercise for cell in cells[1:4]] == ["data-2"] * 3
    assert cells[4].tags == {"hint"} and cells[4].text == "Look closer."
    assert cells[5].text == "%%writefile api.py\nx = 1"
    assert cells[6].text == "    !ls\n# a comment with 100 % in it"
    assert [cell.line for cell in cells][:2] == [1, 6]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# %% stub", "line 2: 'stub' is not key=JSON"),
        ("# %% tags=[stub]", "line 2: '[stub]' is not JSON"),
        ('# %% tags=["stubb"]', "there is no tag 'stubb'"),
    ],
)
def test_a_wrong_line_is_named(line, words):
    with pytest.raises(WrongUsage) as caught:
        parse(f"\n{line}\n", "01_data.py")
    assert "01_data.py" in caught.value.message and words in caught.value.message


@pytest.mark.parametrize("missing", ["stub", "solution", "check"])
def test_an_exercise_that_lacks_a_part_is_named(missing, tmp_path):
    text = SOURCE.replace(f'tags=["{missing}"]', 'tags=["predict"]')
    (tmp_path / "01_data.py").write_text(text, encoding="utf-8")
    with pytest.raises(WrongUsage, match=f"exercise 'data-2' has 0 cells with the tag '{missing}'"):
        read(tmp_path / "01_data.py")


def test_a_long_answer_may_stand_in_several_cells(tmp_path):
    part = '# %% tags=["solution"] mlops_lab={"part_of": "data-2"}\nimport os\n\n'
    (tmp_path / "01_data.py").write_text(part + SOURCE, encoding="utf-8")
    assert read(tmp_path / "01_data.py")[0].part_of == "data-2"


@pytest.mark.slow
def test_it_is_the_dialect_of_jupytext(tmp_path):
    """Whoever prefers jupytext edits the same files: it finds the same cells, text and metadata."""
    python = venvs.python_with("jupytext", "jupytext==1.19.*")
    (tmp_path / "example.py").write_text(SOURCE, encoding="utf-8")
    code = (
        "import json, sys, jupytext\n"
        "books = [jupytext.reads(open(path, encoding='utf-8').read(), 'py:percent') for path in sys.argv[1:]]\n"
        "for book in books:\n"
        "    [cell.metadata.pop('lines_to_next_cell', 0) for cell in book.cells]\n"  # how it writes, not what was read
        "print(json.dumps([[[c.cell_type, c.source, c.metadata] for c in book.cells] for book in books]))\n"
    )
    paths = [tmp_path / "example.py", *SOURCES]
    found = subprocess.run([python, "-c", code, *paths], capture_output=True, text=True, check=True).stdout
    for path, theirs in zip(paths, json.loads(found), strict=True):
        ours = [[cell.kind, cell.text, cell.metadata] for cell in parse(path.read_text(encoding="utf-8"))]
        assert theirs == ours, path.name
