"""The client: it sends images to an inference server over HTTP and returns predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from mlops_lab import errors, show
from mlops_lab.client.backends import Backend, Course, TensorFlowServing
from mlops_lab.errors import LabError, NotFound, ServerError
from mlops_lab.predict import Prediction, draw

if TYPE_CHECKING:
    from mlops_lab.store import ModelStore

Result = TypeVar("Result")


class NoSuchRoute(ServerError):
    """A 404 whose body is not the JSON of ``serve``: it may be another kind of server."""


class Predictions(list[Prediction]):
    """Predictions in the order of the images, with the request and the response.

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
        items: Iterable[Prediction],
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
        shown = [show.card(str(item), draw(item)) for item in self[:12]]
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
        self.url = str(getattr(url, "url", url)).rstrip("/")
        self.timeout = timeout
        self._store = models
        self._labels = labels
        self._backend: Backend = Course(self._get)
        self._labels_by_version: dict[tuple[str, str], tuple[str, ...]] = {}
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
        return self._with_backend(lambda backend: self._classify(backend, name, version, images))

    def prepare(self, name: str, version: int | str, images: Any) -> requests.PreparedRequest:
        """Return the request that :meth:`classify` would send, to send it by other means or many times.

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
        self.info(name, version)  # detects the kind of server
        request = self._with_backend(lambda backend: backend.build_request(name, version, images))
        return self._session.prepare_request(requests.Request("POST", self.url + request.path, **request.options))

    def _classify(self, backend: Backend, name: str, version: int | str, images: Any) -> Predictions:
        request = backend.build_request(name, version, images)
        started = time.perf_counter()
        answer = self._request("POST", request.path, **request.options)
        milliseconds = 1000 * (time.perf_counter() - started)
        message = backend.parse_response(request, _parse_json(answer, "predictions"))
        labels = self._labels_of(backend, name, message["version"])
        images = _drawable(request.images, len(message["predictions"]))
        items = [
            Prediction(
                entry["label"],
                entry["class"],
                entry["confidence"],
                tuple(entry["probabilities"]),
                labels,
                image,
            )
            for entry, image in zip(message["predictions"], images, strict=True)
        ]
        return Predictions(items, f"POST {request.path}", answer.status_code, milliseconds, message, answer.headers)

    def _labels_of(self, backend: Backend, name: str, version: str) -> tuple[str, ...]:
        known = self._labels_by_version
        if (name, version) not in known:
            try:
                known[name, version] = tuple(backend.info(name, version).get("labels", ()))
            except NotFound:  # during a rollout another replica may answer, which does not have this version
                return ()
        return known[name, version]

    def _with_backend(self, call: Callable[[Backend], Result]) -> Result:
        """Call with the routes of ``serve``, and with TensorFlow Serving's where the server turns out to be that."""
        try:
            return call(self._backend)
        except NoSuchRoute:
            answer = self._send("GET", "/v1/models")  # TensorFlow Serving answers that the model's name is missing
            if answer.status_code != 400 or "Missing model name" not in answer.text:
                raise
        self._backend = TensorFlowServing(self._get, _open_store(self._store), self._labels)
        return call(self._backend)

    def _get(self, path: str, key: str) -> dict[str, Any]:
        return _parse_json(self._request("GET", path), key)

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._send(method, path, **options)
        if not answer.ok:
            raise _to_error(answer)
        return answer

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, self.url + path, timeout=self.timeout, **options)
        except requests.ConnectionError as error:
            raise ServerError(
                f"No server answers at {self.url}.", "Start one: mlops-lab serve, or serve.start()."
            ) from error
        except requests.RequestException as error:
            raise ServerError(
                f"{method} {self.url}{path} failed: {error}.", "Check the address and try again."
            ) from error


def _open_store(models: ModelStore | str | PathLike[str] | None) -> ModelStore | None:
    from mlops_lab.store import ModelStore

    return models if models is None or isinstance(models, ModelStore) else ModelStore(Path(models))


def _drawable(images: Sequence[Any] | None, wanted: int) -> Sequence[Any]:
    """Return the image of each prediction, or ``None`` for the rows of a model that does not take images."""
    if images is None or len(images) != wanted or any(image.ndim < 2 for image in images):
        return [None] * wanted
    return images


def _parse_json(answer: requests.Response, key: str) -> dict[str, Any]:
    """Return the JSON object of an answer, which must have a key."""
    try:
        message = answer.json()
    except ValueError:
        message = None
    if not isinstance(message, dict) or key not in message:
        received = f"{answer.url} answered {answer.text[:80]!r}"
        raise ServerError(f"{received}, which has no {key!r}.", "Is it an inference server?")
    return message


def _to_error(answer: requests.Response) -> LabError:
    """Return the error in a response as the exception class that it has at the server."""
    try:
        message = answer.json()
        text, hint, code = message["error"], message.get("hint") or "", message.get("code")
    except (ValueError, KeyError, TypeError):
        kind = NoSuchRoute if answer.status_code == 404 else ServerError
        return kind(f"The server answered {answer.status_code}: {answer.text[:200]!r}.", "Is it an inference server?")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]
    by_code = {kind.code: kind for kind in kinds}
    # An unknown code, such as "draining", falls back on the status; the first class of a status is the most general.
    by_status = {kind.status: kind for kind in reversed(kinds) if kind.status != LabError.status}
    found = by_code.get(code) or by_status.get(answer.status_code, ServerError)
    return found(text.removesuffix(hint).strip(), hint, code=code)
