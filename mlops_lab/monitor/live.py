"""Reports for a page that many people may watch while the server answers."""

from __future__ import annotations

import threading
import time
from typing import Any

from mlops_lab.errors import BadRequest, LabError, MissingPackage, NotFound
from mlops_lab.monitor.dashboard import Report, draw_problem, report
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.monitor.lookup import choose_version
from mlops_lab.monitor.reference import load_reference
from mlops_lab.monitor.rows import LoggedModel
from mlops_lab.store import ModelStore
from mlops_lab.summary.image_statistics import IMAGE_STATISTICS

# A report that is younger is shown again: however many people watch, it is computed once.
FRESH_SECONDS = 5.0
# Without a reference, what the newest so many predictions said is shown.
NEWEST = 1000
# A report looks so far back from the newest prediction: a bad hour must not drown in a good year.
DAY_SECONDS = 24 * 3600.0


class LiveReports:
    """The reports that the page at ``/monitor`` requests. No reference is made, which would take a server too long.

    Parameters
    ----------
    log
        The server's log.
    models
        The store of its models, for their references; ``None`` where the server has predictors only.
    """

    def __init__(self, log: PredictionLog, models: ModelStore | None) -> None:
        self._log, self._models = log, models
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[float, dict[str, Any]]] = {}

    def report(self, model: str = "", version: str = "") -> dict[str, Any]:
        """Return the report on a version as plain values and as HTML, and which versions there are.

        Parameters
        ----------
        model, version
            As in a path: ``"clothes"``, ``"v1"``; by default the first model and its newest version.

        Raises
        ------
        NotFound
            The log has no such version.
        BadRequest
            The version is none.
        """
        self._log.flush(1.0)
        versions = self._log.models()
        listed: dict[str, list[str]] = {}
        for one in versions:
            listed.setdefault(one.model, []).append(f"v{one.version}")
        found: dict[str, Any] = {"models": [{"name": name, "versions": list(those)} for name, those in listed.items()]}
        if not versions:
            empty = NotFound("The log is empty.", "Send a prediction to the server.")
            return {**found, "model": None, "version": None, "summary": "", "html": draw_problem(empty)}
        chosen = choose_version(versions, model or versions[0].model, _number(version))
        return {**found, **self._fresh(chosen), "log": self._log.status._repr_html_()}

    def _fresh(self, chosen: LoggedModel) -> dict[str, Any]:
        key = (chosen.model, chosen.version)
        with self._lock:
            at, report = self._known.get(key, (0.0, {}))
            if not report or time.monotonic() - at > FRESH_SECONDS:
                report = self._compute(chosen)
                self._known[key] = (time.monotonic(), report)
        return report

    def _compute(self, chosen: LoggedModel) -> dict[str, Any]:
        about = {"model": chosen.model, "version": f"v{chosen.version}", "at": time.time()}
        try:
            if self._models is None:
                raise NotFound("The server has no store, so there is no reference.", "Serve a models folder.")
            name, version = chosen.model, chosen.version
            newest = float(self._log.read(name, version, last=1).times[-1])
            found = report(self._log, self._models, name, version, since=newest - DAY_SECONDS, make=False)
        except ImportError as error:
            missing = MissingPackage(f"A report needs {error.name}.", "pip install scipy scikit-learn")
            return {**about, "summary": missing.message, "html": self._without(chosen, missing)}
        except LabError as error:
            return {**about, "summary": error.message, "html": self._without(chosen, error)}
        html = f"{self._advice(chosen)}{found._repr_html_()}"
        return {**found.to_dict(), **about, "summary": _summary(found), "html": html}

    def _advice(self, chosen: LoggedModel) -> str:
        """Return what would make the report better, if anything."""
        assert self._models is not None
        known = load_reference(self._models, chosen.model, chosen.version)  # kept in memory since it was first read
        if known.rehearsals is not None or chosen.statistics != IMAGE_STATISTICS:
            return ""
        message = "The reference has not been disturbed, so what a change costs is not estimated."
        hint = f"mlops-lab monitor reference {chosen.model} --version v{chosen.version}"
        return draw_problem(NotFound(message, hint))

    def _without(self, chosen: LoggedModel, error: LabError) -> str:
        """Return what can be shown without a report."""
        newest = self._log.read(chosen.model, chosen.version, last=NEWEST)
        return f"{draw_problem(error)}{newest._repr_html_()}"


def _summary(found: Report) -> str:
    """Return the verdict as one line, for screen readers."""
    verdict = found.verdict
    harm = "harmful" if verdict.harmful else "no harm"
    change = "changed" if verdict.changed else "as before"
    return f"{verdict.model} v{verdict.version}: {harm}, {change}. {verdict.reason}."


def _number(version: str) -> int | None:
    if not version:
        return None
    digits = version.removeprefix("v")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 6):
        raise BadRequest(f"{version[:80]!r} is no version.", "Send a number, such as v1.")
    return int(digits)
