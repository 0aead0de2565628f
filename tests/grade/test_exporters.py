"""The exports, in the real tools: otter-grader 7, nbgrader 0.9, and what Gradescope runs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import venvs

from mlops_lab import grade
from mlops_lab.errors import WrongUsage
from mlops_lab.grade import Report, autograding
from mlops_lab.grade.exercises import all_exercises
from mlops_lab.grade.exporters import gradescope, nbgrader, otter
from mlops_lab.grade.runner import Grading, grade_submission

ROOT = Path(__file__).parents[2]
RUBRIC = Path(__file__).parent / "export_rubric"
SECRET = b"a secret of the exports"
EXERCISE = all_exercises(RUBRIC)["data-99"]
RIGHT = "def double(x): return x + x\n"
HALF = "def double(x): return 2 * x if isinstance(x, int) else 0\n"
HELD_OUT = "def double(x): return 2 * abs(x) if isinstance(x, int) else x + x\n"
ANSWERS = {
    "full": (RIGHT, 4),
    "half": (HALF, 3),
    "only visible": (HELD_OUT, 1),
    "zero": ("def double(x): return 0\n", 0),
}
NOISE = "import os\nos.write(2, b'I0000 TensorFlow: could not find cuda drivers\\n')\n"


@pytest.fixture(params=ANSWERS)
def answer(request):
    return ANSWERS[request.param]


def test_our_own_points(answer, tmp_path):
    """What the other graders are compared with."""
    text, points = answer
    (tmp_path / "answers.py").write_text(text)
    report = grade_submission(tmp_path, Grading(only=("data-99",), rubric=RUBRIC, secret=SECRET))
    assert (report.score, report.max_score) == (points, 4)


def test_otter_files_hold_no_secret_for_students():
    student = otter.files([EXERCISE])["data_99.py"]
    autograder = otter.files([EXERCISE], secret=SECRET)["data_99.py"]
    assert SECRET.hex() not in student and "hidden=True" not in student
    assert SECRET.hex() in autograder and "hidden=True" in autograder
    for text in (student, autograder):
        compile(text, "data_99.py", "exec")


def run(*command, **options):
    options = {"capture_output": True, "text": True, "timeout": 280, **options}
    return subprocess.run([str(one) for one in command], check=False, **options)


def environment(**values):
    return {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", **values}


def notebook(*sources):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "p"}})


@pytest.mark.slow
def test_otter_gives_the_same_points(answer, tmp_path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    text, points = answer
    python = venvs.python_with("otter", "otter-grader==7.*", "ipykernel", "psutil")
    tests = tmp_path / "tests"
    otter.write(tests, otter.files([EXERCISE], secret=SECRET, rubric=str(RUBRIC)))
    nbformat.write(notebook(text), tmp_path / "work.ipynb")
    config = {"tests_dir": "/autograder/source/tests", "lang": "python"}
    (tmp_path / "otter_config.json").write_text(json.dumps(config))
    with zipfile.ZipFile(tmp_path / "autograder.zip", "w") as archive:
        archive.write(tmp_path / "otter_config.json", "otter_config.json")
        archive.write(tests / "data_99.py", "tests/data_99.py")
    done = run(
        python, "-m", "otter", "run", "work.ipynb", "-a", "autograder.zip", "-o", ".", cwd=tmp_path, env=environment()
    )
    assert (tmp_path / "results.json").is_file(), done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert sum(test.get("score", 0) for test in results["tests"]) == points, results


@pytest.mark.slow
def test_nbgrader_keeps_the_number_and_the_explanation(answer, tmp_path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    text, points = answer
    python = venvs.python_with("nbgrader", "nbgrader==0.9.*", "ipykernel", "psutil", "numpy", "pillow")
    source = tmp_path / "source" / "ps1"
    source.mkdir(parents=True)
    book = nbgrader.notebook(
        [EXERCISE], solution="### BEGIN SOLUTION\npass\n### END SOLUTION", secret=SECRET, rubric=str(RUBRIC)
    )
    (source / "work.ipynb").write_text(json.dumps(book))
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'c'\n")
    command = [python, "-m", "nbgrader"]
    places = environment(PATH=f"{python.parent}{os.pathsep}{os.environ['PATH']}")  # it calls alembic by its name
    made = run(*command, "generate_assignment", "ps1", "--create", cwd=tmp_path, env=places)
    released = tmp_path / "release" / "ps1" / "work.ipynb"
    assert released.is_file(), made.stdout + made.stderr
    assert SECRET.hex() not in released.read_text()
    handed_in = nbformat.read(released, as_version=4)
    handed_in.cells[0].source = NOISE + text
    target = tmp_path / "submitted" / "ann" / "ps1" / "work.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(handed_in, target)
    graded = run(*command, "autograde", "ps1", "--create", cwd=tmp_path, env=places)
    assert (tmp_path / "autograded" / "ann" / "ps1" / "work.ipynb").is_file(), graded.stdout + graded.stderr
    code = (
        "from nbgrader.api import Gradebook\n"
        "with Gradebook('sqlite:///gradebook.db') as book:\n"
        "    print(book.find_submission('ps1', 'ann').score, book.find_submission('ps1', 'ann').max_score)\n"
    )
    assert run(python, "-c", code, cwd=tmp_path).stdout.split() == [str(float(points)), "4.0"]
    cell = nbformat.read(tmp_path / "autograded" / "ann" / "ps1" / "work.ipynb", as_version=4).cells[-1]
    shown = next(one for one in cell.outputs if one.output_type == "execute_result")["data"]
    assert shown["text/plain"] == str(float(points))
    assert "Double a number" in shown["text/html"]


def test_under_nbgrader_nothing_leaves_on_standard_error(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")

    def double(x):
        os.write(2, b"noise")
        print("noise", file=sys.stderr)
        return x + x

    result = grade.check("data-99", double, rubric=RUBRIC, secret=SECRET.hex(), progress_file=tmp_path / "p.json")
    assert (repr(result), capfd.readouterr().err) == ("4.0", "")
    monkeypatch.delenv("NBGRADER_EXECUTION")
    assert not autograding.under_nbgrader() and repr(result) == "<data-99 passed: 4 points>"


def test_gradescope_results_have_what_its_format_asks(answer, tmp_path):
    (tmp_path / "answers.py").write_text(answer[0])
    report = grade_submission(tmp_path, Grading(only=("data-99",), rubric=RUBRIC, secret=SECRET))
    values = gradescope.results(report)
    assert values["score"] == answer[1] == sum(test["score"] for test in values["tests"])
    assert {test["status"] for test in values["tests"]} <= {"passed", "failed"}
    assert Report.from_dict(values["extra_data"]["report"]).score == answer[1]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Gradescope runs bash")
def test_the_gradescope_zip_runs_as_it_does_there(tmp_path):
    with zipfile.ZipFile(gradescope.autograder(tmp_path / "a.zip", ["serve-1"], SECRET)) as archive:
        archive.extractall(tmp_path / "source")
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "api.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n"
        "@app.get('/models/clothes/v1')\ndef info(): return {'name': 'clothes'}\n"
    )
    places = environment(AUTOGRADER_ROOT=str(tmp_path), MLOPS_LAB_PYTHON=sys.executable)
    done = run("bash", tmp_path / "source" / "run_autograder", env=places)
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert (results["score"], len(results["tests"])) == (4, 6), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Gradescope runs bash")
def test_the_gradescope_zip_takes_exercises_of_ones_own_with_it(tmp_path):
    with zipfile.ZipFile(gradescope.autograder(tmp_path / "a.zip", ["data-99"], SECRET, rubric=RUBRIC)) as archive:
        archive.extractall(tmp_path / "source")
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "answers.py").write_text(HALF)
    run("bash", tmp_path / "source" / "run_autograder",
        env=environment(AUTOGRADER_ROOT=str(tmp_path), MLOPS_LAB_PYTHON=sys.executable))  # fmt: skip
    assert json.loads((tmp_path / "results" / "results.json").read_text())["score"] == 3


@pytest.mark.parametrize(("requirement", "installed"), [
    ("mlops-lab==0.2.0", "mlops-lab==0.2.0"), ("mlops-lab>=0.2", "'mlops-lab>=0.2'"),
    ("https://example.com/a-1-py3-none-any.whl", "https://example.com/a-1-py3-none-any.whl"),
    ("{folder}/a-1-py3-none-any.whl", '"$(dirname "$0")"/a-1-py3-none-any.whl'),
])  # fmt: skip
def test_gradescope_installs_what_it_is_told(requirement, installed, tmp_path):
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"a wheel")
    requirement = requirement.format(folder=tmp_path)
    with zipfile.ZipFile(gradescope.autograder(tmp_path / "a.zip", [], SECRET, requirement=requirement)) as archive:
        assert f"pip install {installed}\n" in archive.read("setup.sh").decode()
        packed = [name for name in archive.namelist() if name.endswith(".whl")]
    assert packed == (["a-1-py3-none-any.whl"] if "dirname" in installed else [])


def test_a_wheel_that_is_not_there_is_said(tmp_path):
    with pytest.raises(WrongUsage, match="no wheel"):
        gradescope.autograder(tmp_path / "a.zip", [], SECRET, requirement="none-1-py3-none-any.whl")


def test_a_broken_report_still_tells_the_student_something(tmp_path):
    (tmp_path / "report.json").write_text("Traceback")
    gradescope.main([str(tmp_path / "report.json"), str(tmp_path / "results.json")])
    assert "not your fault" in json.loads((tmp_path / "results.json").read_text())["output"]
