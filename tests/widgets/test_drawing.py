import asyncio
import re
import subprocess
import sys

import numpy as np
import pytest

from mlops_lab import widgets
from mlops_lab.image import encode_png
from mlops_lab.widgets import drawing

pytest.importorskip("anywidget")
LINE = encode_png(np.pad(np.full((280, 40), 255, np.uint8), ((0, 0), (120, 120))))


@pytest.fixture
def paper(server, digits):
    return widgets.draw(server, digits, "light", "v1")


@pytest.fixture
def told(paper, monkeypatch):
    """What the kernel tells the browser."""
    found = []
    monkeypatch.setattr(paper.canvas, "send", found.append)
    return found


def hear(paper, message, *buffers):
    """Do what the browser does: send a message to the kernel."""
    paper.canvas._handle_custom_msg(message, [memoryview(buffer) for buffer in buffers])


def text(html):
    return re.sub(r"<[^>]+>", " ", html)


def test_a_drawing_is_sent_and_answered(paper, told, predictors):
    hear(paper, {"kind": "drawing", "done": True}, LINE)
    assert paper.answer.request == "POST /models/light/v1"
    shown = text(paper.result.value)
    assert "Most sevens of its training data have a bar" in shown
    for part in (
        "The model sees",
        "64 numbers",
        "shape 64",
        f"It says: {paper.answer[0]}",
        "✓ 200",
    ):
        assert part in shown
    assert told == [{"text": str(paper.answer[0])}]


def test_while_a_stroke_goes_on_nothing_is_announced(paper, told):
    hear(paper, {"kind": "drawing", "done": False}, LINE)
    assert paper.answer is not None
    assert told == [{"text": ""}]


def test_an_empty_paper_asks_nothing(paper, told, server):
    hear(paper, {"kind": "drawing", "done": True}, LINE)
    before = len(server.requests)
    hear(paper, {"kind": "drawing", "done": True})
    assert len(server.requests) == before
    assert paper.answer is None
    assert "It says" not in paper.result.value


def test_what_a_version_takes_is_asked_for_once(paper, server):
    paper.classify(LINE)
    before = len(server.requests)
    paper.classify(LINE)
    assert [seen.method for seen in list(server.requests)[before:]] == ["POST"]


def test_an_error_is_said_and_shown(server, digits):
    paper = widgets.draw(server, digits, "light", "v9")
    assert paper.classify(LINE).startswith("Error: ")
    assert "✗ error" in text(paper.result.value)


def test_the_browser_hears_even_where_the_kernel_fails(paper, told):
    paper.canvas.on_drawing = lambda png, done: 1 / 0
    hear(paper, {"kind": "drawing", "done": True}, LINE)  # ipywidgets logs it
    assert told == [{"text": ""}]


def ways(stand_in):
    tabs = stand_in.children[1]
    return dict(zip(tabs.titles, tabs.children, strict=True))


def test_without_anywidget_others_stand_in(server, digits, monkeypatch):
    monkeypatch.delitem(sys.modules, "mlops_lab.widgets.canvas", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    stand_in = widgets.draw(server, digits, "light", "v1")
    assert "pip install anywidget" in stand_in.children[0].value
    found = ways(stand_in)
    found["Test images"].send()
    assert found["Test images"].answer.request == "POST /models/light/v1"
    assert (found["An image of your own"].name, found["An image of your own"].version) == ("light", "v1")


def displayed(paper, monkeypatch, meanwhile=lambda: None):
    """Show a widget as a kernel does, whose loop runs."""
    monkeypatch.setattr(drawing, "SECONDS", 0.01)

    async def cell():
        paper._repr_mimebundle_()
        meanwhile()
        await asyncio.sleep(0.05)

    asyncio.run(cell())


def test_where_the_browser_shows_nothing_others_stand_in(paper, monkeypatch):
    displayed(paper, monkeypatch)
    others = paper.children[1]
    assert "The browser has not shown the drawing area" in others.children[0].value
    assert set(ways(others)) == {"Test images", "An image of your own"}


def test_where_the_browser_shows_it_it_stays(paper, monkeypatch):
    displayed(paper, monkeypatch, lambda: hear(paper, {"kind": "alive"}))
    assert len(paper.children) == 1


def test_a_browser_that_was_slow_is_heard(paper, monkeypatch):
    displayed(paper, monkeypatch)
    assert len(paper.children) == 2
    hear(paper, {"kind": "alive"})
    assert len(paper.children) == 1


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_imported(paper):
    assert "http" not in paper.canvas._esm + paper.canvas._css
    assert not re.search(r"^import ", paper.canvas._esm, re.MULTILINE)


def test_the_package_opens_without_anywidget():
    code = "import sys; sys.modules['anywidget'] = None; from mlops_lab import widgets; print(widgets.draw.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "draw\n"
