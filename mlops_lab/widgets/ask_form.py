"""The ask form: fields for what a model takes, numbers, text or images, and its answer with the HTTP exchange."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import ipywidgets

from mlops_lab.client import Client, Predictions
from mlops_lab.client.inputs import encode_inputs, read_inputs
from mlops_lab.errors import LabError, ServerError, WrongUsage
from mlops_lab.inputs import TEXT, InputSpec
from mlops_lab.widgets import fragments, snippets
from mlops_lab.widgets.selection import as_client

TABS = ("JSON", "as curl", "as requests")
MOST_FIELDS = 64  # of longer rows, one box takes all numbers


class AskForm(ipywidgets.VBox):  # type: ignore[misc]
    """Fields for one example of a model, by its signature, and a Send button.

    Attributes
    ----------
    fields
        The controls of each input, by its name.
    answer
        The result of the last :meth:`Client.predict`, or ``None``.
    error
        The error that was raised instead, or ``None``.

    Examples
    --------
    >>> AskForm(serve.Client(server), "houses", "v1")  # doctest: +SKIP
    """

    def __init__(self, client: Client, name: str, version: int | str = "latest") -> None:
        super().__init__()
        self.client, self.name, self.version = client, name, version
        self.answer: Predictions | None = None
        self.error: LabError | None = None
        self.specs = read_inputs(client.info(name, version))
        if not self.specs:
            message = f"{client.url} does not describe the input of {name} {version}."
            raise ServerError(message, "Send images with widgets.send, or a request with client.classify.")
        self.fields: dict[str, list[Any]] = {}
        self._readers: dict[str, Callable[[], Any]] = {}
        self._build()

    def __repr__(self) -> str:
        return f"<AskForm {self.name} {self.version} at {self.client.url}>"

    @property
    def url(self) -> str:
        """The full URL of the request."""
        return f"{self.client.url}/models/{self.name}/{self.version}"

    def values(self) -> dict[str, list[Any]]:
        """Return what the fields hold, as the examples of each input."""
        return {name: [read()] for name, read in self._readers.items()}

    def send(self, _: Any = None) -> None:
        """Send what the fields hold, and display the answer. The button calls this."""
        self.answer = self.error = None
        try:
            values = self.values()
            self.answer = self.client.predict(self.name, self.version, values)
        except LabError as error:
            self.error = error
            self.result.value = fragments.failed_request(f"POST /models/{self.name}/{self.version}", error)
            for text in self.texts:
                text.value = fragments.muted("There is no answer.")
            return
        self.result.value = fragments.exchange(self.answer) + self.answer[0]._repr_html_()
        self.texts[0].value = fragments.code(fragments.pretty(self.answer.response))
        encoded = encode_inputs(values, self.specs)
        # A model of one image takes it by the name that classifiers know, too.
        one_image = len(self.specs) == 1 and self.specs[0].size
        body = {"images": encoded[self.specs[0].name]} if one_image else {"inputs": encoded}
        self.texts[1].value = fragments.code(snippets.json_as_curl(self.url, body))
        self.texts[2].value = fragments.code(snippets.json_as_requests(self.url, body))

    def _build(self) -> None:
        groups = [self._field(spec) for spec in self.specs]
        self.button = ipywidgets.Button(description="Send", icon="paper-plane", button_style="primary")
        self.button.add_class("lab-send")
        self.button.on_click(self.send)
        line = ipywidgets.HTML(fragments.muted(f"to {self.name} {self.version} at {self.client.url}"))
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self.texts = [ipywidgets.HTML(fragments.muted("Press Send.")) for _ in TABS]
        tabs = ipywidgets.Tab(self.texts, titles=TABS, layout=ipywidgets.Layout(max_width="760px"))
        controls = ipywidgets.HBox([self.button, line])
        controls.layout.align_items = "center"
        self.children = [*groups, controls, self.result, tabs]

    def _field(self, spec: InputSpec) -> Any:
        """Return the controls of one input under its name."""
        box = ipywidgets.Textarea(layout=ipywidgets.Layout(width="min(100%, 520px)"))
        controls: list[Any] = [box]
        read: Callable[[], Any]
        if spec.size:
            file = ipywidgets.FileUpload(accept=".png,.jpg,.jpeg", multiple=False)
            controls, read = [file], lambda: _uploaded(file, spec)
        elif spec.dtype == TEXT:
            box.placeholder, read = "Some text", lambda: [box.value] if spec.shape else box.value
        elif len(spec.shape) < 2 and None not in spec.shape and math.prod(spec.least_shape) <= MOST_FIELDS:
            numbers = controls = _numbers(spec)
            read = lambda: [each.value for each in numbers] if spec.shape else numbers[0].value  # noqa: E731
        else:
            box.value, read = json.dumps(spec.zeros()[0].tolist()), lambda: _parsed(box.value, spec)
        self.fields[spec.name] = controls
        self._readers[spec.name] = read
        row = ipywidgets.Box(controls, layout=ipywidgets.Layout(flex_flow="row wrap"))
        return ipywidgets.VBox([ipywidgets.HTML(fragments.heading(spec.name)), row])


def _numbers(spec: InputSpec) -> list[Any]:
    """Return a field for each number of a row."""
    count = math.prod(spec.least_shape)
    names = spec.columns or tuple(str(place + 1) if count > 1 else "" for place in range(count))
    kinds = {"f": ipywidgets.FloatText, "b": ipywidgets.Checkbox}
    kind = kinds.get(spec.zeros().dtype.kind, ipywidgets.IntText)
    room = min(max(90, *(8 * len(name) for name in names)), 300)  # pixels for the longest name
    controls = [kind(description=name, layout=ipywidgets.Layout(width=f"{room + 110}px")) for name in names]
    for control in controls:
        control.style.description_width = f"{room}px"
    return controls


def _parsed(text: str, spec: InputSpec) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise WrongUsage(f"The numbers of {spec.name!r} are not JSON: {error}.", "Write them as [1, 2].") from error


def _uploaded(control: Any, spec: InputSpec) -> bytes:
    if not control.value:
        raise WrongUsage(f"There is no image for {spec.name!r}.", "Choose a PNG or JPEG file.")
    return bytes(control.value[0]["content"])


def ask(server: Any, name: str, version: int | str = "latest") -> AskForm:
    """Return fields for what a model takes, numbers for a table and a box for text, and a Send button.

    Parameters
    ----------
    server
        A running server, its URL, or a :class:`~mlops_lab.client.Client`.
    name, version
        The model and its version.

    Examples
    --------
    >>> ask(server, "houses")  # doctest: +SKIP
    """
    return AskForm(as_client(server), name, version)
