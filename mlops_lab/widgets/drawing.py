"""The drawing area: it classifies a drawing while it is drawn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ipywidgets

from mlops_lab import show
from mlops_lab.client import Client, Predictions
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError
from mlops_lab.image import InputSpec, decode
from mlops_lab.widgets import fragments
from mlops_lab.widgets.file_upload import Upload
from mlops_lab.widgets.preprocessing import fetch_input
from mlops_lab.widgets.selection import as_client
from mlops_lab.widgets.send_form import SendAndSee

if TYPE_CHECKING:
    from mlops_lab.widgets.canvas import Canvas

SECONDS = 5.0  # the time in which a browser displays the widget
NO_PACKAGE = "The drawing area needs anywidget, which is not installed in this kernel: pip install anywidget."
NO_FRONT_END = (
    "The browser has not shown the drawing area. Usually anywidget is missing where Jupyter itself runs: "
    "pip install anywidget there, restart Jupyter, and reload this page."
)


class Draw(ipywidgets.VBox):  # type: ignore[misc]
    """A drawing area with the model's input and prediction.

    Attributes
    ----------
    canvas
        The drawing area.
    answer
        The last predictions, or ``None``.

    Examples
    --------
    >>> Draw(serve.Client(server), dataset, Canvas(), "clothes", "v1")  # doctest: +SKIP
    """

    def __init__(
        self, client: Client, dataset: Dataset, canvas: Canvas, name: str = "clothes", version: int | str = "latest"
    ) -> None:
        super().__init__()
        self.client, self.dataset, self.name, self.version = client, dataset, name, version
        self.answer: Predictions | None = None
        self._inputs: dict[str, InputSpec | None] = {}
        self.canvas = canvas
        self.canvas.on_drawing = self.classify
        self.canvas.observe(lambda _: self._show(), "alive")
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self._drawing = ipywidgets.HBox([self.canvas, self.result])
        self._drawing.layout.flex_flow = "row wrap"
        self._reset()
        self._show()

    def __repr__(self) -> str:
        return f"<Draw to {self.name} {self.version} at {self.client.url}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._schedule_check()
        return super()._repr_mimebundle_(**options)

    def classify(self, png: bytes, done: bool = True) -> str:
        """Send a drawing, display the response, and return it as text. The drawing area calls this."""
        self.answer = None
        if not png:
            self._reset()
            return "Draw something." if done else ""
        try:
            self.answer = self.client.classify(self.name, self.version, png)
            self.result.value = self._render(png, self.answer)
        except LabError as error:
            self.result.value = fragments.error_text(error)
            return f"Error: {error.message}"
        return str(self.answer[0]) if done else ""

    def _render(self, png: bytes, answer: Predictions) -> str:
        spec = self._input(answer.response["version"])
        seen = [fragments.model_input(decode(png, spec.mode), spec)] if spec else []
        parts = *seen, fragments.prediction_bars(answer[0])
        return fragments.exchange(answer) + fragments.side_by_side(*parts) + fragments.muted(self.dataset.note)

    def _input(self, version: str) -> InputSpec | None:
        """Return the input of a version; it never changes, so it is requested once."""
        if version not in self._inputs:
            self._inputs[version] = fetch_input(self.client, self.name, version)
        return self._inputs[version]

    def _reset(self) -> None:
        appears = "The model's input and its prediction appear here."
        self.result.value = fragments.muted(f"{appears} {self.dataset.note}".strip())

    def _show(self) -> None:
        self.children = [self._drawing]

    def _schedule_check(self) -> None:
        """Show the fallback if no browser displays the drawing area in time."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # not in a kernel
            return
        loop.call_later(SECONDS, self._check)

    def _check(self) -> None:
        # The drawing area stays: a slow browser may still display it.
        if not self.canvas.alive:
            others = fallback(NO_FRONT_END, self.client, self.dataset, self.name, self.version)
            self.children = [self._drawing, others]


def fallback(reason: str, client: Client, dataset: Dataset, name: str, version: int | str) -> ipywidgets.VBox:
    """Return test images and a file upload, which need only ipywidgets, with the reason for the fallback."""
    tabs = {
        "Test images": SendAndSee(client, dataset, name, version),
        "An image of your own": Upload(client, name, version),
    }
    style = f"{show.FONT}; color: {show.TEXT}; line-height: 1.5"
    text = f'<div style="{style}">{show.state("warning", "no drawing area")} · {reason}</div>'
    return ipywidgets.VBox([ipywidgets.HTML(text), ipywidgets.Tab([*tabs.values()], titles=[*tabs])])


def draw(server: Any, dataset: Dataset, name: str = "clothes", version: int | str = "latest") -> ipywidgets.VBox:
    """Return a drawing area with the model's input and prediction, updated while you draw.

    Without anywidget (``pip install mlops-lab[draw]``), or where the browser does not display it, test images and a
    file upload replace it, with the reason.

    Parameters
    ----------
    server
        A running server, its URL, or a client.
    dataset
        The data set whose test images are the fallback.
    name, version
        The model and its version.

    Returns
    -------
    ipywidgets.VBox
        A :class:`Draw`, or the fallback.

    Examples
    --------
    >>> draw(server, data.load("digits"), "digits")  # doctest: +SKIP
    """
    client = as_client(server)
    try:
        from mlops_lab.widgets.canvas import Canvas
    except ImportError:
        return fallback(NO_PACKAGE, client, dataset, name, version)
    return Draw(client, dataset, Canvas(), name, version)
