"""The eight notebooks in a real JupyterLab, unanswered, in the folder that a student starts with: every cell runs."""

import shutil
from pathlib import Path

import pytest

from mlops_lab import course

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
WRONG = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{}']"
SECONDS = 240
RAN = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = panel.content.widgets.map((cell) => cell.model);
  const code = cells.filter((cell) => cell.type === "code" && cell.sharedModel.source);
  return panel.sessionContext.session.kernel.status === "idle" && code.every((cell) => cell.executionCount);
}"""
# Of every widget whether it is drawn, and of every image whether it has arrived.
BROKEN = """() => [
  ...[...document.querySelectorAll(".jp-OutputArea-output")].map((output) => output.innerText)
    .filter((text) => /Loading widget|Error displaying widget|Failed to load/.test(text)),
  ...[...document.querySelectorAll(".jp-Notebook img")].filter((image) => image.complete && !image.naturalWidth)
    .map((image) => image.alt),
]"""


@pytest.fixture(scope="module")
def started(tmp_path_factory, jupyter_over):
    """Return a JupyterLab over a folder of ``mlops-lab start``."""
    place = tmp_path_factory.mktemp("course")
    with jupyter_over("course", place) as server:
        folder = server.folder / "notebooks"
        shutil.rmtree(folder)
        course.start(folder)
        yield server


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_from_its_first_cell_to_its_last(started, notebooks_in, name, tmp_path):
    import nbformat

    with notebooks_in(started) as opened:
        book = opened(nbformat.read(started.folder / "notebooks" / f"{name}.ipynb", as_version=4))
        book.run_all()
        page = book.page
        page.wait_for_function(RAN, timeout=1000 * SECONDS, polling=500)
        for kind in ("error", "stderr"):
            assert page.locator(WRONG.format(kind)).all_inner_texts() == []
        assert page.evaluate(BROKEN) == []
        # All of it in one image, to be looked at.
        height = page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight + 200")
        page.set_viewport_size({"width": 1280, "height": height})
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
            page.wait_for_timeout(500)
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
            page.screenshot(path=tmp_path / f"{name}-{theme.split()[1]}.png")
