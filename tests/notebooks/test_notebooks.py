"""The notebooks as learners meet them: offline, in a folder of ``mlops-lab start``, first unanswered, then answered.

Both versions run in one kernel, one after the other, as when a student goes back to the top and runs all again.
"""

import re
import shutil
from pathlib import Path

import pytest

from mlops_lab import course
from mlops_lab.course.sources import read
from mlops_lab.grade.exercises import all_exercises

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
TRAINS = {"02_train", "03_store"}
ASKS_SERVERS = {"04_serve", "05_validate", "06_deploy", "07_monitor", "08_grade"}  # a minute each, with their checks
MARKS = {**dict.fromkeys(TRAINS, pytest.mark.tensorflow), **dict.fromkeys(ASKS_SERVERS, pytest.mark.slow)}
RUN = [pytest.param(path, marks=MARKS.get(path.stem, ()), id=path.stem) for path in NOTEBOOKS]
LESSONS = [
    path for path in sorted((ROOT / "notebooks" / "src").glob("*.py")) if "grade.check(" in path.read_text("utf-8")
]

# What a solution must show, because the text beside it says so.
KEY_OUTPUTS = {
    "01_data": [
        r"the answer</td><td[^>]*>0\.502",
        r"the answer</td><td[^>]*>Pullover",
        r"right +0\.92\d\nnot divided +0\.83\d",
        r"divided twice +(0\.09[5-9]|0\.10[0-4])",
        r"3075 images, of which 75 are copies",
        r"failed: constant",
    ],
    "02_train": [
        r"44,426 parameters",
        r"with 30,840",
        r"\(14, 14\), \(31, 31\), \(60, None\)",
        r"winners 0\.92\d",
        r"val_accuracy: 0\.[3-9]",
        r"the answer</td><td[^>]*>0</td>",
    ],
    "03_store": [
        r"the answer</td><td[^>]*>576",
        r"✗ does not load",
        r"'optimizer': 88854, 'total': 133280",
        r"os\.system",
        r"'builtins\.print'",
        r"the answer</td><td[^>]*>no: .*its SHA-256 differs",
        r"3\.15\.1 +True .*\n3\.12\.4 +False .*quantization_config",
        r"44,426 numbers of 4 bytes: 178 kB",
        r"types that skops does not trust: \[\]\nthe same answers: True",
        r"'44,426'",
        r"'manifest\.json',\s+'model\.keras',\s+'model\.onnx',\s+'saved_model\.pb'",
        r"'why': 'version 1 was damaged'",
    ],
    "04_serve": [
        r"number_of_parameters: 133280",
        r"200 Ankle boot",
        r"400 The 12 bytes are not a PNG or JPEG image",
        r"POST /models/clothes/v1 → 400\nGET /models/cloths → 404",
        r"\[200, 200, 200, 200, 200, 200\]",
        r"182 of 200 are right",
        r"the answer</td><td[^>]*>405",
        r"the answer</td><td[^>]*>0\.834",
        r"Did you mean",
        r"gRPC: Ankle boot 0\.\d{4}, from v1\n3,\d{3} bytes were sent; as JSON they are 9,608\n",
    ],
    "05_validate": [
        r"the answer</td><td[^>]*>Shirt",
        r"0\.738; the best has 0\.985",
        r"accuracy 0\.9081, and with other test images between 0\.902 and 0\.914",
        r">Shirt</td>.{,250}>1,000</td>.{,250}>0\.738 [^<]*</td><td[^>]*>0\.750<",  # recall, precision
        r"the answer</td><td[^>]*>0\.47",
        r"on a clock: p99 [3-9]\d\d ms",
        r"0\.548 for evening, 0\.89\d for day; overall 0\.751",
    ],
    "06_deploy": [
        r"the answer</td><td[^>]*>No pod has the labels app\.kubernetes\.io/name=digit\.",
        r"service-selects-nothing",
        r"the answer</td><td[^>]*>8<",
        r"the answer</td><td[^>]*>acceptance, build, load",
        r"of which 0 failed at the server\nproduction is v2",
        r"Docker [\d.]+\S* answers\.|No Docker engine answers here",  # `test_elsewhere.py` has both
        r"serve_on_ray\.py",
        r"1 of 2 replicas was killed: 40 answers, 0 requests failed|Ray is not installed here",
        r"FROM python:3\.\d+-slim AS build\nFROM python:3\.\d+-slim\nUSER 10001:0\nENTRYPOINT",
        r"45 rules\n",
        r"Its exit status was 0\.",
        r"\[9, 2\]",
        r"production moved from v1 to v2",
        r"v3 is refused; production is v2.*\n.*v4 is refused; production is v2.*\n.*v5 is refused; production is v2",
        r"roll back on failure",
    ],
    "07_monitor": [
        r"the answer</td><td[^>]*>0\.5\d, 0\.87",
        r"the answer</td><td[^>]*>0\.33\d",
        r"changed True · harmful True · estimate to be trusted False",
        r"right for 0\.90\n",
        r"(?:(?:08|09|10|11):00  harmful: no .*\n){4}(?:1[2-7]:00  harmful: yes .*\n){6}",
        r"11:00  harmful: no   accuracy 0\.9\d\n12:00  harmful: yes  accuracy 0\.[45]",
        r"points of accuracy are probably lost",
        r"✓ 0 of [\d,]+ images got no answer",
        r">production moved from v1 to v2<[^§]*images are black since 10:00 UTC: nothing can be learned",
    ],
    "08_grade": [
        r"Only 0 and 1 are left",
        r"the answer</td><td[^>]*>254",
        r"<data-3 partial",
        r"the answer</td><td[^>]*>400",
        r"accuracy 0\.97\d",
        r"trained version 1",
    ],
}

# Runs before the notebook: only this machine can be reached.
NO_NETWORK = """
import socket as _socket
_connect = _socket.socket.connect
def _local_only(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"the notebook reaches for the network: {address}")
    return _connect(self, address)
_socket.socket.connect = _local_only
"""


def by_name(path):
    return path.stem


# Training and other processes take their time where the machine is busy; nothing here waits for the clock.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module", params=RUN)
def executed(request, tmp_path_factory):
    """Return the name of a notebook, and the cells of the student's and of the solution after running in one kernel."""
    import nbformat  # here, for it takes more than a second, and every worker collects this file
    from nbclient import NotebookClient

    folder = course.start(tmp_path_factory.mktemp(request.param.stem) / "mine").folder
    student = nbformat.read(folder / request.param.name, as_version=4).cells
    solution = nbformat.read(request.param.parent / "solutions" / request.param.name, as_version=4).cells
    guard = nbformat.v4.new_code_cell(NO_NETWORK)
    for place, cell in enumerate([*student, *solution]):
        cell.id = f"cell-{place}"  # both notebooks have ids in common
    both = nbformat.v4.new_notebook(cells=[guard, *student, *solution])
    client = NotebookClient(both, timeout=600, resources={"metadata": {"path": str(folder)}})
    client.execute()
    yield request.param.stem, student, solution
    shutil.rmtree(folder)


def outputs(cells):
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def html(cells):
    return "".join(output.data.get("text/html", "") for output in outputs(cells) if "data" in output)


def shown(cells):
    """Return everything that cells show, as text."""
    texts = [output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs(cells)]
    return html(cells) + "".join(texts)


def checks(cells):
    """Return for each check the exercise, and how its card is written as text and as HTML."""
    found = {}
    for cell in cells:
        if "check" in cell.metadata.get("tags", ()):
            (output,) = [output for output in cell.outputs if "data" in output]
            id = re.search(r'grade\.check\("([\w-]+)"', cell.source)[1]
            found[id] = output.data["text/plain"], output.data["text/html"]
    return found


def test_it_runs_twice_in_one_kernel(executed):
    _, student, solution = executed
    ran = [cell.execution_count for cell in [*student, *solution] if cell.cell_type == "code"]
    assert ran == list(range(2, len(ran) + 2))
    assert not [output for output in outputs([*student, *solution]) if output.output_type == "error"]


def test_it_says_nothing_on_standard_error(executed):
    _, student, solution = executed
    assert not [output.text for output in outputs([*student, *solution]) if output.get("name") == "stderr"]


def test_every_image_has_alt_text(executed):
    _, student, solution = executed
    images = re.findall(r"<img [^>]*>", html([*student, *solution]))
    assert not [tag[:80] for tag in images if not re.search(r'alt="[^"]+"', tag)]
    drawn = [output for output in outputs([*student, *solution]) if "image/png" in output.get("data", {})]
    assert not drawn, "show a figure with its alt text"


def test_no_output_loads_anything_from_elsewhere(executed):
    _, student, solution = executed
    assert not re.findall(r"<script|(?:src|href)=\"https?:", html([*student, *solution]))


def test_the_solution_gets_full_marks(executed):
    _, _, solution = executed
    exercises = all_exercises()
    wrong = [
        text
        for id, (text, _) in checks(solution).items()
        if text != f"<{id} passed: {exercises[id].max_points:g} points>"
    ]
    assert not wrong


def test_untouched_it_shows_hints_and_no_traceback(executed):
    _, student, _ = executed
    for id, (text, card) in checks(student).items():
        assert re.match(rf"<{id} (failed|partial)", text), text
        assert "hint" in card.lower(), card
    assert "Traceback" not in shown(student)


def test_it_shows_what_its_text_says(executed):
    name, _, solution = executed
    missing = [pattern for pattern in KEY_OUTPUTS.get(name, []) if not re.search(pattern, shown(solution))]
    assert not missing


@pytest.mark.parametrize("path", [*NOTEBOOKS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_is_stored_without_outputs(path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert not outputs(book.cells)
    assert not re.search(r"/(home|root|tmp|work)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*NOTEBOOKS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_cells_are_short_and_images_in_text_have_alt_text(path):
    import nbformat  # here, for it takes more than a second, and every worker collects this file

    cells = nbformat.read(path, as_version=4).cells
    assert max(len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code") <= 30
    assert not [cell.source for cell in cells if cell.cell_type == "markdown" and "![](" in cell.source]


@pytest.mark.parametrize("path", LESSONS, ids=by_name)
def test_a_lesson_has_all_its_parts(path):
    cells = read(path)
    stage = path.stem.partition("_")[2]
    headings = re.findall(r"^#+ (.+)$", "\n".join(c.text for c in cells if c.kind == "markdown"), re.MULTILINE)
    wanted = [one.id for one in all_exercises().values() if one.stage == stage]
    assert [cell.exercise for cell in cells if "check" in cell.tags] == wanted
    assert [f"{id.split('-')[1]}." for id in wanted] == [h.split()[0] for h in headings if h[0].isdigit()]
    for heading in ("Run and look", "Where it goes wrong", "The same from a terminal", "What you have seen"):
        assert heading in headings
    assert any(
        heading.partition(". ")[2].startswith("Stretch") or heading.startswith("Stretch") for heading in headings
    )
    assert "you will be able to" in cells[0].text
    assert f'course.lifecycle("{stage}")' in next(cell.text for cell in cells if cell.kind == "code")
    assert sum("course.reveal(" in cell.text for cell in cells) >= 2


@pytest.mark.parametrize("path", LESSONS, ids=by_name)
def test_at_most_a_third_is_run_and_look(path):
    cells = [cell for cell in read(path) if "solution" not in cell.tags]
    starts = [n for n, cell in enumerate(cells) if re.search(r"^## (Run and look|1\. )", cell.text, re.MULTILINE)]
    assert (starts[1] - starts[0]) <= len(cells) / 3
