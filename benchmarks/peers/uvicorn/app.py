"""A bare ASGI echo: answers how many bytes it read, under the paths of the lab's server."""

import json


async def app(scope, receive, send):
    """Read the body to its end, and say how long it was."""
    if scope["type"] != "http":
        return
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = json.dumps({"n": count}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
