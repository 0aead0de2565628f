"""Ports of this machine: listening on one, and finding out which program listens there already.

A background server answers its identity to a request with the header ``X-Lab-Probe``, signed with a key that only this
user's processes can read. So a kernel can tell its own server from that of another kernel on the same port, and name
the notebook that holds a port.
"""

from __future__ import annotations

import errno
import hmac
import http.client
import json
import os
import secrets
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlops_lab.errors import PortTaken, ServerError

PROBE_HEADER = "X-Lab-Probe"
FREE = "or take port 0 for a free one"
AIRPLAY = (5000, 7000)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _notebook() -> str:
    """Return the name of the notebook that this kernel belongs to, where Jupyter tells."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).name


@dataclass(frozen=True)
class Identity:
    """The identity of a background server.

    Parameters
    ----------
    name, generation
        The name and generation of the server.
    nonce
        A random token, so that no other server is taken for this one.
    pid
        Of the kernel.
    notebook
        Of the kernel; empty where it is not known.
    """

    name: str
    generation: int
    nonce: str = field(default_factory=partial(secrets.token_hex, 16))
    pid: int = field(default_factory=os.getpid)
    notebook: str = field(default_factory=_notebook)

    def to_dict(self) -> dict[str, Any]:
        """Return the identity as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return f"the server {self.name!r} of {self.notebook or 'another notebook'} (process {self.pid})"


def probe(host: str, port: int, timeout: float = 0.5) -> Identity | None:
    """Return the identity of the background server on a port; None where there is none."""
    # http.client takes no notice of proxy variables, which would catch a request to this machine.
    connection = http.client.HTTPConnection(connect_host(host), port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={PROBE_HEADER: sign_probe(port)})
        return Identity(**json.loads(connection.getresponse().read(10_000)))
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return None
    finally:
        connection.close()


def sign_probe(port: int) -> str:
    """Return the value of a probe's header: a server tells who it is only to the user that started it.

    >>> is_own_probe(sign_probe(8000), 8000), is_own_probe(sign_probe(8000), 8001), is_own_probe("who", 8000)
    (True, False, False)
    """
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_signature(nonce, port)}"


def is_own_probe(value: str, port: int) -> bool:
    """Return whether a probe of a port comes from a process of the same user."""
    nonce, _, signature = value.partition(".")
    return hmac.compare_digest(signature.encode(), _signature(nonce, port).encode())


def _signature(nonce: str, port: int) -> str:
    return hmac.new(_probe_key(), f"{nonce} {port}".encode(), "sha256").hexdigest()


@cache
def _probe_key() -> bytes:
    """Return the key that all processes of this user share; where it cannot be kept, one of this process alone."""
    path = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache") / "mlops-lab" / "probe-key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}-{secrets.token_hex(8)}")
        with suppress(FileExistsError):
            if not path.exists():
                fresh.touch(0o600)
                fresh.write_bytes(secrets.token_bytes(32))
                try:
                    os.link(fresh, path)  # the first process wins
                finally:
                    fresh.unlink()
        found = path.stat()
        key = path.read_bytes()
        if len(key) == 32 and (os.name == "nt" or (found.st_uid == os.getuid() and not found.st_mode & 0o077)):
            return key
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        pass
    return secrets.token_bytes(32)


@dataclass(frozen=True)
class PortOwner:
    """The program that listens on a port, as part of a sentence, and what to do about it."""

    description: str
    hint: str


def find_port_owner(host: str, port: int) -> PortOwner:
    """Return the program that listens on a port: a background server is probed, others are found by their process.

    Examples
    --------
    >>> with bind("127.0.0.1", 0) as listener:
    ...     find_port_owner("127.0.0.1", listener.getsockname()[1]).description
    'a server in a thread of this process, which answers with the code it was started with'
    """
    server = probe(host, port)
    if server is not None and server.pid == os.getpid():
        return PortOwner(f"your own server {server.name!r}", f"serve.start(…, name={server.name!r}) replaces it.")
    if server is not None:
        return PortOwner(str(server), f"Run serve.stop_all() in that notebook, end its kernel, {FREE}.")
    pid, program = _process(port)
    if pid == os.getpid():
        description = "a server in a thread of this process, which answers with the code it was started with"
        return PortOwner(
            description, f"serve.stop_all() ends one that app.run has left; else restart the kernel, {FREE}."
        )
    if sys.platform == "darwin" and port in AIRPLAY and program in ("", "ControlCenter", "ControlCe"):
        where = "System Settings → General → AirDrop & Handoff"
        return PortOwner("most likely macOS's AirPlay Receiver", f"Turn it off in {where}, {FREE}.")
    if pid is not None:
        return PortOwner(f"{program} (process {pid})", f"End that program, {FREE}.")
    return PortOwner("another program", f"End it, {FREE}.")


def _process(port: int) -> tuple[int | None, str]:
    """Return the process that listens on a port and its command, as far as the system tells them."""
    try:
        import psutil
    except ImportError:  # a server alone does without it
        return None, ""
    try:
        listening = [item for item in psutil.net_connections("tcp") if item.status == psutil.CONN_LISTEN]
        pids = [item.pid for item in listening if item.laddr.port == port and item.pid]
        pids = pids or [item.pid for item in listening if item.laddr.port == port]
    except psutil.AccessDenied:  # macOS tells everything to the administrator only, but each process of one's own
        pids = [process.pid for process in psutil.process_iter() if _listens(process, port)]
    if not pids or pids[0] is None:
        return None, ""
    try:
        process = psutil.Process(pids[0])
        command = " ".join([process.name(), *process.cmdline()[1:]])
    except psutil.Error:
        return pids[0], "another program"
    return pids[0], command if len(command) <= 80 else f"{command[:79]}…"


def _listens(process: Any, port: int) -> bool:
    import psutil

    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in found)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, so that a port in use is our error and not a surprise later.

    Raises
    ------
    PortTaken
        Another program listens there; the message says which.
    ServerError
        The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "nt":
            # On Windows, reusing an address would let two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)  # type: ignore[attr-defined]
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise _taken(host, port, error) from error
        raise ServerError(f"Cannot listen on {host}:{port}: {error}.", "Take 127.0.0.1 and port 0.") from error
    return listener


def _taken(host: str, port: int, error: OSError) -> PortTaken:
    if error.errno == errno.EACCES and os.name != "nt":
        return PortTaken(f"Cannot bind port {port} of {host}: {error.strerror}.", "Take port 0 for a free one.")
    found = find_port_owner(host, port)
    return PortTaken(f"Port {port} of {host} is taken by {found.description}.", found.hint)


def connect_host(host: str) -> str:
    """Return the host at which this machine reaches a server bound to a host.

    >>> connect_host("0.0.0.0")
    '127.0.0.1'
    """
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def address(host: str, port: int) -> str:
    """Return a URL that works on this machine for a server bound to a host."""
    shown = connect_host(host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
