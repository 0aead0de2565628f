"""The least that an image costs here: uvicorn, and our decoder, engine and encoder with nothing between them.

No route is looked up, and nothing is checked, admitted, counted, timed or given an id. What `mlops-lab serve` answers
beside it is what all of that costs.

    python benchmarks/bare_server.py PORT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn

from mlops_lab import store
from mlops_lab.image import decode, to_input
from mlops_lab.serve.codecs.images import encode

CLOTHES = store.ModelStore(Path(__file__).parents[1] / "models").load("clothes", 1)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer the image that is the body of a request."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    inputs = to_input([decode(body, CLOTHES.input.mode)], CLOTHES.input)
    answer = encode(CLOTHES, CLOTHES.engine.predict(inputs))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="error")
