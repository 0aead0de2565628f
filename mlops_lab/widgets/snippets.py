"""A request as code to copy: a curl command, and Python with requests. Both run unchanged."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any


def as_curl(url: str, png: bytes) -> str:
    """Return a shell command that sends an image.

    The image is part of the command, so no file is needed; with a file it would be ``curl --data-binary @image.png``.

    Examples
    --------
    >>> print(as_curl("http://127.0.0.1:8000/models/clothes/v1", b"png"))
    echo cG5n | base64 -d |
    curl -X POST -H 'Content-Type: image/png' --data-binary @- http://127.0.0.1:8000/models/clothes/v1
    """
    data = base64.b64encode(png).decode()
    return f"echo {data} | base64 -d |\ncurl -X POST -H 'Content-Type: image/png' --data-binary @- {shlex.quote(url)}"


def as_requests(url: str, png: bytes) -> str:
    """Return Python code that sends an image.

    Examples
    --------
    >>> print(as_requests("http://127.0.0.1:8000/models/clothes/v1", b"png").splitlines()[-1])
    print(answer.status_code, answer.json())
    """
    data = base64.b64encode(png).decode()
    return (
        "import base64\n"
        "import requests\n"
        "\n"
        f'image = base64.b64decode("{data}")\n'
        f'answer = requests.post({url!r}, data=image, headers={{"Content-Type": "image/png"}})\n'
        "print(answer.status_code, answer.json())"
    )


def json_as_curl(url: str, body: dict[str, Any]) -> str:
    """Return a shell command that sends a JSON body, as a model of numbers or text takes it.

    Examples
    --------
    >>> print(json_as_curl("http://127.0.0.1:8000/models/houses/v1", {"inputs": [[3, 120]]}))
    curl -X POST -H 'Content-Type: application/json' -d '{"inputs": [[3, 120]]}' http://127.0.0.1:8000/models/houses/v1
    """
    data = shlex.quote(json.dumps(body))
    return f"curl -X POST -H 'Content-Type: application/json' -d {data} {shlex.quote(url)}"


def json_as_requests(url: str, body: dict[str, Any]) -> str:
    """Return Python code that sends a JSON body.

    Examples
    --------
    >>> print(json_as_requests("http://127.0.0.1:8000/models/houses/v1", {"inputs": [[3, 120]]}).splitlines()[2])
    answer = requests.post('http://127.0.0.1:8000/models/houses/v1', json={'inputs': [[3, 120]]})
    """
    return (
        f"import requests\n\nanswer = requests.post({url!r}, json={body!r})\nprint(answer.status_code, answer.json())"
    )
