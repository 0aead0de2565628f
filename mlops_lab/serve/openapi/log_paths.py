"""The routes of a prediction log, for the document: feedback, and the page that watches the models."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_lab.serve.openapi.components import Json, error, get, in_json, post
from mlops_lab.serve.openapi.primitives import TEXT, closed, record

_PLACE = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "default": 0}


def paths(models: Iterable[str]) -> Json:
    """Return the routes that a prediction log adds, for these models.

    Examples
    --------
    >>> list(paths(["clothes"]))
    ['/models/clothes/feedback', '/monitor/report', '/monitor']
    """
    names = list(models)
    found = {f"/models/{name}/feedback": {"post": _feedback(name)} for name in names}
    report = get("monitorReport", "operations", "Whether a model has changed, and whether it hurts", in_json(_report()))
    report["responses"] |= {str(status): error(status) for status in (404, 503)}
    report["parameters"] = [
        {"name": "model", "in": "query", "description": "By default the first.", "schema": {"enum": names}},
        {"name": "version", "in": "query", "description": "By default the newest, as v2.", "schema": TEXT},
    ]
    html = {"text/html": {"schema": {"type": "string"}}}
    page = {**get("monitor", "operations", "A page that watches the models", html), "security": []}
    return {**found, "/monitor/report": {"get": report}, "/monitor": {"get": page}}


def _feedback(name: str) -> Json:
    sent = closed(request_id=TEXT, label=TEXT)
    sent["properties"]["place"] = _PLACE
    body = {"required": True, "description": "What was right.", "content": {"application/json": {"schema": sent}}}
    answer = in_json(record(request_id=TEXT, model={"const": name}, label=TEXT, place={"type": "integer"}))
    return post(f"{name}.feedback", "models", f"Say what was right for an answer of {name}", body, answer)


def _report() -> Json:
    return record(models={"type": "array"}, model={"type": ["string", "null"]}, html=TEXT)
