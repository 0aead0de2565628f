"""The notebook of stage 4 in a real browser: run its first part, pick a garment, send it, replace the server."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_serve.ipynb"
STDERR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"


@pytest.fixture
def notebook():
    """Return what is run and looked at, up to the first exercise."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    end = next(place for place, cell in enumerate(book.cells) if cell.source.startswith("## 1. "))
    book.cells = book.cells[:end]
    return book


def test_pick_send_and_replace(opened, notebook):
    book = opened(notebook)
    book.run_all()
    assert not book.page.locator(STDERR).count()

    # Send a sandal, then a bag: the bars change.
    sender = book.cell("widgets.send(server, dataset)")
    result = sender.locator(".lab-result")
    sender.get_by_role("button", name="#8 Sandal").click()
    sender.get_by_role("button", name="Send").click()
    result.get_by_text("It says: Sandal").wait_for()
    assert "generation 1" in result.inner_text()
    book.image(sender, "send", ("lab", "lab-dark", "notebook"))
    sender.get_by_role("button", name="#18 Bag").click()
    sender.get_by_role("button", name="Send").click()
    result.get_by_text("It says: Bag").wait_for()

    # Running the server's cell again replaces the server, and the widget hears the new one.
    started = book.run_cell("server = serve.start(models)")
    started.get_by_text("2, replaced generation 1").wait_for()
    sender.get_by_role("button", name="Send").click()
    result.get_by_text("generation 2").wait_for()


def test_keyboard_and_error(opened, notebook):
    book = opened(notebook)
    book.run_all()
    sender = book.cell("widgets.send(server, dataset)")
    result = sender.locator(".lab-result")

    # Without a pointer: focus an image, press space; focus Send, press Enter.
    sender.get_by_role("button", name="#1 Pullover").focus()
    book.page.keyboard.press("Space")
    sender.get_by_text("test image 1,").wait_for()
    sender.get_by_role("button", name="Send").focus()
    book.page.keyboard.press("Enter")
    result.get_by_text("It says: Pullover").wait_for()

    # A version that is not there: the server's sentence and hint, no traceback.
    version = sender.get_by_label("Version")
    version.fill("v9")
    version.press("Enter")
    sender.get_by_role("button", name="Send").click()
    result.get_by_text("404").wait_for()
    assert "has no version 'v9'" in result.inner_text()
    assert "Traceback" not in sender.inner_text()

    # The model's mistakes, asked for over HTTP.
    version.fill("v1")
    version.press("Enter")
    sender.get_by_label("Show").select_option(label="wrongly classified, most confident first")
    sender.get_by_text("test accuracy").wait_for()
    # Jupyter draws the new buttons a moment after the accuracy.
    sender.locator("button.widget-toggle-button").first.filter(has_text="→").wait_for()
