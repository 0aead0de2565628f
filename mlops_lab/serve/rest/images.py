"""The course's routes: ``/models``, ``/models/<name>`` and ``/models/<name>/<version>``.

:func:`respond` answers a POST without a framework. The Flask view below and the event loop in ``asgi.py`` both
call it, so their answers are the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from mlops_lab.errors import BadRequest, TooLarge
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import body, images, tasks
from mlops_lab.serve.codecs.images import Form
from mlops_lab.serve.core.admission import Ticket
from mlops_lab.serve.core.inference import Batch, Images, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.rest.reply import JSON, Reply, failed, json_reply

# Fields that a form may have beside its images.
FIELDS_BESIDE = 8


class ImageRequest(NamedTuple):
    """A POST to the course's routes.

    Parameters
    ----------
    name, version
        From the path; the version is empty where the path names none.
    content_type
        Without its parameters, in lower case.
    content_encoding
        The ``Content-Encoding``, if any.
    read
        Returns the body as it came, or the parts of a form; called once the request is admitted.
    """

    name: str
    version: str
    content_type: str
    content_encoding: str
    read: Callable[[], bytes | Form]


def respond(
    service: InferenceService, request: ImageRequest, context: RequestContext, ticket: Ticket | None = None
) -> Reply:
    """Answer a request: find the version, decode, predict, encode."""

    def decode(predictor: Predictor) -> Batch:
        if predictor.signature.is_classifier:
            return Batch(decode_images(request, predictor.input, service.limits))
        return tasks.decode(request.content_type, read_whole(request, service.limits), predictor, service.limits)

    try:
        found = service.infer(request.name, request.version, decode, context, ticket)
        if found.outputs is not None:
            return json_reply(tasks.encode(found.predictor, found.answers))
        return Reply(200, [("Content-Type", JSON)], images.encode(found.predictor, found.rows))
    except Exception as error:
        return failed(error, context)


def decode_images(request: ImageRequest, spec: InputSpec, limits: Limits) -> Images:
    """Return the images in a request, whatever its content type."""
    return images.decode(request.content_type, read_whole(request, limits), spec, limits)


def read_whole(request: ImageRequest, limits: Limits) -> bytes | Form:
    """Return the parts of a form, or the body of a request, decompressed."""
    content = request.read()
    if isinstance(content, Form) or not request.content_encoding:
        return content
    return body.decompress(content, request.content_encoding, limits)


def current_request(limits: Limits, name: str = "", version: str = "") -> ImageRequest:
    """Return the request that Flask is handling."""
    read = partial(read_form if request.mimetype == "multipart/form-data" else read_body, limits)
    return ImageRequest(name, version, request.mimetype, request.headers.get("Content-Encoding", ""), read)


def read_body(limits: Limits) -> bytes:
    """Return the body that Flask is handling, as it came.

    Raises
    ------
    TooLarge
        It is over the limit.
    BadRequest
        Fewer bytes arrived than were declared.
    """
    declared = request.content_length
    try:
        content = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise body.too_large(declared, limits) from error
    except ClientDisconnected as error:
        message = f"The request declares {declared} bytes; fewer arrived."
        raise BadRequest(message, "Send it again.") from error
    body.check_whole(content, declared)
    return content


def read_form(limits: Limits) -> Form:
    """Return the form that Flask is handling; the errors are those of :func:`read_body`."""
    if not request.mimetype_params.get("boundary"):
        message = "The content type multipart/form-data names no boundary, so its parts cannot be told apart."
        raise BadRequest(message, "Set no Content-Type yourself: the client writes it together with the form.")
    try:
        files = [file.read() for file in request.files.getlist("image")]
    except RequestEntityTooLarge as error:
        if request.content_length and request.content_length <= limits.body_bytes:
            parts = limits.batch + FIELDS_BESIDE
            message = f"The form has more than {parts} parts; the limit is batch={limits.batch}."
            raise TooLarge(message, "Send fewer images in one request.") from error
        raise body.too_large(request.content_length, limits) from error
    # A part whose header is malformed has no name, and werkzeug gives None for it.
    return Form(files, request.form.getlist("image"), [field or "" for field in (*request.files, *request.form)])


def read_content(limits: Limits) -> bytes:
    """Return the body that Flask is handling, decompressed."""
    return body.decompress(read_body(limits), request.headers.get("Content-Encoding", ""), limits)


def blueprint(service: InferenceService) -> Blueprint:
    """Return the course's routes over a service."""
    registry = service.registry
    routes = Blueprint("images", __name__)

    @routes.get("/models")
    def models() -> dict[str, Any]:
        return {"models": registry.listing()}

    @routes.get("/models/<name>")
    def model(name: str) -> dict[str, Any]:
        entry = registry.entry(name)
        return {**registry.about(name), **entry.describe(), "states": entry.states()}

    @routes.get("/models/<name>/<version>")
    def version(name: str, version: str) -> dict[str, Any]:
        return registry.about(name, version)

    @routes.get("/models/<name>/traffic")
    def traffic(name: str) -> dict[str, Any]:
        return service.router.about(name)

    @routes.post("/models/<name>")
    @routes.post("/models/<name>/<version>")
    def classify(name: str, version: str = "") -> Response:
        reply = respond(service, current_request(service.limits, name, version), g.context)
        return Response(reply.body, reply.status, reply.headers)

    return routes
