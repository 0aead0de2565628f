"""The send form: pick an image, send it over HTTP, and display the prediction, the request and the response."""

from __future__ import annotations

from typing import Any

import ipywidgets
from numpy.typing import NDArray

from mlops_lab.client import Client, Predictions
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError, ServerError
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.widgets import fragments, snippets
from mlops_lab.widgets.image_gallery import Gallery
from mlops_lab.widgets.preprocessing import fetch_input
from mlops_lab.widgets.selection import as_client, classify_all

TABS = ("JSON", "as curl", "as requests")


class SendAndSee(ipywidgets.VBox):  # type: ignore[misc]
    """A gallery with a Send button that displays the complete HTTP exchange.

    Attributes
    ----------
    gallery
        The images; ``gallery.picked = 17`` picks one from code.
    answer
        The result of the last :meth:`Client.classify`, or ``None``.
    error
        The error that was raised instead, or ``None``.

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
            classify=lambda progress: classify_all(
                self.client, self.name, self.version, dataset.test.images, progress=progress
            ),
        )
        self._build(name, str(version))
        self.gallery.picked = int(self.gallery.indices[0])

    def __repr__(self) -> str:
        return f"<SendAndSee {self.request} at {self.client.url}>"

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self._name_box.value).strip()

    @property
    def version(self) -> str:
        """The version: ``v1``, an alias or ``latest``."""
        return str(self._version_box.value).strip()

    @property
    def request(self) -> str:
        """The request line."""
        return f"POST /models/{self.name}/{self.version}"

    @property
    def url(self) -> str:
        """The full URL of the request."""
        return f"{self.client.url}/models/{self.name}/{self.version}"

    @property
    def image(self) -> NDArray[Any]:
        """The pixels of the picked image."""
        pixels: NDArray[Any] = self.dataset.test.images[self.gallery.picked]
        return pixels

    def send(self, _: Any = None) -> None:
        """Send the picked image, and display the response. The button calls this."""
        self.answer = self.error = None
        try:
            self.answer = self.client.classify(self.name, self.version, self.image)
            spec = fetch_input(self.client, self.name, self.version)
        except LabError as error:
            self.error = error
            self._show_error(error)
        else:
            self._show_answer(self.answer, spec)
        self._show_snippets()

    def _build(self, name: str, version: str) -> None:
        small = ipywidgets.Layout(width="190px")
        self._known = self._list_models()
        # The server may have more by now: what is not in the list can be typed.
        self._name_box = ipywidgets.Combobox(value=name, description="Model", layout=small, options=tuple(self._known))
        self._version_box = ipywidgets.Combobox(value=version, description="Version", layout=small)
        self._version_box.options = self._known.get(name, ())
        for box in (self._name_box, self._version_box):
            box.continuous_update = False
            box.style.description_width = "56px"
            box.observe(self._choose, "value")
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
        self.line.value = fragments.muted(f"to {self.client.url}")
        self._reset()

    def _list_models(self) -> dict[str, tuple[str, ...]]:
        """Return the versions and aliases of each model of the server; none where it does not list them."""
        try:
            return {
                model["name"]: (*model.get("aliases", {}), "latest", *reversed(model["versions"]))
                for model in self.client.models()
            }
        except (LabError, KeyError, TypeError):
            return {}

    def _choose(self, _: Any) -> None:
        """Another model or version: what the last one answered goes."""
        self._version_box.options = self._known.get(self.name, ())
        self.gallery.clear_predictions()
        self.answer = self.error = None
        self.result.value = ""
        self._reset()

    def _reset(self) -> None:
        for text in self.texts:
            text.value = fragments.muted("Press Send.")

    def _show_answer(self, answer: Predictions, spec: InputSpec | None) -> None:
        picked = self.gallery.picked
        truth = self.dataset.classes[self.dataset.test.labels[picked]]
        self.result.value = fragments.exchange(answer) + fragments.side_by_side(
            fragments.sent_image(self.image, f"test image {picked}"),
            fragments.model_input(self.image, spec) if spec else "",
            fragments.prediction_bars(answer[0], truth),
        )
        self.texts[0].value = fragments.code(fragments.pretty(answer.response))

    def _show_error(self, error: LabError) -> None:
        self.result.value = fragments.failed_request(self.request, error)
        # The server's errors are JSON; without a response there is nothing to show.
        answered = not isinstance(error, ServerError)
        body = fragments.code(fragments.pretty(error.to_dict()))
        self.texts[0].value = body if answered else fragments.muted("There was no response.")

    def _show_snippets(self) -> None:
        png = encode_png(self.image)
        self.texts[1].value = fragments.code(snippets.as_curl(self.url, png))
        self.texts[2].value = fragments.code(snippets.as_requests(self.url, png))


def send(
    server: Any, dataset: Dataset, name: str = "clothes", version: int | str = "v1", *, count: int = 24
) -> SendAndSee:
    """Return a gallery of test images with a Send button, and the complete HTTP exchange below it.

    Parameters
    ----------
    server
        A running server, its URL, or a :class:`~mlops_lab.client.Client`.
    dataset
        From :func:`mlops_lab.data.load`.
    name, version
        The initial model and version; both can be changed in the widget.
    count
        The number of images on a page.

    Examples
    --------
    >>> send(server, data.load("fashion-mnist"))  # doctest: +SKIP
    """
    client = as_client(server)
    return SendAndSee(client, dataset, name, version, count=count)
