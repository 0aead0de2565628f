import pytest

pytest.importorskip("anywidget")

from mlops_lab.widgets.canvas import Canvas, module


@pytest.fixture
def canvas(monkeypatch):
    shown = Canvas()
    sent = []
    monkeypatch.setattr(shown, "send", sent.append)
    return shown, sent


def test_the_module_defines_what_the_page_shares_before_it_is_used():
    text = module()
    assert text.index("class Paper") < text.index("new Paper") and text.rstrip().endswith("export default { render };")


def test_a_message_makes_it_alive_without_a_reply(canvas):
    shown, sent = canvas
    shown._handle_message(shown, {"kind": "alive"}, [])
    assert shown.alive and sent == []


def test_the_parts_of_a_drawing_are_joined_and_answered(canvas):
    shown, sent = canvas
    shown.on_drawing = lambda png, done: f"{png!r} {done}"
    shown._handle_message(shown, {"kind": "drawing", "done": True}, [memoryview(b"PN"), memoryview(b"G")])
    assert sent == [{"text": "b'PNG' True"}]


def test_without_a_function_the_browser_still_gets_its_reply(canvas):
    shown, sent = canvas
    shown._handle_message(shown, {"kind": "drawing", "done": False}, [])
    assert sent == [{"text": ""}]
