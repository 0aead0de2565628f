"""The upload of an image file: preprocessed step by step, then classified."""

from __future__ import annotations

from typing import Any

import ipywidgets

from mlops_lab.client import Client, Predictions
from mlops_lab.errors import LabError
from mlops_lab.widgets import fragments
from mlops_lab.widgets.preprocessing import PreprocessingStep, fetch_input, steps
from mlops_lab.widgets.selection import as_client


class Upload(ipywidgets.VBox):  # type: ignore[misc]
    """A file chooser that displays each preprocessing step and the prediction.

    Attributes
    ----------
    answer
        The last predictions, or ``None``.

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
        choices = [("automatic", None), ("always", True), ("never", False)]
        self.invert = ipywidgets.Dropdown(options=choices, index=0, description="Invert")
        self.result = ipywidgets.HTML(fragments.muted("A PNG or JPEG of one garment on a plain background works best."))
        self.result.add_class("lab-result")
        self.file.observe(self._classify, "value")
        self.invert.observe(self._classify, "value")
        self.children = [ipywidgets.HBox([self.file, self.invert]), self.result]

    def __repr__(self) -> str:
        return f"<Upload to {self.name} {self.version} at {self.client.url}>"

    def _classify(self, _: Any) -> None:
        if not self.file.value:
            return
        self.answer = None
        try:
            self.result.value = self._render(bytes(self.file.value[0]["content"]))
        except LabError as error:
            self.result.value = fragments.error_text(error)

    def _render(self, file: bytes) -> str:
        spec = fetch_input(self.client, self.name, self.version)
        taken = steps(file, spec, self.invert.value)
        self.answer = self.client.classify(self.name, self.version, taken[-1].pixels if spec else file)
        parts = [render_step(number, step, last=step is taken[-1]) for number, step in enumerate(taken, start=1)]
        parts.append(fragments.prediction_bars(self.answer[0]))
        return fragments.exchange(self.answer) + fragments.side_by_side(*parts)


def render_step(number: int, step: PreprocessingStep, *, last: bool) -> str:
    """Return one step as an image with its caption."""
    alt = f"Step {number}, {step.title}: {step.caption}"
    figure = fragments.figure(step.pixels, alt, step.caption, width=120, pixelated=last)
    return fragments.column(f"{number} {step.title}", figure)


def upload(server: Any, name: str = "clothes", version: int | str = "latest") -> Upload:
    """Return a widget that uploads an image file, and displays how it is converted to the model's input.

    Parameters
    ----------
    server
        A running server, its URL, or a client.
    name, version
        The model and its version.

    Examples
    --------
    >>> upload(server)  # doctest: +SKIP
    """
    return Upload(as_client(server), name, version)
