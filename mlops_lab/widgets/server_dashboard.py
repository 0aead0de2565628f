"""The live dashboard of a background server: its requests, and what its prediction log says about the models."""

from __future__ import annotations

import threading
import time
from typing import Any

import ipywidgets

from mlops_lab import show
from mlops_lab.errors import LabError
from mlops_lab.monitor.live import FRESH_SECONDS, LiveReports
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.serve import RunningServer
from mlops_lab.serve.background import RecordedRequest
from mlops_lab.serve.state import state_of
from mlops_lab.widgets.request_stats import RequestStats

SECONDS = 0.25  # the refresh interval: four per second are as many as an eye can follow

# Running the cell again stops the previous dashboard.
_open: dict[str, Dashboard] = {}


class Dashboard(ipywidgets.VBox):  # type: ignore[misc]
    """A server at a glance, until it or the dashboard stops.

    Its requests are counted four times a second. Where its predictions are logged, the report on each model is drawn
    below them, as at ``/monitor``.

    Attributes
    ----------
    stats
        The statistics that are shown.

    Examples
    --------
    >>> Dashboard(server)  # doctest: +SKIP
    """

    def __init__(self, server: RunningServer, *, window: int = 30) -> None:
        super().__init__()
        self.server, self.window = server, window
        # The server keeps only its last requests; those seen here are kept for the whole window.
        self._seen: dict[int, RecordedRequest] = {}
        self._stopped = threading.Event()
        self.head = ipywidgets.HTML()
        self.numbers = ipywidgets.HTML()
        self.button = ipywidgets.Button(description="Stop", icon="stop")
        self.button.on_click(lambda _: self.stop())
        self.reports = ipywidgets.HTML()
        self.children = [self.head, self.numbers, self.button, self.reports]
        self._live = find_reports(server)
        self.refresh()
        # The thread only changes traits: it never prints, so no output appears in another cell.
        self._thread = threading.Thread(target=self._watch, name="mlops-lab-dashboard", daemon=True)

    def __repr__(self) -> str:
        return f"<Dashboard {self.server.name!r}: {self.stats.total} requests in {self.window} s>"

    def start(self) -> None:
        """Start refreshing. :func:`dashboard` calls this."""
        self._thread.start()
        if self._live is not None:  # a thread of its own: a first report takes seconds
            threading.Thread(target=self._watch_reports, name="mlops-lab-reports", daemon=True).start()

    def stop(self) -> None:
        """Stop refreshing; the server keeps running."""
        self._stopped.set()
        self.button.disabled = True
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join()
        self.refresh()

    def refresh(self) -> None:
        """Read the statistics once; only what has changed is sent to the browser."""
        now = time.monotonic()
        self._seen |= {id(exchange): exchange for exchange in list(self.server.requests)}
        self._seen = {key: exchange for key, exchange in self._seen.items() if now - exchange.at < self.window}
        classes = count_classes(self.server)
        self.stats = RequestStats.of(self._seen.values(), now=now, window=self.window, classes=classes)
        live = self.server.running and not self._stopped.is_set()
        word = "live" if live else "stopped" if self.server.running else "the server has stopped"
        state = show.state("ok" if live else "info", word)
        self.head.value = f'<div style="{show.FONT}; color: {show.TEXT}">{self.server.url} · {state}</div>'
        self.numbers.value = self.stats._repr_html_()

    def _watch(self) -> None:
        while self.server.running and not self._stopped.wait(SECONDS):
            self.refresh()
        self._stopped.set()
        self.button.disabled = True
        self.refresh()

    def _watch_reports(self) -> None:
        while self.server.running and not self._stopped.is_set():
            self.refresh_reports()
            self._stopped.wait(FRESH_SECONDS)

    def refresh_reports(self) -> None:
        """Draw the report on the newest version of each model that the log knows."""
        assert self._live is not None
        try:
            report = self._live.report()
            others = [self._live.report(model["name"]) for model in report["models"][1:]]
        except LabError:  # the log cannot be read now; what was drawn stays
            return
        drawn = "".join(one["html"] for one in (report, *others))
        if self.reports.value != drawn:
            self.reports.value = drawn


def find_reports(server: Any) -> LiveReports | None:
    """Return the reports of a server whose predictions are logged; None for any other."""
    state = state_of(getattr(server, "app", None))
    if state is None or not isinstance(state.log, PredictionLog):
        return None
    return LiveReports(state.log, state.registry.store)


def count_classes(server: Any) -> dict[str, dict[str, int]]:
    """Return the number of predictions by version and class; empty for an application that has no such metrics."""
    application = getattr(server, "app", None)
    state = state_of(application)
    return state.metrics.classes() if state is not None else {}


def dashboard(server: Any, *, window: int = 30) -> Dashboard:
    """Return a live dashboard of a background server; running the cell again replaces the dashboard.

    It shows the requests and, where the server was started with a ``log``, whether its models have changed and whether
    that hurts.

    Parameters
    ----------
    server
        A running server, from :func:`mlops_lab.serve.start`.
    window
        The time window of the statistics, in seconds.

    Examples
    --------
    >>> dashboard(server)  # doctest: +SKIP
    """
    previous = _open.pop(server.name, None)
    if previous is not None:
        previous.stop()
    shown = _open[server.name] = Dashboard(server, window=window)
    shown.start()
    return shown
