"""The pages at ``/`` and ``/docs``: static files, and what a model sees of an image."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, request

from mlops_lab.errors import UnknownRoute, UnsupportedMedia
from mlops_lab.image import encode_png, from_input, to_input
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.inference import Images, InferenceService
from mlops_lab.serve.rest.images import current_request, decode_images

FOLDER = Path(__file__).parent
# Nothing from elsewhere and nothing inline. A notebook on this machine may show the page in a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)
# Not guessed: Windows lets its registry decide, and some programs write nonsense there.
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def blueprint(service: InferenceService) -> Blueprint:
    """Return the routes of the pages over a service."""
    routes = Blueprint("pages", __name__)
    # Read once: a request names one of these, and never a path.
    files = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in TYPES}

    @routes.get("/")
    def home() -> Response:
        return _page(files, "index.html")

    @routes.get("/docs")
    def docs() -> Response:
        return _page(files, "docs.html")

    @routes.get("/pages/<file>")
    def asset(file: str) -> Response:
        if file not in files:
            raise UnknownRoute(f"There is no file {file[:80]!r} here.", "GET / is the page.")
        return _page(files, file)

    @routes.post("/models/<name>/<version>/input")
    def see(name: str, version: str) -> Response:
        predictor = service.registry.get(name, version)
        sent = decode_images(current_request(service.limits), predictor.input, service.limits)
        return Response(seen(predictor, sent), content_type="image/png")

    return routes


def seen(predictor: Predictor, images: Images) -> bytes:
    r"""Return the first image as the model is given it, as a PNG.

    The image is made from the model's input, after everything that is done to it, and not beside it.

    Raises
    ------
    UnsupportedMedia
        The model does not take images.

    Examples
    --------
    >>> import numpy as np
    >>> from mlops_lab.engines.python import PythonEngine
    >>> from mlops_lab.image import InputSpec
    >>> model = Predictor("m", 1, InputSpec((64,), size=(8, 8), high=16), ("a",), PythonEngine(abs))
    >>> seen(model, [np.zeros((100, 80), np.uint8)])[:4]
    b'\x89PNG'
    """
    spec = predictor.input
    if spec.size is None:
        raise UnsupportedMedia(f"The model {predictor.name!r} does not take images.", "There is nothing to see.")
    return encode_png(from_input(to_input(images[:1], spec), spec)[0])


def _page(files: dict[str, bytes], name: str) -> Response:
    return send_page(files[name], TYPES[Path(name).suffix])


def send_page(content: bytes, kind: str, policy: str = POLICY) -> Response:
    """Return the answer with a file of a page.

    Parameters
    ----------
    content
        The file.
    kind
        Its content type.
    policy
        What the browser may load and run.
    """
    response = Response(content, mimetype=kind)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = "no-referrer"
    response.cache_control.no_cache = True  # the browser asks each time whether the file is still the same
    response.add_etag()
    response.make_conditional(request)
    return response
