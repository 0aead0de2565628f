"""Draw a garment or a digit, and see what the model says of it while you draw."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ipywidgets

from mlops_lab import show
from mlops_lab.client import Client, Predictions
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError
from mlops_lab.image import InputSpec, decode
from mlops_lab.widgets import faces
from mlops_lab.widgets.sending import SendAndSee
from mlops_lab.widgets.uploading import Upload

if TYPE_CHECKING:
    from mlops_lab.widgets.canvas import Canvas

SECONDS = 5.0  # until a browser that shows widgets has shown this one
NO_PACKAGE = "The drawing area needs anywidget, which this kernel does not have: pip install anywidget."
NO_FRONT_END = (
    "The browser has not shown the drawing area. Most often anywidget is missing where Jupyter itself runs: "
    "pip install anywidget there, start Jupyter again, and load this page anew."
)


class Draw(ipywidgets.VBox):  # type: ignore[misc]
    """Draw, and see what the model sees and says.

    Attributes
    ----------
    canvas
        Where to draw.
    answer
        The last answer, or ``None``.

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
        self._inputs: dict[str, InputSpec] = {}
        self.canvas = canvas
        self.canvas.on_drawing = self.ask
        self.canvas.observe(lambda _: self._show(), "alive")
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self._drawing = ipywidgets.HBox([self.canvas, self.result])
        self._drawing.layout.flex_flow = "row wrap"
        self._wait()
        self._show()

    def __repr__(self) -> str:
        return f"<Draw to {self.name} {self.version} at {self.client.url}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._expect_the_browser()
        return super()._repr_mimebundle_(**options)

    def ask(self, png: bytes, done: bool = True) -> str:
        """Send a drawing, show what comes back, and return it as a sentence. The drawing area calls this."""
        self.answer = None
        if not png:
            self._wait()
            return "Draw something." if done else ""
        try:
            self.answer = self.client.classify(self.name, self.version, png)
            self.result.value = self._answered(png, self.answer)
        except LabError as error:
            self.result.value = faces.problem(error)
            return f"Error: {error.message}"
        return str(self.answer[0]) if done else ""

    def _answered(self, png: bytes, answer: Predictions) -> str:
        spec = self._input(answer.response["version"])
        seen = faces.seen(decode(png, spec.mode), spec)
        return faces.exchange(answer) + faces.side_by_side(seen, faces.said(answer[0]))

    def _input(self, version: str) -> InputSpec:
        """Return what a version takes; it never changes, so it is asked for once."""
        if version not in self._inputs:
            self._inputs[version] = InputSpec.from_dict(self.client.info(self.name, version)["input"])
        return self._inputs[version]

    def _wait(self) -> None:
        self.result.value = faces.muted("What the model sees, and what it says, will stand here.")

    def _show(self) -> None:
        self.children = [self._drawing]

    def _expect_the_browser(self) -> None:
        """Offer other ways to the model if no browser shows the drawing area in a while."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # not in a kernel, so nobody looks
            return
        loop.call_later(SECONDS, self._look)

    def _look(self) -> None:
        # The drawing area stays: a browser that is only slow shows it yet, and then it is heard.
        if not self.canvas.alive:
            others = instead(NO_FRONT_END, self.client, self.dataset, self.name, self.version)
            self.children = [self._drawing, others]


def instead(reason: str, client: Client, dataset: Dataset, name: str, version: int | str) -> ipywidgets.VBox:
    """Return the ways to a model that need nothing but ipywidgets, and why they stand here."""
    ways = {
        "Test images": SendAndSee(client, dataset, name, version),
        "An image of your own": Upload(client, name, version),
    }
    style = f"{show.FONT}; color: {show.TEXT}; line-height: 1.5"
    words = f'<div style="{style}">{show.state("warning", "no drawing area")} · {reason}</div>'
    return ipywidgets.VBox([ipywidgets.HTML(words), ipywidgets.Tab([*ways.values()], titles=[*ways])])


def draw(server: Any, dataset: Dataset, name: str = "clothes", version: int | str = "latest") -> ipywidgets.VBox:
    """Return a drawing area, and under your hand what the model sees and says.

    Without anywidget (``pip install mlops-lab[draw]``), or where the browser does not show it, test images and an
    upload stand in its place, and why.

    Parameters
    ----------
    server
        A running server, its address, or a client.
    dataset
        Whose test images stand in where nothing can be drawn.
    name, version
        The model to ask.

    Returns
    -------
    ipywidgets.VBox
        A :class:`Draw`, or what stands in for it.

    Examples
    --------
    >>> draw(server, data.load("digits"), "digits")  # doctest: +SKIP
    """
    client = server if isinstance(server, Client) else Client(server)
    try:
        from mlops_lab.widgets.canvas import Canvas
    except ImportError:
        return instead(NO_PACKAGE, client, dataset, name, version)
    return Draw(client, dataset, Canvas(), name, version)
