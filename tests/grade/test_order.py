"""What reads a submission's copy is not led away by a server of the same submission that has run in it."""

from corpus.serve_sources import changed
from corpus_types import write

from mlops_lab.grade.runner import Grading, grade_submission

RUBRIC = """
from mlops_lab.grade import Exercise

served = Exercise("data-97", "A server", kind="server", names=("api.py",))
notes = Exercise("data-98", "Notes", kind="file", names=("notes.txt",))
later = Exercise("data-99", "Later", kind="file", names=("later.txt",))

@served.check("answers", "It answers", points=1)
def answers(server, case):
    case.expect(server.get("/models/clothes/v1").status == 200, "It does not answer.")

@notes.check("text", "Its text", points=1)
def text(answer, case):
    case.expect(answer.path.read_text() == "own", "Another text.")

@later.check("text", "Its text", points=1)
def text(answer, case):
    case.fail("There is a file that nobody handed in.")
"""


def test_a_server_leads_no_other_exercise_out_of_the_copy(tmp_path):
    write(tmp_path / "rubric", {"own.py": RUBRIC})
    write(tmp_path / "outside", {"notes.txt": "foreign"})
    target = str(tmp_path / "outside" / "notes.txt")
    links = f"for name in ('notes.txt', 'later.txt'):\n    os.symlink({target!r}, name)\n"
    code = f"import os\nos.unlink('notes.txt')\n{links}app = Flask(__name__)\n"
    files = changed(("app = Flask(__name__)\n", code))
    folder = write(tmp_path / "submission", {**files, "notes.txt": "own"})
    report = grade_submission(folder, Grading(only=("data",), rubric=tmp_path / "rubric"))
    assert [(one.id, one.points) for one in report.results] == [("data-97", 1), ("data-98", 1)]
