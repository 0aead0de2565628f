"""``/metrics`` of several processes: each exposes its own on a private socket, and the one that is scraped merges all.

Every sample is labelled with its worker (``worker="0"``), and nothing is added up here: a counter that starts again
from zero with its worker is then a reset of one series, which Prometheus' ``rate`` understands, and not a fall of the
whole sum.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

SECONDS = 2.0  # a worker that does not answer within this time is left out


def expose(path: Path, text: Callable[[], bytes]) -> threading.Thread:
    """Send the metrics of this process to every client of a socket in the file system; return the thread that does."""
    listener = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)  # the socket of the worker that had this number before
    listener.bind(str(path))
    listener.listen(64)

    def run() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):  # the client may be gone
                connection.settimeout(SECONDS)
                connection.sendall(text())

    thread = threading.Thread(target=run, name="mlops-lab-metrics", daemon=True)
    thread.start()
    return thread


def scrape(path: Path) -> bytes:
    """Return the metrics of the worker behind a socket, and nothing if there is none at present."""
    content = b""
    with socket.socket(socket.AF_UNIX) as connection, suppress(OSError):
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        while part := connection.recv(65536):
            content += part
        return content
    return b""


def merge(texts: Mapping[str, bytes]) -> list[Metric]:
    r"""Return the metrics of all workers, each sample labelled with the number of its worker.

    Examples
    --------
    >>> text = b"# TYPE a gauge\na 1.0\n"
    >>> [sample.labels for sample in merge({"0": text, "1": text})[0].samples]
    [{'worker': '0'}, {'worker': '1'}]
    """
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for family in text_string_to_metric_families(text.decode()):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.samples.append(sample._replace(labels={**sample.labels, "worker": worker}))
    return list(families.values())


def collect_all(folder: Path, accept: str = "") -> tuple[bytes, str]:
    """Return the metrics of every worker that has a socket in a folder, and their content type."""
    texts = {path.stem: scrape(path) for path in sorted(folder.glob("*.sock"))}
    encoder, kind = choose_encoder(accept)
    return encoder(SimpleNamespace(collect=lambda: merge(texts))), kind
