"""What people say about answers: feedback from Python, and from the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_lab.errors import BadRequest
from mlops_lab.monitor.log import PredictionLog, opened


def feedback(
    log: PredictionLog | str | Path, request_id: str, label: str, *, place: int = 0, model: str | None = None
) -> None:
    """Note what was right for a prediction; see :meth:`PredictionLog.feedback`.

    Parameters
    ----------
    log
        An open log, its file, or its ``postgresql://`` address.
    request_id
        The ``X-Request-Id`` of the answer.
    label
        The name of the right class.
    place
        Which image of the request, from 0.
    model
        Where one request asked several models.

    Examples
    --------
    >>> feedback("predictions.db", "4f0c2a9be81d7735", "Bag")  # doctest: +SKIP
    """
    with opened(log) as found:
        found.feedback(request_id, label, place=place, model=model)


def accept_feedback(log: PredictionLog, model: str, body: Any) -> dict[str, Any]:
    """Note the feedback in the JSON body of ``POST /models/<name>/feedback``, and return the answer.

    Parameters
    ----------
    log
        The server's log.
    model
        The name in the route.
    body
        ``{"request_id": …, "label": …}``, and ``"place"`` for an image of several.

    Raises
    ------
    BadRequest
        The body is something else, or the model has no such class.
    NotFound
        No such prediction of that model is in the log.

    Examples
    --------
    >>> accept_feedback(log, "clothes", {"request_id": "4f0c", "label": "Bag"})  # doctest: +SKIP
    {'request_id': '4f0c', 'model': 'clothes', 'label': 'Bag', 'place': 0}
    """
    hint = 'Send {"request_id": "<the answer\'s X-Request-Id>", "label": "<the right class>"}.'
    if not isinstance(body, Mapping):
        raise BadRequest(f"Feedback is a JSON object; received {type(body).__name__}.", hint)
    unknown = sorted(map(str, set(body) - {"request_id", "label", "place"}))
    if unknown:
        raise BadRequest(f"Feedback has no field {unknown[0][:64]!r}.", hint)
    request_id, label, place = body.get("request_id"), body.get("label"), body.get("place", 0)
    if not (isinstance(request_id, str) and isinstance(label, str) and type(place) is int and 0 <= place < 1 << 31):
        raise BadRequest("Feedback needs the texts request_id and label, and place is a whole number.", hint)
    log.feedback(request_id, label, place=place, model=model)
    return {"request_id": request_id, "model": model, "label": label, "place": place}
