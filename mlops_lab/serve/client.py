"""Ask an inference server over HTTP."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray

from mlops_lab import errors, image, show
from mlops_lab.errors import BadImage, LabError, ServerError
from mlops_lab.predict import Prediction, draw


class Predictions(list[Prediction]):
    """Predictions in the order of the pictures, and how they came.

    Attributes
    ----------
    request
        The request line: ``POST /models/clothes/v1``.
    status
        Of the answer.
    milliseconds
        From sending the request to having read the answer.
    response
        The JSON, as it came.
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
    """A client of one inference server.

    Parameters
    ----------
    url
        Such as ``"http://127.0.0.1:8000"``, or a :class:`~mlops_lab.serve.RunningServer`.
    timeout
        Seconds to wait for an answer.

    Examples
    --------
    >>> client = Client(server.url)  # doctest: +SKIP
    >>> client.classify("clothes", "v1", dataset.test.images[0])[0].label  # doctest: +SKIP
    'Ankle boot'
    """

    def __init__(self, url: Any, timeout: float = 10.0) -> None:
        self.url = str(getattr(url, "url", url)).rstrip("/")
        self.timeout = timeout
        self._session = requests.Session()
        # A proxy that is meant for the internet would catch requests to this machine.
        self._session.trust_env = False

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def models(self) -> list[dict[str, Any]]:
        """Return the models of the server, with their versions and aliases."""
        listing: list[dict[str, Any]] = _message(self._ask("GET", "/models"), "models")["models"]
        return listing

    def info(self, name: str, version: int | str = "latest") -> dict[str, Any]:
        """Return what the server tells about one version of a model."""
        return _message(self._ask("GET", f"/models/{name}/{_word(version)}"), "name")

    def classify(self, name: str, version: int | str, images: Any) -> Predictions:
        """Send one picture or several, and return a prediction for each, in order.

        Parameters
        ----------
        name, version
            Of the model: ``"clothes"``, ``"v1"`` (or 1, or an alias).
        images
            One picture or several: arrays of pixels 0–255, the bytes of PNG or JPEG files, or paths of such files.

        Returns
        -------
        Predictions
            A list of :class:`~mlops_lab.predict.Prediction` that also knows the request and its milliseconds.

        Raises
        ------
        LabError
            The server's own error, as the class it had there; :class:`ServerError` where no server answers.
        """
        body, pictures = _body(images)
        path = f"/models/{name}/{_word(version)}"
        started = time.perf_counter()
        answer = self._ask("POST", path, **body)
        milliseconds = 1000 * (time.perf_counter() - started)
        message = _message(answer, "predictions")
        labels = tuple(self._labels(name, message["version"]))
        items = [
            Prediction(
                entry["label"],
                entry["class"],
                entry["confidence"],
                tuple(entry["probabilities"]),
                labels,
                None if pictures is None else pictures[place],
            )
            for place, entry in enumerate(message["predictions"])
        ]
        return Predictions(items, f"POST {path}", answer.status_code, milliseconds, message, answer.headers)

    def _labels(self, name: str, version: str) -> list[str]:
        known: dict[tuple[str, str], list[str]] = self.__dict__.setdefault("_known_labels", {})
        if (name, version) not in known:
            known[name, version] = self.info(name, version).get("labels", [])
        return known[name, version]

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self.url + path, timeout=self.timeout, **options)
        except requests.ConnectionError as error:
            raise ServerError(
                f"No server answers at {self.url}.", "Start one: mlops-lab serve, or serve.start()."
            ) from error
        except requests.RequestException as error:
            raise ServerError(
                f"{method} {self.url}{path} failed: {error}.", "Look at the address and try again."
            ) from error
        if not answer.ok:
            raise _error(answer)
        return answer


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


def _word(version: int | str) -> str:
    return f"v{version}" if isinstance(version, int) or version.isdigit() else version


def _body(images: Any) -> tuple[dict[str, Any], list[NDArray[Any]] | None]:
    """Return what ``requests`` is to send for one picture or several, and the pictures for drawing."""
    if isinstance(images, np.ndarray) and not _is_batch(images):
        return _raw(image.encode_png(images)), [images]
    if isinstance(images, bytes | str | PathLike):
        data = read_file(images)
        return _raw(data), _decoded([data])
    pictures = list(images)
    if all(isinstance(item, np.ndarray) for item in pictures) and len({item.shape for item in pictures}) == 1:
        buffer = io.BytesIO()
        np.save(buffer, np.stack(pictures), allow_pickle=False)
        return {"data": buffer.getvalue(), "headers": {"Content-Type": "application/x-npy"}}, pictures
    files = [image.encode_png(item) if isinstance(item, np.ndarray) else read_file(item) for item in pictures]
    return {"files": [("image", ("image", data)) for data in files]}, _decoded(files)


def _raw(data: bytes) -> dict[str, Any]:
    kind = "image/jpeg" if data[:2] == b"\xff\xd8" else "image/png"
    return {"data": data, "headers": {"Content-Type": kind}}


def read_file(item: bytes | str | PathLike[str]) -> bytes:
    """Return the bytes of a picture file, or bytes as they are."""
    if isinstance(item, bytes):
        return item
    try:
        return Path(item).read_bytes()
    except OSError as error:
        raise BadImage(f"The file {item} cannot be read: {error.strerror}.", "Look at the path.") from error


def _is_batch(array: NDArray[Any]) -> bool:
    """Tell a batch of grey pictures from one picture: ``(n, h, w)`` from ``(h, w, 1)`` or ``(h, w, 3)``."""
    return array.ndim == 3 and array.shape[2] not in (1, 3)


def _decoded(files: list[bytes]) -> list[NDArray[Any]] | None:
    try:
        return [image.decode(data) for data in files]
    except LabError:
        return None  # the server will say what is wrong with it


def _error(answer: requests.Response) -> LabError:
    """Return the server's error as the class it had there."""
    try:
        message = answer.json()
        text, hint, code = message["error"], message.get("hint") or "", message.get("code")
    except (ValueError, KeyError, TypeError):
        return ServerError(
            f"The server answered {answer.status_code}: {answer.text[:200]!r}.", "Is it an inference server?"
        )
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]
    by_code = {kind.code: kind for kind in kinds}
    # A code of its own, such as "draining", keeps the status of its class; the first class of a status is the widest.
    by_status = {kind.status: kind for kind in reversed(kinds) if kind.status != LabError.status}
    kind = by_code.get(code) or by_status.get(answer.status_code, ServerError)
    return kind(text.removesuffix(hint).strip(), hint, code=code)
