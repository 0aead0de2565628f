"""A request as code to copy: a curl command, and Python with requests. Both run unchanged."""

from __future__ import annotations

import base64
import shlex


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
