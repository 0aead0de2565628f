"""Ask an inference server over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import requests

from mlops_lab import errors, show
from mlops_lab.errors import LabError, NotFound, ServerError
from mlops_lab.predict import Prediction, draw
from mlops_lab.serve.client.dialects import Course, Dialect, TensorFlowServing
from mlops_lab.store import ModelStore

Answer = TypeVar("Answer")


class NoSuchRoute(ServerError):
    """The server has no such route, and does not say so as ours would: it may be another kind of server."""


class Predictions(list[Prediction]):
    """Predictions in the order of the images, and how they came.

    Attributes
    ----------
    request
        The request line: ``POST /models/clothes/v1``.
    status
        Of the answer.
    milliseconds
        From sending the request to having read the answer.
    response
        The JSON: as it came, or as the course's server would have said it where another one answered.
    headers
        Of the answer.
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
    """A client of one inference server: ours, or TensorFlow Serving, which it finds out by asking.

    Parameters
    ----------
    url
        Such as ``"http://127.0.0.1:8000"``, or a :class:`~mlops_lab.serve.RunningServer`.
    timeout
        Seconds to wait for an answer.
    models
        For TensorFlow Serving, which knows neither labels nor preprocessing: the store, or its folder, that it serves.
    labels
        For TensorFlow Serving without the store: the names of the classes.
    api_key
        For a server that asks for one.

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
        self._store = models if models is None or isinstance(models, ModelStore) else ModelStore(Path(models))
        self._labels = labels
        self._dialect: Dialect = Course(self._get)
        self._session = requests.Session()
        # A proxy that is meant for the internet would catch requests to this machine.
        self._session.trust_env = False
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the server, with their versions and aliases."""
        return self._speak(lambda dialect: dialect.models())

    def info(self, name: str, version: int | str = "latest") -> dict[str, Any]:
        """Return what the server tells about one version of a model."""
        return self._speak(lambda dialect: dialect.info(name, version))

    def classify(self, name: str, version: int | str, images: Any) -> Predictions:
        """Send one image or several, and return a prediction for each, in order.

        Parameters
        ----------
        name, version
            Of the model: ``"clothes"``, ``"v1"`` (or 1, or an alias).
        images
            One image or several: arrays of pixels 0–255, the bytes of PNG or JPEG files, or paths of such files.

        Returns
        -------
        Predictions
            A list of :class:`~mlops_lab.predict.Prediction` that also knows the request and its milliseconds.

        Raises
        ------
        LabError
            The server's own error, as the class it had there; :class:`ServerError` where no server answers.
        """
        return self._speak(lambda dialect: self._classify(dialect, name, version, images))

    def prepare(self, name: str, version: int | str, images: Any) -> requests.PreparedRequest:
        """Return the request that :meth:`classify` would send, to be sent by other means, or many times.

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
        self.info(name, version)  # what kind of server it is shows when it is asked
        asked = self._speak(lambda dialect: dialect.question(name, version, images))
        return self._session.prepare_request(requests.Request("POST", self.url + asked.path, **asked.options))

    def _classify(self, dialect: Dialect, name: str, version: int | str, images: Any) -> Predictions:
        asked = dialect.question(name, version, images)
        started = time.perf_counter()
        answer = self._ask("POST", asked.path, **asked.options)
        milliseconds = 1000 * (time.perf_counter() - started)
        message = dialect.read(asked, _message(answer, "predictions"))
        labels = self._known_labels(dialect, name, message["version"])
        images = _drawable(asked.images, len(message["predictions"]))
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
        return Predictions(items, f"POST {asked.path}", answer.status_code, milliseconds, message, answer.headers)

    def _known_labels(self, dialect: Dialect, name: str, version: str) -> tuple[str, ...]:
        known: dict[tuple[str, str], tuple[str, ...]] = self.__dict__.setdefault("_labels_of", {})
        if (name, version) not in known:
            try:
                known[name, version] = tuple(dialect.info(name, version).get("labels", ()))
            except (
                NotFound
            ):  # while servers are replaced, the next one asked may not have what the last one answered with
                return ()
        return known[name, version]

    def _speak(self, ask: Callable[[Dialect], Answer]) -> Answer:
        """Ask in the course's words, and in TensorFlow Serving's once a server turns out to know no others."""
        try:
            return ask(self._dialect)
        except NoSuchRoute:
            refused = self._send("GET", "/v1/models")  # it has no list, and says in JSON that a name is missing
            if refused.status_code != 400 or "Missing model name" not in refused.text:
                raise
        self._dialect = TensorFlowServing(self._get, self._store, self._labels)
        return ask(self._dialect)

    def _get(self, path: str, key: str) -> dict[str, Any]:
        return _message(self._ask("GET", path), key)

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._send(method, path, **options)
        if not answer.ok:
            raise _error(answer)
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
                f"{method} {self.url}{path} failed: {error}.", "Look at the address and try again."
            ) from error


def _drawable(images: Sequence[Any] | None, wanted: int) -> Sequence[Any]:
    """Return what can be drawn beside each prediction: nothing for the examples of a model without images."""
    if images is None or len(images) != wanted or any(image.ndim < 2 for image in images):
        return [None] * wanted
    return images


def _message(answer: requests.Response, key: str) -> dict[str, Any]:
    """Return the JSON object of an answer, which must have a key."""
    try:
        message = answer.json()
    except ValueError:
        message = None
    if not isinstance(message, dict) or key not in message:
        received = f"{answer.url} answered {answer.text[:80]!r}"
        raise ServerError(f"{received}, which has no {key!r}.", "Is it an inference server?")
    return message


def _error(answer: requests.Response) -> LabError:
    """Return the server's error as the class it had there."""
    try:
        message = answer.json()
        text, hint, code = message["error"], message.get("hint") or "", message.get("code")
    except (ValueError, KeyError, TypeError):
        kind = NoSuchRoute if answer.status_code == 404 else ServerError
        return kind(f"The server answered {answer.status_code}: {answer.text[:200]!r}.", "Is it an inference server?")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]
    by_code = {kind.code: kind for kind in kinds}
    # A code of its own, such as "draining", keeps the status of its class; the first class of a status is the widest.
    by_status = {kind.status: kind for kind in reversed(kinds) if kind.status != LabError.status}
    found = by_code.get(code) or by_status.get(answer.status_code, ServerError)
    return found(text.removesuffix(hint).strip(), hint, code=code)
