"""*Send and see*: pick an image, send it over HTTP, and see what the model says and how the request went."""

from __future__ import annotations

from typing import Any

import ipywidgets
from numpy.typing import NDArray

from mlops_lab.client import Client, Predictions
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError, ServerError
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.widgets import faces, snippets
from mlops_lab.widgets.choice import ask_all
from mlops_lab.widgets.picking import Gallery

TABS = ("JSON", "as curl", "as requests")


class SendAndSee(ipywidgets.VBox):  # type: ignore[misc]
    """Pick a test image, press Send, and see the whole exchange.

    Attributes
    ----------
    gallery
        Where to pick; ``gallery.picked = 17`` picks from code.
    answer
        The last answer, as :meth:`Client.classify` returned it, or ``None``.
    error
        What the server said instead, or ``None``.

    Examples
    --------
    >>> SendAndSee(serve.Client(server), dataset, "clothes", "v1")  # doctest: +SKIP
    """

    def __init__(
        self, client: Client, dataset: Dataset, name: str = "clothes", version: int | str = "v1", *, count: int = 24
    ) -> None:
        super().__init__()
        self.client, self.dataset = client, dataset
        self.answer: Predictions | None = None
        self.error: LabError | None = None
        self.gallery = Gallery(
            dataset,
            count=count,
            ask=lambda progress: ask_all(self.client, self.name, self.version, dataset.test.images, progress=progress),
        )
        self._build(name, str(version))
        self.gallery.picked = int(self.gallery.places[0])

    def __repr__(self) -> str:
        return f"<SendAndSee {self.request} at {self.client.url}>"

    @property
    def name(self) -> str:
        """The model that is asked."""
        return str(self._name_box.value).strip()

    @property
    def version(self) -> str:
        """The version that is asked: ``v1``, an alias or ``latest``."""
        return str(self._version_box.value).strip()

    @property
    def request(self) -> str:
        """The request line."""
        return f"POST /models/{self.name}/{self.version}"

    @property
    def url(self) -> str:
        """The whole address that the request goes to."""
        return f"{self.client.url}/models/{self.name}/{self.version}"

    @property
    def image(self) -> NDArray[Any]:
        """The pixels of the image that is picked."""
        pixels: NDArray[Any] = self.dataset.test.images[self.gallery.picked]
        return pixels

    def send(self, _: Any = None) -> None:
        """Send the image that is picked, and show what comes back. The button calls this."""
        self.answer = self.error = None
        try:
            self.answer = self.client.classify(self.name, self.version, self.image)
            spec = InputSpec.from_dict(self.client.info(self.name, self.version)["input"])
        except LabError as error:
            self.error = error
            self._show_error(error)
        else:
            self._show_answer(self.answer, spec)
        self._show_snippets()

    def _build(self, name: str, version: str) -> None:
        small = ipywidgets.Layout(width="170px")
        self._name_box = ipywidgets.Text(value=name, description="Model", layout=small, continuous_update=False)
        self._version_box = ipywidgets.Text(value=version, description="Version", layout=small, continuous_update=False)
        for box in (self._name_box, self._version_box):
            box.style.description_width = "56px"
            box.observe(lambda _: self.gallery.forget(), "value")
        self.button = ipywidgets.Button(description="Send", icon="paper-plane", button_style="primary")
        self.button.add_class("lab-send")
        self.button.on_click(self.send)
        self.line = ipywidgets.HTML()
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self.texts = [ipywidgets.HTML() for _ in TABS]
        self.tabs = ipywidgets.Tab(self.texts, titles=TABS, layout=ipywidgets.Layout(max_width="760px"))
        controls = ipywidgets.HBox([self._name_box, self._version_box, self.button, self.line])
        controls.layout.flex_flow, controls.layout.align_items = "row wrap", "center"
        self.children = [self.gallery, controls, self.result, self.tabs]
        self.line.value = faces.muted(f"to {self.client.url}")
        self._waiting()

    def _waiting(self) -> None:
        for text in self.texts:
            text.value = faces.muted("Press Send.")

    def _show_answer(self, answer: Predictions, spec: InputSpec) -> None:
        picked = self.gallery.picked
        truth = self.dataset.classes[self.dataset.test.labels[picked]]
        self.result.value = faces.exchange(answer) + faces.side_by_side(
            faces.sent(self.image, f"test image {picked}"),
            faces.seen(self.image, spec),
            faces.said(answer[0], truth),
        )
        self.texts[0].value = faces.code(faces.pretty(answer.response))

    def _show_error(self, error: LabError) -> None:
        self.result.value = faces.failure(self.request, error)
        # The server's own errors are JSON; where nothing came back there is none to show.
        came = not isinstance(error, ServerError)
        self.texts[0].value = faces.code(faces.pretty(error.to_dict())) if came else faces.muted("Nothing came back.")

    def _show_snippets(self) -> None:
        png = encode_png(self.image)
        self.texts[1].value = faces.code(snippets.as_curl(self.url, png))
        self.texts[2].value = faces.code(snippets.as_requests(self.url, png))


def send(
    server: Any, dataset: Dataset, name: str = "clothes", version: int | str = "v1", *, count: int = 24
) -> SendAndSee:
    """Return a gallery of test images with a Send button, and the whole exchange under it.

    Parameters
    ----------
    server
        A running server, its address, or a :class:`~mlops_lab.serve.Client`.
    dataset
        From :func:`mlops_lab.data.load`.
    name, version
        The model to ask at first; both can be changed in the widget.
    count
        Images on a page.

    Examples
    --------
    >>> send(server, data.load("fashion-mnist"))  # doctest: +SKIP
    """
    client = server if isinstance(server, Client) else Client(server)
    return SendAndSee(client, dataset, name, version, count=count)
