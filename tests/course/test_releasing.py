"""Assignments of the notebooks, in the real tools: the solution gets full marks, the untouched notebook does not."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
import venvs
from click.testing import CliRunner

from mlops_lab import course
from mlops_lab.cli import commands
from mlops_lab.course.releasing import nbgrader_text
from mlops_lab.course.sources import read
from mlops_lab.errors import WrongUsage
from mlops_lab.grade import secret
from mlops_lab.grade.exercises import all_exercises

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("[0-9]*.py"))
LESSON = "01_data"
POINTS = sum(one.max_points for one in all_exercises().values() if one.stage == "data")


@pytest.fixture(scope="module", params=["otter", "nbgrader", "plain"])
def released(request, tmp_path_factory):
    return course.release(tmp_path_factory.mktemp("release") / request.param, request.param, only=[LESSON])


def test_students_get_neither_solutions_nor_the_secret(released):
    drawn = secret.read(released.folder / "instructor" / "secret")
    assert (released.folder / "instructor" / "solutions" / f"{LESSON}.ipynb").is_file()
    if released.kind == "nbgrader":
        return  # its own tool takes them out, below
    given = [path for path in (released.folder / "student").rglob("*") if path.is_file()]
    assert {"api.py", "README.md", f"{LESSON}.ipynb"} <= {path.name for path in given}
    assert [path.stem for path in given if path.suffix == ".ipynb"] == [LESSON]
    texts = [path.read_bytes() for path in given]
    assert not [text for text in texts if drawn in text or drawn.hex().encode() in text or b"alike.setdefault" in text]


def test_it_writes_nothing_over_something(released):
    with pytest.raises(WrongUsage, match="not empty"):
        course.release(released.folder)


@pytest.mark.parametrize("arguments", [["--only", "1_data"], ["--for", "moodle"]])
def test_wrong_names_are_refused(arguments, tmp_path):
    done = CliRunner().invoke(commands, ["course", "release", str(tmp_path / "out"), *arguments])
    assert done.exit_code and not (tmp_path / "out").exists()


def test_nbgrader_cells_have_stub_and_solution(tmp_path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    released = course.release(tmp_path / "out", "nbgrader", only=["03_store"])
    cells = nbformat.read(released.folder / "source" / "03_store" / "03_store.ipynb", as_version=4).cells
    graded = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert sum(cell.metadata.nbgrader.points for cell in graded) == 26
    (file,) = [cell.source for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "store-2"]
    assert file.startswith("%%writefile reload.py\n") and file.count("%%writefile") == 1
    assert "### BEGIN SOLUTION" in file and "load_model" in file.partition("### BEGIN SOLUTION")[2]


def test_nbgrader_cells_write_the_files_of_a_solution(tmp_path, monkeypatch):
    """A solution of several cells, each with ``%%writefile``, stands in one cell that writes the same files."""
    import nbformat  # here, for it takes more than a second, and every worker collects this file
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.chdir(tmp_path)
    source = ROOT / "notebooks" / "src" / "06_deploy.py"
    cells = nbformat.reads(nbgrader_text(read(source), all_exercises(), b"secret"), as_version=4).cells
    (answer,) = [cell.source for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "deploy-2"]
    shell = InteractiveShell.instance()
    shell.run_cell("from pathlib import Path")
    shell.run_cell(answer).raise_error()
    parts = [cell for cell in read(source) if "solution" in cell.tags and "deploy-2" in (cell.exercise, cell.part_of)]
    written = (tmp_path / "run.py").read_text(encoding="utf-8")
    assert written == "".join(f"{cell.text.partition(chr(10))[2]}\n" for cell in parts)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nbgrader_cells_are_python(source):
    import nbformat  # here, for it takes more than a second, and every worker collects this file
    from IPython.core.inputtransformer2 import TransformerManager

    for cell in nbformat.reads(nbgrader_text(read(source), all_exercises(), b"secret"), as_version=4).cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            answer = cell.source.partition("\n")[2] if cell.source.startswith("%%") else cell.source
            compile(TransformerManager().transform_cell(answer), cell.metadata.nbgrader.grade_id, "exec")
            assert not [line for line in answer.splitlines() if line.startswith("%%")]


def run(*command, folder):
    """Run a tool of another environment, whose kernels also see this package and what it needs."""
    python = Path(str(command[0]))
    seen = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    places = {**os.environ, "PYTHONPATH": seen, "MPLBACKEND": "agg", "PATH": path}
    words = [str(one) for one in command]
    done = subprocess.run(words, cwd=folder, env=places, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_otter_gives_the_solution_full_marks(tmp_path):
    released = course.release(tmp_path / "out", "otter", only=[LESSON])
    python = venvs.python_with("otter", "otter-grader==7.*", "ipykernel", "psutil")
    place = released.folder / "instructor" / "solutions" / f"{LESSON}.ipynb"
    work = tmp_path / "work"
    work.mkdir()
    (work / f"{LESSON}.ipynb").write_bytes(place.read_bytes())
    zipped = released.folder / "autograder" / f"{LESSON}.zip"
    said = run(python, "-m", "otter", "run", f"{LESSON}.ipynb", "-a", zipped, "-o", ".", folder=work)
    assert (work / "results.json").is_file(), said
    results = json.loads((work / "results.json").read_text())
    assert sum(test.get("score", 0) for test in results["tests"]) == POINTS, results


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nbgrader_grades_an_answered_and_an_untouched_notebook(tmp_path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    folder = course.release(tmp_path / "out", "nbgrader", only=[LESSON]).folder
    drawn = secret.read(folder / "instructor" / "secret")
    python = venvs.python_with("nbgrader", "nbgrader==0.9.*", "ipykernel", "psutil", "numpy", "pillow")
    command = [python, "-m", "nbgrader"]
    made = run(*command, "generate_assignment", LESSON, "--create", folder=folder)
    assert (folder / "release" / LESSON / f"{LESSON}.ipynb").is_file(), made
    text = (folder / "release" / LESSON / f"{LESSON}.ipynb").read_text()
    assert drawn.hex() not in text and "alike.setdefault" not in text and "Your answer goes here" in text
    solutions = {
        cell.exercise: cell.text
        for cell in read(ROOT / "notebooks" / "src" / f"{LESSON}.py")
        if "solution" in cell.tags and cell.exercise
    }
    for student in ("ann", "bob"):  # ann answers, bob hands in what he got
        book = nbformat.reads(text, as_version=4)
        for cell in book.cells:
            if student == "ann" and cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = solutions[cell.metadata.nbgrader.grade_id]
        target = folder / "submitted" / student / LESSON
        target.mkdir(parents=True)
        nbformat.write(book, target / f"{LESSON}.ipynb")
    graded = run(*command, "autograde", LESSON, "--create", folder=folder)
    code = (
        "from nbgrader.api import Gradebook\n"
        "with Gradebook('sqlite:///gradebook.db') as book:\n"
        f"    scores = [book.find_submission('{LESSON}', who) for who in ('ann', 'bob')]\n"
        "    print(*(one.score for one in scores), scores[0].max_score)\n"
    )
    said = run(python, "-c", code, folder=folder).split()
    assert len(said) == 3, [*said, graded]
    ann, bob, most = map(float, said)
    assert ann == most == POINTS and bob < POINTS / 4, graded
