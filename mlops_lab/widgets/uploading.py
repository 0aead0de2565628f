"""A photo of one's own: uploaded, prepared step by step, sent."""

from __future__ import annotations

from typing import Any

import ipywidgets

from mlops_lab.client import Client, Predictions
from mlops_lab.errors import LabError
from mlops_lab.image import InputSpec
from mlops_lab.widgets import faces
from mlops_lab.widgets.preparing import Step, steps


class Upload(ipywidgets.VBox):  # type: ignore[misc]
    """Choose a PNG or JPEG file, see each step of its preparation, and what the model says.

    Attributes
    ----------
    answer
        The last answer, or ``None``.

    Examples
    --------
    >>> Upload(serve.Client(server), "clothes", "v1")  # doctest: +SKIP
    """

    def __init__(self, client: Client, name: str = "clothes", version: int | str = "latest") -> None:
        super().__init__()
        self.client, self.name, self.version = client, name, version
        self.answer: Predictions | None = None
        self.file = ipywidgets.FileUpload(accept=".png,.jpg,.jpeg", description="Choose an image", multiple=False)
        self.file.layout.width = "auto"
        choices = [("as the image asks for it", None), ("always", True), ("never", False)]
        self.invert = ipywidgets.Dropdown(options=choices, index=0, description="Invert")
        self.result = ipywidgets.HTML(faces.muted("A PNG or JPEG of one garment on a plain ground works best."))
        self.result.add_class("lab-result")
        self.file.observe(self._ask, "value")
        self.invert.observe(self._ask, "value")
        self.children = [ipywidgets.HBox([self.file, self.invert]), self.result]

    def __repr__(self) -> str:
        return f"<Upload to {self.name} {self.version} at {self.client.url}>"

    def _ask(self, _: Any) -> None:
        if not self.file.value:
            return
        self.answer = None
        try:
            self.result.value = self._answered(bytes(self.file.value[0]["content"]))
        except LabError as error:
            self.result.value = faces.problem(error)

    def _answered(self, file: bytes) -> str:
        spec = InputSpec.from_dict(self.client.info(self.name, self.version)["input"])
        way = steps(file, spec, self.invert.value)
        self.answer = self.client.classify(self.name, self.version, way[-1].pixels)
        images = [drawn(number, step, last=step is way[-1]) for number, step in enumerate(way, start=1)]
        return faces.exchange(self.answer) + faces.side_by_side(*images, faces.said(self.answer[0]))


def drawn(number: int, step: Step, *, last: bool) -> str:
    """Return one step as an image with its words."""
    alt = f"Step {number}, {step.title}: {step.words}"
    return faces.column(f"{number} {step.title}", faces.figure(step.pixels, alt, step.words, width=120, pixelated=last))


def upload(server: Any, name: str = "clothes", version: int | str = "latest") -> Upload:
    """Return a widget that takes a photo of one's own and shows how it becomes what the model takes.

    Parameters
    ----------
    server
        A running server, its address, or a client.
    name, version
        The model to ask.

    Examples
    --------
    >>> upload(server)  # doctest: +SKIP
    """
    return Upload(server if isinstance(server, Client) else Client(server), name, version)
