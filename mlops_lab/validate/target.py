"""The server under test: plain HTTP for what a client hides, and the client for everything else."""

from __future__ import annotations

from typing import Any

import requests

from mlops_lab.client import Client
from mlops_lab.errors import ServerError
from mlops_lab.image import encode_png
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate.report import CheckFailed

KINDS = ("lab", "course", "tfserving")


class ServerUnderTest:
    """One version behind one address.

    Parameters
    ----------
    url
        Address of the server.
    version
        The published version, whose manifest holds the expected answers.
    address
        The version in the URL: its number, ``"v2"``, or an alias.
    api_key
        Key of the server, as for :class:`mlops_lab.serve.Client`.
    """

    def __init__(
        self, url: str, version: ModelVersion, address: str, *, timeout: float = 10.0, api_key: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.published = version
        self.manifest = version.manifest
        self.name, self.number, self.address = version.name, f"v{version.version}", address
        self.client = Client(self.url, timeout, models=version.path.parent.parent, api_key=api_key)
        self._session = requests.Session()
        self._session.trust_env = False
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"
        self._timeout = timeout

    @property
    def path(self) -> str:
        """The course's route to the version."""
        return f"/models/{self.name}/{self.address}"

    @property
    def images(self) -> list[Any]:
        """The golden examples as a client sends them: PNG where the model takes images, else arrays."""
        drawn = self.manifest.input.size is not None and self.manifest.golden.inputs.dtype == "uint8"
        return [encode_png(one) if drawn else [one] for one in self.manifest.golden.inputs]

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return an answer, whatever its status."""
        try:
            return self._session.request(method, self.url + path, timeout=self._timeout, **options)
        except requests.RequestException as error:
            reason = f"{method} {self.url}{path} was not answered: {type(error).__name__}."
            raise ServerError(reason, _what_to_do(error)) from error

    def get(self, path: str) -> Any:
        """Return the JSON of a good answer."""
        answer = self.send("GET", path)
        expect(answer.status_code == 200, f"GET {path} answered {answer.status_code}: {answer.text[:120]!r}")
        return answer.json()

    def kind(self) -> str:
        """Return which server this is: ours, TensorFlow Serving, or one that has the course's two routes."""
        answer = self.send("GET", "/healthz")
        if answer.ok and "X-Request-Id" in answer.headers:
            return "lab"
        refused = self.send("GET", "/v1/models")
        return "tfserving" if refused.status_code == 400 and "Missing model name" in refused.text else "course"


def _what_to_do(error: requests.RequestException) -> str:
    if isinstance(error, ValueError):  # so are all of requests' errors about an address
        return "Give the address of a server, such as http://127.0.0.1:8000."
    if isinstance(error, requests.ConnectionError):
        return "Look whether a server listens there, mlops-lab serve starts one; if it does, look at its log."
    return "Look at the server's log."


def expect(met: bool, message: str) -> None:
    """Raise :class:`CheckFailed` with what was seen, unless the condition is met."""
    if not met:
        raise CheckFailed(f"{message}.")


def refused(target: ServerUnderTest, method: str, path: str, status: int, **options: Any) -> dict[str, Any]:
    """Return the JSON of a request that must be refused with a status."""
    answer = target.send(method, path, **options)
    expect(answer.status_code == status, f"{method} {path} answered {answer.status_code}, not {status}")
    body: dict[str, Any] = answer.json()
    expect(isinstance(body.get("error"), str) and body["error"] != "", f"{path} says no error: {body}")
    return body
