"""Queries of a log: its versions, and the prediction that a request id names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlops_lab.errors import BadRequest, NotFound, UnknownModel, UnknownVersion, nearest
from mlops_lab.monitor.database import Database
from mlops_lab.monitor.rows import LoggedModel


def list_versions(database: Database) -> list[LoggedModel]:
    """Return the versions that a log knows, in order."""
    found = database.run("SELECT model, version, labels, statistics FROM models ORDER BY model, version")
    return [LoggedModel(row[0], row[1], tuple(json.loads(row[2])), tuple(json.loads(row[3]))) for row in found]


def find_version(database: Database, model: str, version: int | None) -> LoggedModel:
    """Return one version; by default the newest that the log knows. The errors are :func:`choose_version`'s."""
    return choose_version(list_versions(database), model, version)


def choose_version(known: Sequence[LoggedModel], model: str, version: int | None) -> LoggedModel:
    """Return one version of those that a log knows; by default the newest.

    Raises
    ------
    UnknownModel, UnknownVersion
        The log holds none of its predictions.
    """
    ours = [one for one in known if one.model == model]
    if not ours:
        raise UnknownModel(f"The log has no predictions of {model!r}.", nearest(model, {one.model for one in known}))
    wanted = [one for one in ours if version in (None, one.version)]
    if not wanted:
        versions = [f"v{one.version}" for one in ours]
        raise UnknownVersion(f"The log has no predictions of {model} v{version}.", nearest(f"v{version}", versions))
    return wanted[-1]


def find_prediction(database: Database, request_id: str, place: int, model: str | None) -> tuple[Any, ...]:
    """Return the id, model, version, class, truth and time of a prediction.

    Raises
    ------
    NotFound
        There is none of that id.
    BadRequest
        The request asked several models, and none is named.
    """
    sql = "SELECT id, model, version, class, truth, time FROM predictions WHERE request_id = ? AND place = ?"
    found = [row for row in database.run(sql, (request_id, place)) if model in (None, row[1])]
    if not found:
        message = f"The log has no prediction {request_id!r}" + (f" by {model!r}." if model else ".")
        raise NotFound(message, "Send the X-Request-Id of an answer; old predictions are removed in time.")
    if len({row[1:3] for row in found}) > 1:
        asked = sorted({row[1] for row in found})
        raise BadRequest(f"The request {request_id!r} asked several models: {', '.join(asked)}.", "Name one.")
    return found[0]
