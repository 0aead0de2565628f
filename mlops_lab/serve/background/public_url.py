"""Where the notebook runs, and how a browser reaches a port of its kernel from there.

Widgets and clients never need this: they ask from the kernel. It is for the server's own pages, ``/`` and ``/docs``.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlops_lab import show
from mlops_lab.serve.ports import LOOPBACK

WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class PublicUrl:
    """How a browser reaches a port.

    Parameters
    ----------
    place
        Where the notebook runs.
    url
        What to open: an address, or the path that follows a hub's own address; None where there is no way.
    explanation
        A sentence about it.
    """

    place: str
    url: str | None
    explanation: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.place}: {self.url or 'no address'}. {self.explanation}"

    def _repr_html_(self) -> str:
        word = show.state("ok", "there is an address") if self.url else show.state("warning", "no address")
        rows = [("state", show.Html(word)), ("address", self.url or "none"), ("how", self.explanation)]
        return show.card(self.place, show.table(rows))


@dataclass(frozen=True)
class Jupyter:
    """The Jupyter server that started this kernel: its process, and its address on this machine."""

    pid: int
    url: str


def find_jupyter() -> Jupyter | None:
    """Return the Jupyter server among the parents of this process; it has left a note in the runtime folder."""
    try:
        import psutil
        from jupyter_core.paths import jupyter_runtime_dir
    except ImportError:  # a server alone does without them
        return None
    folder = Path(jupyter_runtime_dir())
    for parent in psutil.Process().parents():
        try:
            note = json.loads((folder / f"jpserver-{parent.pid}.json").read_text(encoding="utf-8"))
            return Jupyter(parent.pid, note["url"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def find_public_url(port: int, url: str) -> PublicUrl:
    """Find out how a browser reaches a port.

    Parameters
    ----------
    port
        Of a server behind this kernel.
    url
        Its address on this machine.

    Examples
    --------
    >>> find_public_url(8000, "http://127.0.0.1:8000").url  # doctest: +SKIP
    '/user/ada/proxy/8000/'
    """
    if "google.colab" in sys.modules:
        return _colab(port)
    if os.environ.get("CODESPACES") and os.environ.get("CODESPACE_NAME"):
        domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN", "app.github.dev")
        address = f"https://{os.environ['CODESPACE_NAME']}-{port}.{domain}/"
        return PublicUrl("GitHub Codespaces", address, "It asks for your GitHub account; the Ports tab lists it.")
    jupyter, prefix = find_jupyter(), os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
    if prefix is not None:
        return _behind("JupyterHub", jupyter, prefix, port)
    if jupyter is not None and urlsplit(jupyter.url).hostname not in LOOPBACK:
        return _behind("Jupyter, open to other machines", jupyter, urlsplit(jupyter.url).path, port)
    if jupyter is None and any(name.startswith("VSCODE_") for name in os.environ):
        return PublicUrl("VS Code", url, "If VS Code runs elsewhere, it forwards the port: see its Ports tab.")
    place = "this machine" if jupyter is None else "Jupyter on this machine"
    return PublicUrl(
        place,
        url,
        f"From another machine, bring the port there first: ssh -L {port}:127.0.0.1:{port} YOU@THIS-MACHINE.",
    )


def find_public_hosts(port: int) -> set[str]:
    """Return the host names by which a browser reaches a port from where the notebook runs, without asking anybody.

    ``*`` stands for any: behind a hub, or where a Jupyter server is open to other machines, the address is known only
    to the browser, and no page of the web gets past the log-in there.
    """
    if "google.colab" in sys.modules or "JUPYTERHUB_SERVICE_PREFIX" in os.environ:
        return {"*"}
    if os.environ.get("CODESPACES") and os.environ.get("CODESPACE_NAME"):
        return {urlsplit(find_public_url(port, "").url or "").hostname or "*"}
    jupyter = find_jupyter()
    return {"*"} if jupyter is not None and urlsplit(jupyter.url).hostname not in LOOPBACK else set()


def _colab(port: int) -> PublicUrl:
    from google.colab import output

    try:
        url = output.eval_js(f"google.colab.kernel.proxyPort({port})", timeout_sec=5)
    except Exception as error:  # no browser is there to ask, or Colab has changed
        return PublicUrl("Colab", None, f"Colab gave no address: {str(error) or type(error).__name__}.")
    return PublicUrl("Colab", url, "Colab's address works while you are logged in, and needs third-party cookies.")


def _behind(place: str, jupyter: Jupyter | None, prefix: str, port: int) -> PublicUrl:
    """Return the way through jupyter-server-proxy, if Jupyter's own environment has it."""
    proxied = None if jupyter is None else _proxied(jupyter, port)
    if proxied:
        return PublicUrl(
            place, f"{prefix}proxy/{port}/", "Put it behind the first part of the address of this notebook."
        )
    if proxied is None:
        what = "It cannot be told whether jupyter-server-proxy is installed where Jupyter runs."
    else:
        what = "It needs jupyter-server-proxy installed where Jupyter runs, and Jupyter started again."
    return PublicUrl(place, None, f"{what} Widgets and clients in the notebook work without.")


def _proxied(jupyter: Jupyter, port: int) -> bool | None:
    """Whether Jupyter knows the route of the proxy. Nobody logs in for that: an unknown route is 404 to everyone."""
    url = urlsplit(jupyter.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    host = url.hostname or "127.0.0.1"
    connection = kind("127.0.0.1" if host in ("0.0.0.0", "localhost") else host, url.port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", f"{url.path}proxy/{port}")
        return connection.getresponse().status != 404
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
