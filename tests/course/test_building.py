"""One source gives the student's notebook and the solution, with the same bytes each time."""

import pytest
from click.testing import CliRunner

from mlops_lab import course
from mlops_lab.cli import commands

SOURCE = """\
# %%
from mlops_lab import course, grade

course.lifecycle("data")

# %% tags=["predict", "stub"]
guess = ...

# %% tags=["predict", "solution"]
guess = 0.5

# %% tags=["stub"] mlops_lab={"exercise": "data-2"}
def describe(split):
    return {}

# %% tags=["solution"] mlops_lab={"exercise": "data-2"}
def describe(split):
    return {"count": 1}

# %% tags=["check"]
grade.check("data-2", describe)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "What is missing?"}
# Look closer.

# %% tags=["long"]
epochs = 20

# %% tags=["fast"]
epochs = 1
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "01_data.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def text(path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return "\n".join(cell.source for cell in book.cells)


def test_what_each_version_holds(folder):
    files = course.build(folder).files
    assert {path.relative_to(folder).as_posix() for path in files} == {"01_data.ipynb", "solutions/01_data.ipynb"}
    student, solution = text(folder / "01_data.ipynb"), text(folder / "solutions" / "01_data.ipynb")
    assert "return {}" in student and "guess = ..." in student
    assert '"count": 1' in solution and "guess = 0.5" in solution
    assert "guess = 0.5" not in student and '"count"' not in student
    for one in (student, solution):
        assert "grade.check" in one and "epochs = 1\n" in one + "\n" and "epochs = 20" not in one
        assert "<details>\n<summary>What is missing?</summary>\n\nLook closer.\n\n</details>" in one


def test_the_grader_finds_the_answer_in_the_cell(folder):
    from mlops_lab.grade.exercises import find
    from mlops_lab.grade.submitted import look

    course.build(folder)
    found = look(folder / "solutions")
    assert found.attempts(find("data-2")) and not found.warnings


def test_full_notebooks_have_the_long_cells(folder):
    course.build(folder, out=folder / "full", full=True)
    assert "epochs = 20" in text(folder / "full" / "01_data.ipynb")


def test_it_gives_the_same_bytes_and_says_what_is_stale(folder):
    first = course.build(folder)
    before = [path.read_bytes() for path in first.files]
    assert course.build(folder, check=True).stale == ()
    (folder / "01_data.ipynb").write_text("{}", encoding="utf-8")
    assert [path.name for path in course.build(folder, check=True).stale] == ["01_data.ipynb"]
    course.build(folder)
    assert [path.read_bytes() for path in first.files] == before


def test_what_is_committed_is_what_the_sources_give():
    done = CliRunner().invoke(commands, ["course", "build", "--check"])
    assert done.exit_code == 0, done.output


def test_the_command_needs_another_folder_for_full_notebooks():
    from mlops_lab.errors import WrongUsage

    assert isinstance(CliRunner().invoke(commands, ["course", "build", "--full"]).exception, WrongUsage)


def test_a_guess_comes_before_the_answer():
    asked = []
    assert not course.reveal(..., lambda: asked.append(1)).asked and not asked
    assert "no guess yet" in course.reveal(None, 1)._repr_html_()
    shown = course.reveal("half", 0.50213, "Black ground.")
    assert repr(shown) == "You guessed half; it is 0.5021. Black ground." and "Black ground." in shown._repr_html_()
    assert repr(course.reveal("yes", "no: the file differs.")) == "You guessed yes; it is no: the file differs."


@pytest.mark.parametrize("stage", ["data", "grade"])
def test_the_life_cycle_is_drawn_in_words_too(stage):
    drawn = course.lifecycle(stage)
    assert f"stage {1 if stage == 'data' else 8}, {stage}" in drawn.alt and "DevOps" in drawn.alt
    html = drawn._repr_html_()
    assert html.count("<details") == html.count(".ipynb") == 8 and html.count(" open>") == 1 and drawn.alt in html
