"""The drawing area. It needs anywidget, so only :func:`mlops_lab.widgets.draw` imports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mlops_lab.serve import pages

HERE = Path(__file__).parent


def module() -> str:
    """Return the front end as one JavaScript module: the drawing area of the page, and its frame in a notebook.

    The module of a widget has no URL, so it cannot import a neighbouring file.

    Examples
    --------
    >>> "class Paper" in module(), "export default { render };" in module()
    (True, True)
    """
    files = (pages.FOLDER / "canvas.js", HERE / "canvas.js")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class Canvas(anywidget.AnyWidget):  # type: ignore[misc]
    """The drawing area: white on black, with mouse, finger, pen or keyboard.

    Attributes
    ----------
    brush
        The initial width of the brush, in pixels of 280: 12, 20 or 44.
    alive
        Whether a browser has displayed the widget.
    on_drawing
        A function that is called with the drawing as a PNG (centred and inverted if selected; empty if there is no
        drawing) and whether the stroke has ended. The text that it returns is shown below the drawing.

    Examples
    --------
    >>> canvas = Canvas()
    >>> canvas.on_drawing = lambda png, done: f"{len(png)} bytes"
    >>> canvas.alive
    False
    """

    _esm = module()
    _css = HERE / "canvas.css"
    brush = traitlets.Int(20).tag(sync=True)
    alive = traitlets.Bool(False)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_drawing: Callable[[bytes, bool], str] = lambda png, done: ""
        self.on_msg(self._handle_message)

    def _handle_message(self, _: Any, message: dict[str, Any], buffers: list[memoryview]) -> None:
        if message["kind"] == "alive":
            self.alive = True
            return
        text = ""
        try:
            text = self.on_drawing(b"".join(buffers), message["done"])
        finally:
            # The browser sends the next drawing after this reply.
            self.send({"text": text})
