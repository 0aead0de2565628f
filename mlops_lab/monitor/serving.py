"""A prediction log on a server: feedback, the live page, and how the log is doing in ``/metrics`` and ``/readyz``.

This is one floor above ``serve``, which knows a log by two names only (``mlops_lab.serve.state.Log``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mlops_lab.errors import LabError, StoreError, Unavailable, UnknownRoute, UnsupportedMedia, WrongUsage
from mlops_lab.monitor.labels import accept_feedback
from mlops_lab.monitor.live import LiveReports
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.monitor.status import OUTCOMES
from mlops_lab.monitor.verdicts import LogVerdicts
from mlops_lab.serve.codecs.body import parse_object
from mlops_lab.serve.pages import POLICY, TYPES, send_page
from mlops_lab.serve.rest.images import read_content
from mlops_lab.serve.state import ServerState, state_of

FOLDER = Path(__file__).parent / "page"
# The report brings styles of its own, as in a notebook; no script may.
PAGE_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


def attach_log(app: Flask, log: PredictionLog) -> None:
    """Add the routes, metrics and details of a log to a server.

    Parameters
    ----------
    app
        From :func:`mlops_lab.serve.create_app`, which calls this where it is given a ``log``.
    log
        Gets the predictions.

    Raises
    ------
    WrongUsage
        The application is another one.
    """
    state = state_of(app)
    if state is None:
        raise WrongUsage("This is no application of the lab.", "serve.create_app(models, log=log)")
    if not log.checked:
        with suppress(LabError):  # one that cannot be opened now may be later; until then its losses are counted
            log.check()
    app.register_blueprint(_feedback(state, log))
    app.register_blueprint(_page(state, log))
    state.open_endpoints |= {"monitor.home", "monitor.asset"}
    state.metrics.add(LogMetrics(log))
    if state.registry.store is not None:
        state.metrics.add(LogVerdicts(log, state.registry.store))
    state.details["log"] = lambda: _details(log)


def _details(log: PredictionLog) -> dict[str, Any]:
    """Return what anybody may know: counts, and not where the log lies."""
    found = log.status.to_dict()
    words = "failing" if found["error"] else "writing"
    counts = {name: found[name] for name in (*OUTCOMES, "queued")}
    return {"state": words, "durable": log.durable, **counts}


def _feedback(state: ServerState, log: PredictionLog) -> Blueprint:
    routes = Blueprint("feedback", __name__)

    @routes.post("/models/<name>/feedback")
    def feedback(name: str) -> dict[str, Any]:
        state.registry.entry(name)
        if request.mimetype != "application/json":
            raise UnsupportedMedia(f"Feedback is JSON; received {request.mimetype[:80]!r}.", "Send application/json.")
        limits = state.service.limits
        body = parse_object(read_content(limits), limits)
        try:
            return accept_feedback(log, name, body)
        except StoreError as error:  # a disk that is full, or a file that another program holds
            raise Unavailable("The prediction log cannot be written now.", "Try again.", code="log_failing") from error

    return routes


def _page(state: ServerState, log: PredictionLog) -> Blueprint:
    routes = Blueprint("monitor", __name__)
    live = LiveReports(log, state.registry.store)
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}

    @routes.get("/monitor")
    def home() -> Response:
        return send_page(files["monitor.html"], TYPES[".html"], PAGE_POLICY)

    @routes.get("/monitor/<file>")
    def asset(file: str) -> Response:
        if file not in files:
            raise UnknownRoute(f"There is no file {file[:80]!r} here.", "GET /monitor is the page.")
        return send_page(files[file], TYPES[Path(file).suffix], PAGE_POLICY)

    @routes.get("/monitor/report")
    def report() -> dict[str, Any]:
        try:
            return live.report(request.args.get("model", ""), request.args.get("version", ""))
        except StoreError as error:
            raise Unavailable("The prediction log cannot be read now.", "Try again.", code="log_failing") from error

    return routes


class LogMetrics(Collector):
    """The counts of a log, as Prometheus reads them.

    Examples
    --------
    >>> [metric.name for metric in LogMetrics(PredictionLog("unused.db")).collect()]
    ['mlops_lab_log_predictions', 'mlops_lab_log_queued', 'mlops_lab_log_failing']
    """

    def __init__(self, log: PredictionLog) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; ``prometheus_client`` calls this."""
        status = self._log.status
        meaning = f"Predictions by their outcome in the log: {', '.join(OUTCOMES)}."
        outcomes = CounterMetricFamily("mlops_lab_log_predictions", meaning, labels=("outcome",))
        for outcome in OUTCOMES:
            outcomes.add_metric((outcome,), getattr(status, outcome))
        yield outcomes
        yield GaugeMetricFamily("mlops_lab_log_queued", "Requests that wait to be logged.", value=status.queued)
        failing = float(bool(status.error))
        yield GaugeMetricFamily("mlops_lab_log_failing", "1 while the log cannot be written.", value=failing)
