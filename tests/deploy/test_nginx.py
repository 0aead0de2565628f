"""The rendered nginx.conf under a real nginx (Debian's package), whose /tmp is a small disk that fills up.

`test_compose_stack.py` runs the same file in containers; here a private mount namespace is enough, so it takes seconds.
"""

import os
import shutil
import socket
import subprocess
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import requests

from mlops_lab import deploy
from mlops_lab.image import encode_png
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.ports import bind

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("nginx") or os.geteuid() != 0, reason="needs nginx, and root to mount a disk"),
]
ROOT = Path(__file__).parents[2]
MODEL = "/models/clothes/v1"
PNG = {"Content-Type": "image/png"}
DISK = 4_000_000
# As in compose.yaml: a file system of its own, a user of its own, no way back to privileges. The file is opened before
# /tmp is covered.
START = (
    f"exec 3<$0; mount -t tmpfs -o size={DISK},mode=1777 none /tmp && "
    "exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs nginx -e stderr -c /dev/fd/3"
)


@pytest.fixture
def server():
    """One of our servers."""
    server = HttpServer(create_asgi(create_app(str(ROOT / "models"))), bind("127.0.0.1", 0), Limits())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def proxy(server, tmp_path):
    """Its address behind nginx, and nginx's /tmp."""
    text = deploy.files(deploy.make_spec(ROOT / "models", "clothes"), "compose")["nginx.conf"]
    with bind("127.0.0.1", 0) as listener, (tmp_path / "said").open("wb") as said:
        port = listener.getsockname()[1]
        for here, there in [("listen 8080;", f"listen 127.0.0.1:{port};"), ("server:8000", f"127.0.0.1:{server.port}")]:
            assert here in text
            text = text.replace(here, there)
        (tmp_path / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", START, tmp_path / "nginx.conf"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},  # a port that it inherits cannot be taken by others
            pass_fds=[listener.fileno()],
            stderr=said,
            cwd="/",
        )
    try:
        yield f"http://127.0.0.1:{port}", Path(f"/proc/{process.pid}/root/tmp")
    finally:
        process.terminate()
        process.wait(20)
    assert "[emerg]" not in (tmp_path / "said").read_text()


def image(more=0):
    """Return a PNG with so many bytes of text behind its pixels."""
    note = b"tEXt" + b"a\0" + bytes([97]) * more
    picture = encode_png(np.zeros((28, 28), np.uint8))
    return picture[:-12] + len(note[4:]).to_bytes(4) + note + zlib.crc32(note).to_bytes(4) + picture[-12:]


def stored(folder):
    """Return how many bytes the files below nginx's /tmp hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "nginx.pid")


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    return bool(answer.json()["hint"]) and answer.json().keys() == {"error", "code", "hint", "request_id"}


def test_a_body_over_the_limit_is_refused_before_it_is_stored(proxy):
    url, folder = proxy
    assert requests.post(url + MODEL, data=image(), headers=PNG, timeout=30).status_code == 200
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        head = f"POST {MODEL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {Limits().body_bytes + 1}\r\n\r\n"
        client.sendall(head.encode() + bytes(100_000))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert stored(folder) == 0
    assert refused(requests.post(url + MODEL, data=bytes(3_000_000), headers=PNG, timeout=30), 413, "too_large")
    pieces = (bytes(100_000) for _ in range(100))  # without a length, no more is kept than is allowed
    assert requests.post(url + MODEL, data=pieces, headers=PNG, timeout=30).status_code == 413
    ended = time.monotonic() + 20
    while stored(folder) and time.monotonic() < ended:  # the answer is sent before the file is removed
        time.sleep(0.02)
    assert stored(folder) == 0


def test_a_full_disk_is_told_as_json_and_passes(proxy):
    url, folder = proxy
    large = image(1_000_000)
    assert requests.post(url + MODEL, data=large, headers=PNG, timeout=30).status_code == 200
    with suppress(OSError), (folder / "full").open("wb", buffering=0) as full:
        while full.write(bytes(4096)):
            pass
    answer = requests.post(url + MODEL, data=large, headers=PNG, timeout=30)
    assert refused(answer, 507, "storage_full")
    assert answer.headers["Retry-After"] == "1"
    assert requests.post(url + MODEL, data=image(), headers=PNG, timeout=30).status_code == 200  # it needs no file
    (folder / "full").unlink()
    assert requests.post(url + MODEL, data=large, headers=PNG, timeout=30).status_code == 200


def test_errors_of_nginx_itself_are_json(proxy, server):
    url, _ = proxy
    server.stop()
    assert refused(requests.post(url + MODEL, data=image(), headers=PNG, timeout=30), 503, "unavailable")
