"""The client: it sends images, tables and text to an inference server over HTTP and returns predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from mlops_lab import answers, show
from mlops_lab.client.backends import Backend, Course, RequestSpec, TensorFlowServing
from mlops_lab.client.inputs import read_inputs, read_labels
from mlops_lab.client.responses import NoSuchRoute, merge_answers, parse_json, to_error
from mlops_lab.errors import NotFound, ServerError, WrongUsage

if TYPE_CHECKING:
    from mlops_lab.store import ModelStore

Result = TypeVar("Result")


class Predictions(list[Any]):
    """Predictions in the order of the examples, with the request and the response.

    Each is a class of :mod:`mlops_lab.answers`: a :class:`~mlops_lab.predict.Prediction` by a classifier.

    Attributes
    ----------
    request
        The request line: ``POST /models/clothes/v1``.
    status
        The status code of the response.
    milliseconds
        The latency, from sending the request to reading the last byte of the response.
    response
        The JSON body, in the format of ``serve`` whichever server answered.
    headers
        The headers of the response.
    """

    def __init__(
        self,
        items: Iterable[Any],
        request: str,
        status: int,
        milliseconds: float,
        response: dict[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(items)
        self.request = request
        self.status = status
        self.milliseconds = milliseconds
        self.response = response
        self.headers: Mapping[str, str] = headers or {}

    def _repr_html_(self) -> str:
        title = f"{self.request} → {self.status} in {self.milliseconds:.1f} ms"
        shown = [item._repr_html_() for item in self[:12]]
        more = f"and {len(self) - 12} more" if len(self) > 12 else ""
        return show.card(title, *shown, more)


class Client:
    """A client of one inference server. It detects whether that is TensorFlow Serving.

    Parameters
    ----------
    url
        Such as ``"http://127.0.0.1:8000"``, or a :class:`~mlops_lab.serve.RunningServer`.
    timeout
        Seconds to wait for a response.
    models
        For TensorFlow Serving, which has neither labels nor preprocessing: the store that it serves, or its folder.
    labels
        For TensorFlow Serving without the store: the names of the classes.
    api_key
        The key of a server that requires one.

    Examples
    --------
    >>> client = Client(server.url)  # doctest: +SKIP
    >>> client.classify("clothes", "v1", dataset.test.images[0])[0].label  # doctest: +SKIP
    'Ankle boot'
    >>> client = Client("http://127.0.0.1:8501", models="models")  # TensorFlow Serving  # doctest: +SKIP
    >>> client.classify("clothes", "v1", dataset.test.images[0])[0].label  # doctest: +SKIP
    'Ankle boot'
    """

    def __init__(
        self,
        url: Any,
        timeout: float = 10.0,
        *,
        models: ModelStore | str | PathLike[str] | None = None,
        labels: Sequence[str] = (),
        api_key: str | None = None,
    ) -> None:
        self.url, self.timeout = str(getattr(url, "url", url)).rstrip("/"), timeout
        self._store, self._labels = models, labels
        self._backend: Backend = Course(self._get)
        self._labels_by_version: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
        self._session = requests.Session()
        # A proxy configured for the internet would intercept requests to this machine.
        self._session.trust_env = False
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the server, with their versions and aliases."""
        return self._with_backend(lambda backend: backend.models())

    def info(self, name: str, version: int | str = "latest") -> dict[str, Any]:
        """Return the metadata of one version of a model."""
        return self._with_backend(lambda backend: backend.info(name, version))

    def classify(self, name: str, version: int | str, images: Any) -> Predictions:
        """Send one image or several, and return a prediction for each, in order.

        Parameters
        ----------
        name, version
            The model and its version: ``"clothes"``, ``"v1"`` (or 1, or an alias).
        images
            One image or several: arrays of pixels 0–255, the bytes of PNG or JPEG files, or paths of such files.

        Returns
        -------
        Predictions
            A list of :class:`~mlops_lab.predict.Prediction` that also has the request and its latency.

        Raises
        ------
        LabError
            The server's error, with the class it has there; :class:`ServerError` where no server answers.
        """
        return self._with_backend(lambda backend: self._ask(backend, backend.build_requests(name, version, images)))

    def predict(self, name: str, version: int | str, examples: Any) -> Predictions:
        """Send one example or several to a model of any task, and return the answer to each, in order.

        Parameters
        ----------
        name, version
            The model and its version.
        examples
            What the model takes: rows of numbers (an array, nested lists, or a table with the model's columns), texts,
            or images as for :meth:`classify`; for a model with several inputs an object with the examples of each.

        Returns
        -------
        Predictions
            A list of the classes of :mod:`mlops_lab.answers`, one for each example.

        Raises
        ------
        LabError
            See :meth:`classify`.

        Examples
        --------
        >>> client = Client(server.url)  # doctest: +SKIP
        >>> client.predict("houses", "v1", [[3, 120.0]])[0].value  # doctest: +SKIP
        23.4
        """
        return self._with_backend(
            lambda backend: self._ask(backend, _build(backend, name, version, examples, backend.info(name, version)))
        )

    def prepare(self, name: str, version: int | str, images: Any) -> requests.PreparedRequest:
        """Return the request that :meth:`predict` would send, to send it by other means or many times.

        Raises
        ------
        LabError
            The server does not answer, or has no such version.

        Examples
        --------
        >>> client = Client(server.url)  # doctest: +SKIP
        >>> client.prepare("clothes", "v1", dataset.test.images[0]).headers["Content-Type"]  # doctest: +SKIP
        'image/png'
        """
        info = self.info(name, version)  # detects the kind of server
        request, *others = self._with_backend(lambda backend: _build(backend, name, version, images, info))
        if others:
            received = f"{self.url} takes one image per request; received {1 + len(others)}."
            raise WrongUsage(received, "Prepare one request per image.")
        return self._session.prepare_request(requests.Request("POST", self.url + request.path, **request.options))

    def _ask(self, backend: Backend, specs: list[RequestSpec]) -> Predictions:
        started = time.perf_counter()
        responses = [self._request("POST", spec.path, **spec.options) for spec in specs]
        milliseconds = 1000 * (time.perf_counter() - started)
        bodies = [parse_json(response, spec.key) for spec, response in zip(specs, responses, strict=True)]
        message = merge_answers(map(backend.parse_response, specs, bodies), specs[0].path)
        entries, labels = message["predictions"], self._labels_of(backend, specs[0].name, message["version"])
        items = [
            answers.read(entry, labels, pixels)
            for entry, pixels in zip(entries, _drawable(specs, len(entries)), strict=True)
        ]
        line = f"POST {specs[0].path}" + (f" ({len(specs)} requests)" if len(specs) > 1 else "")
        return Predictions(items, line, responses[-1].status_code, milliseconds, message, responses[-1].headers)

    def _labels_of(self, backend: Backend, name: str, version: str) -> dict[str, tuple[str, ...]]:
        known = self._labels_by_version
        if (name, version) not in known:
            try:
                known[name, version] = read_labels(backend.info(name, version))
            except NotFound:  # during a rollout another replica may answer, which does not have this version
                return {}
        return known[name, version]

    def _with_backend(self, call: Callable[[Backend], Result]) -> Result:
        """Call with the routes of ``serve``, and with TensorFlow Serving's where the server turns out to be that."""
        try:
            return call(self._backend)
        except NoSuchRoute:
            answer = self._send("GET", "/v1/models")  # TensorFlow Serving answers that the model's name is missing
            if answer.status_code != 400 or "Missing model name" not in answer.text:
                raise
        self._backend = TensorFlowServing(self._get, self._store, self._labels)
        return call(self._backend)

    def _get(self, path: str, key: str) -> dict[str, Any]:
        return parse_json(self._request("GET", path), key)

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._send(method, path, **options)
        if not answer.ok:
            raise to_error(answer)
        return answer

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, self.url + path, timeout=self.timeout, **options)
        except requests.ConnectionError as error:
            hint = "Start one: mlops-lab serve, or serve.start()."
            raise ServerError(f"No server answers at {self.url}.", hint) from error
        except requests.RequestException as error:
            message = f"{method} {self.url}{path} failed: {error}."
            raise ServerError(message, "Check the address and try again.") from error


def _build(
    backend: Backend, name: str, version: int | str, examples: Any, info: Mapping[str, Any]
) -> list[RequestSpec]:
    """Return the requests for examples: as images where the model takes one image, else by the names of its inputs."""
    specs = read_inputs(info)
    if not specs or (len(specs) == 1 and specs[0].size):
        if specs and isinstance(examples, Mapping) and list(examples) == [specs[0].name]:
            examples = examples[specs[0].name]
        return backend.build_requests(name, version, examples)
    return [backend.build_inputs(name, version, examples, specs)]


def _drawable(specs: Sequence[RequestSpec], count: int) -> Sequence[Any]:
    """Return the image of each prediction, or ``None`` for the rows of a model that does not take images."""
    images = [pixels for spec in specs for pixels in spec.images or ()]
    if len(images) != count or any(pixels.ndim < 2 for pixels in images):
        return [None] * count
    return images
