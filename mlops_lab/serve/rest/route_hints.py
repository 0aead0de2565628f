"""Hints for a 404: the route that was meant by a path with a proxy's prefix, another server's verb, or a typo."""

from __future__ import annotations

import difflib
from collections.abc import Callable

# The routes that people use; the other protocols' paths hang below the last two.
ROUTES = (
    *("/", "/models", "/models/<name>", "/models/<name>/<version>", "/chains", "/chains/<chain>"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/models/<name>", "/v2/models/<name>"),
)
# The words of other servers, and the route that is the same here.
CLASSIFY = "POST an image to /models/<name>; GET /models lists the names."
VERBS = frozenset({"predict", "predictions", "infer", "inference", "invocations", "classify", "score", "upload"})
HABITS = {
    **dict.fromkeys(("/ping", "/live", "/livez", "/alive", "/status", "/health/live"), "/healthz"),
    **dict.fromkeys(("/ready", "/readiness", "/health/ready"), "/readyz"),
    **dict.fromkeys(("/swagger", "/swagger-ui", "/redoc", "/api-docs", "/api/docs", "/apidocs"), "/docs"),
    **dict.fromkeys(("/swagger.json", "/openapi", "/openapi.yaml"), "/openapi.json"),
    "/prometheus": "/metrics",
}
# How much alike a path and a route are where one is taken for the other: '/model' and '/models', not '/admin'.
CLOSE = 0.75


def nearest_route(path: str, is_route: Callable[[str], bool] = lambda path: False) -> str:
    """Return a hint on what to ask instead of a path that is no route.

    Parameters
    ----------
    path
        The path that was asked.
    is_route
        Tells whether a path is a route of the server, by any method.

    Examples
    --------
    >>> nearest_route("/model/clothes").partition("?")[0]
    "Did you mean '/models/clothes'"
    >>> nearest_route("/api/models", {"/models"}.__contains__).partition(",")[0]
    "The path begins with '/api'"
    """
    known = f"There are: {', '.join(ROUTES)}."
    plain = path.rstrip("/")
    parts = plain.split("/")
    if plain in HABITS:
        return f"Did you mean {HABITS[plain]!r}? {known}"
    verb, above = parts[-1].rpartition(":")[2] in VERBS, "/".join(parts[:-1])
    if verb and is_route(above):
        return f"POST the image to {above!r} itself. {known}"
    for cut in range(2, len(parts)):
        rest = "/" + "/".join(parts[cut:])
        if is_route(rest):
            prefix = "/".join(parts[:cut])
            return (
                f"The path begins with {prefix!r}, which is no part of this server's routes. Ask {rest!r}, or let the"
                f" proxy in front of the server cut {prefix!r} off."
            )
    if verb:
        return f"{CLASSIFY} {known}"
    filled = [
        "/".join(given if "<" in part else part for part, given in zip(route, parts, strict=True))
        for route in (route.split("/") for route in ROUTES)
        if len(route) == len(parts)
    ]
    close = difflib.get_close_matches(path, filled, n=1, cutoff=CLOSE)
    return f"{f'Did you mean {close[0]!r}? ' if close else ''}{known}"
