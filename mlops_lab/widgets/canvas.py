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
    """Return the front end as one module: the page's drawing area, and its frame in a notebook.

    A widget's module has no address of its own to import a neighbour from.

    Examples
    --------
    >>> "class Paper" in module(), "export default { render };" in module()
    (True, True)
    """
    files = (pages.FOLDER / "canvas.js", HERE / "canvas.js")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class Canvas(anywidget.AnyWidget):  # type: ignore[misc]
    """Where one draws: white on black, with mouse, finger, pen or keys.

    Attributes
    ----------
    brush
        The width of the brush at first, of 280: 12, 20 or 44.
    alive
        Whether a browser has shown it.
    on_drawing
        Called with the drawing as a PNG (centred, and inverted where that is asked for; empty once nothing is left)
        and whether a stroke has ended. What it returns is said beneath the drawing.

    Examples
    --------
    >>> paper = Canvas()
    >>> paper.on_drawing = lambda png, done: f"{len(png)} bytes"
    >>> paper.alive
    False
    """

    _esm = module()
    _css = HERE / "canvas.css"
    brush = traitlets.Int(20).tag(sync=True)
    alive = traitlets.Bool(False)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_drawing: Callable[[bytes, bool], str] = lambda png, done: ""
        self.on_msg(self._heard)

    def _heard(self, _: Any, message: dict[str, Any], buffers: list[memoryview]) -> None:
        if message["kind"] == "alive":
            self.alive = True
            return
        said = ""
        try:
            said = self.on_drawing(b"".join(buffers), message["done"])
        finally:
            # The browser sends the next drawing when it has heard of this one.
            self.send({"said": said})
