"""The live dashboard of a background server."""

from __future__ import annotations

import threading
import time
from typing import Any

import ipywidgets

from mlops_lab import show
from mlops_lab.serve import RunningServer
from mlops_lab.serve.background import Exchange
from mlops_lab.widgets.traffic import Traffic

SECONDS = 0.25  # between two looks: four a second are as many as an eye can follow

# Running the cell again ends the dashboard before it.
_open: dict[str, Dashboard] = {}


class Dashboard(ipywidgets.VBox):  # type: ignore[misc]
    """What a server is doing, four times a second, until it or this dashboard is stopped.

    Attributes
    ----------
    traffic
        The numbers that are shown.

    Examples
    --------
    >>> Dashboard(server)  # doctest: +SKIP
    """

    def __init__(self, server: RunningServer, *, window: int = 30) -> None:
        super().__init__()
        self.server, self.window = server, window
        # The server remembers its last requests only; what has been seen here stays for the whole window.
        self._seen: dict[int, Exchange] = {}
        self._ended = threading.Event()
        self.head = ipywidgets.HTML()
        self.numbers = ipywidgets.HTML()
        self.button = ipywidgets.Button(description="Stop watching", icon="stop")
        self.button.on_click(lambda _: self.stop())
        self.children = [self.head, self.numbers, self.button]
        self.refresh()
        # A thread that changes traits only: it never prints, so nothing lands in another cell.
        self._thread = threading.Thread(target=self._watch, name="mlops-lab-dashboard", daemon=True)

    def __repr__(self) -> str:
        return f"<Dashboard {self.server.name!r}: {self.traffic.total} requests in {self.window} s>"

    def start(self) -> None:
        """Begin to watch. :func:`dashboard` calls this."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the server goes on."""
        self._ended.set()
        self.button.disabled = True
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join()
        self.refresh()

    def refresh(self) -> None:
        """Look once, and send to the browser only what has changed."""
        now = time.monotonic()
        self._seen |= {id(exchange): exchange for exchange in list(self.server.requests)}
        self._seen = {key: exchange for key, exchange in self._seen.items() if now - exchange.at < self.window}
        classes = seen_classes(self.server)
        self.traffic = Traffic.of(self._seen.values(), now=now, window=self.window, classes=classes)
        watching = self.server.running and not self._ended.is_set()
        word = "watching" if watching else "stopped watching" if self.server.running else "the server has stopped"
        state = show.state("ok" if watching else "info", word)
        self.head.value = f'<div style="{show.FONT}; color: {show.TEXT}">{self.server.url} · {state}</div>'
        self.numbers.value = self.traffic._repr_html_()

    def _watch(self) -> None:
        while self.server.running and not self._ended.wait(SECONDS):
            self.refresh()
        self._ended.set()
        self.button.disabled = True
        self.refresh()


def seen_classes(server: Any) -> dict[str, dict[str, int]]:
    """Return how often the models of a server saw each class; nothing for an application that is not ours."""
    application = getattr(server, "app", None)
    metrics = getattr(application, "extensions", {}).get("mlops_lab_metrics")
    return metrics.classes() if metrics is not None else {}


def dashboard(server: Any, *, window: int = 30) -> Dashboard:
    """Return a live dashboard of a background server; running the cell again replaces it.

    Parameters
    ----------
    server
        From :func:`mlops_lab.serve.start`.
    window
        Look at the requests of so many seconds.

    Examples
    --------
    >>> dashboard(server)  # doctest: +SKIP
    """
    before = _open.pop(server.name, None)
    if before is not None:
        before.stop()
    shown = _open[server.name] = Dashboard(server, window=window)
    shown.start()
    return shown
