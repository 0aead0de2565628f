"""A class on one machine: two JupyterLab servers run the same notebook at the same time, each in its own folder."""

import contextlib
import json
from pathlib import Path

import nbformat
import pytest

from mlops_lab import course
from mlops_lab.grade.exercises import all_exercises

ROOT = Path(__file__).parents[2]
LESSON = "04_serve"  # it has servers, a program that listens, an api.py that is written, and checks that start it
WRONG = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{}']"
RUN = (
    "() => { window.ran = 0;"
    " window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.ran = 1 }) }"
)
READY = (
    "() => { const s = window.jupyterapp?.shell?.currentWidget?.sessionContext;"
    " return s && s.isReady && s.session?.kernel?.status === 'idle'; }"
)


def up_to_serve_2():
    """Return the first part of the solution: its servers, and an api.py that two checks start."""
    book = nbformat.read(ROOT / "notebooks" / "solutions" / f"{LESSON}.ipynb", as_version=4)
    end = next(place for place, cell in enumerate(book.cells) if "\n## 3. " in f"\n{cell.source}")
    book.cells = book.cells[:end]
    return book


@pytest.fixture
def users(jupyter_over, tmp_path):
    """Two servers, each over a folder that ``mlops-lab start`` made."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("ann", "bob"):
            (tmp_path / name).mkdir()
            user = stack.enter_context(jupyter_over(name, tmp_path / name))
            (user.folder / "notebooks").rmdir()
            course.start(user.folder / "notebooks")
            nbformat.write(up_to_serve_2(), user.folder / "notebooks" / f"{LESSON}.ipynb")
            found.append(user)
        yield found


@pytest.mark.timeout(900)
def test_the_same_notebook_at_once(users, chromium):
    pages = [chromium.new_context(viewport={"width": 1280, "height": 1400}).new_page() for _ in users]
    for page, user in zip(pages, users, strict=True):
        page.set_default_timeout(300_000)
        page.goto(user.address(LESSON))
        page.wait_for_function(READY)
    for page in pages:
        page.evaluate(RUN)
    for page in pages:
        page.wait_for_function("() => window.ran === 1", timeout=800_000)
    wanted = {one.id: one.max_points for one in all_exercises().values() if one.id in ("serve-1", "serve-2")}
    for page, user in zip(pages, users, strict=True):
        for kind in ("error", "stderr"):
            assert not page.locator(WRONG.format(kind)).all_inner_texts()
        kept = json.loads((user.folder / "notebooks" / ".mlops-lab" / "progress.json").read_text(encoding="utf-8"))
        assert {id: entry["points"] for id, entry in kept["exercises"].items()} == wanted
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.context.close()
